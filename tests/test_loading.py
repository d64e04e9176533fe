"""Trained models in Python: `load`, from runs and from SavedModels."""

import subprocess
import sys
from pathlib import Path

import common
from ccgan.ccgan import CCGAN
from cgan.cgan import CGAN
from common import load, registry
from common.errors import UserError
from common.images import image_file
from common.tasks.base import Checkpoint
from common.training import checkpoint
from common.training.run_folder import Run
from cyclegan.cyclegan import CycleGAN
from pix2pix.pix2pix import Pix2Pix
from pixelda.pixelda import PixelDA
from srgan.srgan import SRGAN
from stackgan.stackgan import StackGAN
from tests.helpers.command_line import command_line
from tests.helpers.image_files import noise

import numpy as np
import pytest

OPTIONS = {
    Pix2Pix: {"image_size": 32, "width": 2, "channels_out": 1, "ema": 0.5},
    CycleGAN: {"image_size": 16, "channels": 3, "width": 2, "blocks": 1, "pool_size": 2},
    SRGAN: {"width": 4, "blocks": 1, "image_size": 32, "content": "mse"},
    CGAN: {"width": 4, "classes": 10},
    CCGAN: {"image_size": 16, "width": 3, "d_width": 2, "channels": 3},
    PixelDA: {"image_size": 8, "width": 2, "blocks": 1, "channels": 3, "classes": 2},
    StackGAN: {
        **{"image_size": 32, "channels": 3, "width": 4, "d_width": 2, "d_width_2": 2, "units": 3},
        **{"condition_size": 2, "latent_size": 3, "vocabulary": ["a", "blue", "red", "three"]},
        **{"caption_length": 4, "embedding_size": 0, "examples": ["a red three"]},
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """folders(model) -> a run of random weights and its SavedModel."""
    made = {}

    def call(model_class):
        if model_class not in made:
            model = model_class(**OPTIONS[model_class])
            random = np.random.default_rng(0)
            for network in model.sampling_networks:
                for variable in network.trainable_variables:
                    variable.assign(random.normal(0, 0.2, variable.shape))
            name = model_class.__name__.lower()
            run = Run(tmp_path_factory.mktemp(name) / "run")
            run.write_config(name, OPTIONS[model_class] | {"seed": 0}, {})
            checkpoint.save(run.checkpoints, 1, model)
            saved = registry.task_of(name).export_trained(run)
            made[model_class] = run.folder, saved
        return made[model_class]

    return call


def cli_output(capsys, model_class, line):
    _, task, *capabilities = registry.entry(model_class.__name__.lower())
    result = command_line(capsys, model_class, task, *capabilities)(line)
    assert result.status == 0, result.err


def assert_same(image, expected):
    assert image.dtype == np.uint8 and image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("model_class", "calls"),
    [
        (
            Pix2Pix,
            {
                "--size original": {},
                "": {"size": 32},
                "--size 20 --tile 32": {"size": 20, "tile": 32},
            },
        ),
        (
            CycleGAN,
            {
                "--size original": {},
                "--size original --direction BtoA": {"direction": "BtoA"},
                "--size original --direction AtoB": {"direction": "AtoB"},
            },
        ),
        (SRGAN, {"": {}}),
    ],
)
def test_an_image_is_converted_as_by_predict(folders, capsys, tmp_path, model_class, calls):
    image = noise(21, 34, 7)
    image_file.write(tmp_path / "x.png", image)
    run, saved = folders(model_class)
    of_run, of_saved = load(run), load(str(saved))
    for number, (line, options) in enumerate(calls.items()):
        output = tmp_path / str(number)
        command = f"predict {run} {tmp_path / 'x.png'} --output {output} {line}"
        cli_output(capsys, model_class, command)
        channels = 1 if model_class is Pix2Pix else 3
        expected = image_file.read(output / "x.png", channels)
        assert_same(of_run(image, **options), expected)
        assert_same(of_saved(image, **options), expected)
    capsys.readouterr()


def test_ranks_and_channels(folders):
    model = load(folders(Pix2Pix)[0])
    assert model.image_size == 32 and load(folders(Pix2Pix)[1]).image_size == 32
    batch = np.stack([noise(12, 17, seed) for seed in range(3)])
    made = model(batch)
    assert made.shape == (3, 12, 17, 1)
    np.testing.assert_array_equal(made[1], model(batch[1]))
    grayscale = noise(12, 17, 5, channels=1)
    rgb = np.repeat(grayscale, 3, axis=-1)
    np.testing.assert_array_equal(model(grayscale), model(rgb))
    assert model(grayscale[..., 0]).shape == (12, 17)
    np.testing.assert_array_equal(model(grayscale[..., 0]), model(rgb)[..., 0])
    upscale = load(folders(SRGAN)[0])
    side = 12 * upscale.scale
    assert upscale(grayscale).shape == (side, 17 * upscale.scale, 1)
    assert upscale(batch).shape == (3, side, 17 * upscale.scale, 3)


def test_samples_are_those_of_predict(folders, capsys, tmp_path):
    run, saved = folders(CGAN)
    for source in (run, saved):
        model = load(source)
        assert model.class_names == [str(k) for k in range(10)]
        for label in (7, "7", None):
            output = tmp_path / f"{source.name} {label}"
            option = "" if label is None else f"--label {label}"
            line = f"predict {source} --output '{output}' --seed 3 --count 5 {option}"
            cli_output(capsys, CGAN, line)
            written = [image_file.read(path, 1) for path in sorted(output.glob("*.png"))]
            images = model.sample(5, label=label, seed=3)
            assert images.shape == (5, 28, 28, 1) and images.dtype == np.uint8
            np.testing.assert_array_equal(images, written)


@pytest.mark.parametrize("model_class", [CycleGAN, SRGAN, PixelDA, StackGAN, CCGAN])
def test_a_weights_file_gives_what_its_run_gives_up_to_rounding(
    folders, capsys, tmp_path, model_class
):
    image, hole = noise(16, 16, 2), np.eye(16, dtype=bool)
    run, file = folders(model_class)[0], tmp_path / "file.npz"
    cli_output(capsys, model_class, f"export {run} --format weights --output {file}")

    def result(model):
        if model_class is StackGAN:
            return model.sample("red", 2)
        return model(image, hole) if model_class is CCGAN else model(image)

    one, other = (result(load(source)).astype(int) for source in (run, file))
    assert one.shape == other.shape and np.abs(one - other).mean() < 3


def test_images_of_texts_are_those_of_predict(folders, capsys, tmp_path):
    texts = ["a red three", "blue"]
    for source in folders(StackGAN):
        model = load(source)
        assert model.vocabulary == OPTIONS[StackGAN]["vocabulary"]
        output = tmp_path / source.name
        line = f"predict {source} --output '{output}' --seed 3 --count 3 --text '{texts[0]}'"
        cli_output(capsys, StackGAN, line)
        written = [image_file.read(path) for path in sorted(output.glob("*.png"))]
        images = model.sample(texts[0], 3, seed=3)
        assert images.shape == (3, 32, 32, 3)
        assert_same(images, np.stack(written))
        both = model.sample(texts, 3, seed=3)
        assert_same(both[0], images)
        assert both.shape == (2, 3, 32, 32, 3)
        assert_same(both[1], model.sample(texts[1], 3, seed=3))
        one, several = np.ones(6), np.ones((2, 6))
        assert_same(model.sample(several, 3), np.stack([model.sample(one, 3)] * 2))
        for wrong in (np.ones((1, 2, 6)), np.zeros(6, int)):
            with pytest.raises(ValueError, match="give embeddings"):
                model.sample(wrong)


def test_a_hole_is_filled_as_by_predict(folders, capsys, tmp_path):
    image, mask = noise(21, 34, 7), np.zeros((21, 34), bool)
    mask[4:13, 10:29] = True
    image_file.write(tmp_path / "x.png", image)
    for source in folders(CCGAN):
        model = load(source)
        assert model.image_size == 16
        for line, options in {"--size original": {}, "": {"size": 16}}.items():
            output = tmp_path / f"{source.name} {line}"
            command = f"predict {source} {tmp_path / 'x.png'} --output '{output}' {line}"
            cli_output(capsys, CCGAN, f"{command} --box 10,4,19,9")
            expected = image_file.read(output / "x.png")
            assert_same(model(image, mask, **options), expected)
            batch = model(np.stack([image, image]), 255 * mask.astype(np.uint8), **options)
            np.testing.assert_array_equal(batch[1], model(image, mask, **options))
    assert model(image[..., 0], mask).shape == (21, 34, 3)
    for wrong in (mask[:20], np.ones_like(mask), mask[..., None]):
        with pytest.raises(ValueError, match="give a mask"):
            model(image, wrong)


def test_an_image_is_adapted_as_by_predict(folders, capsys, tmp_path):
    image = noise(21, 34, 7)
    image_file.write(tmp_path / "x.png", image)
    for source in folders(PixelDA):
        model = load(source)
        assert model.image_size == 8
        for seed in (0, 3):
            output = tmp_path / f"{source.name} {seed}"
            command = f"predict {source} {tmp_path / 'x.png'} --output '{output}' --seed {seed}"
            cli_output(capsys, PixelDA, command)
            assert_same(model(image, seed=seed), image_file.read(output / "x.png"))
        assert model(np.stack([image, image])).shape == (2, 8, 8, 3)
        with pytest.raises(UserError, match="seed"):
            model(image, seed=-1)


def test_weights_are_selected_as_by_predict(folders):
    run, saved = folders(Pix2Pix)
    image = noise(32, 32, 1)
    average, generator = load(run), load(run, network="generator")
    np.testing.assert_array_equal(load(run, network="average")(image), average(image))
    assert not np.array_equal(generator(image), average(image))
    assert not np.array_equal(load(run, inference_seed=1)(image), average(image))
    with pytest.raises(UserError, match="network: fixed in the SavedModel"):
        load(saved, network="generator")
    with pytest.raises(UserError, match="--keep_best"):
        load(run, best=True)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
        np.zeros((3,), np.uint8),
        "image.png",
    ],
)
def test_other_arrays_are_refused(folders, image):
    for model_class in (Pix2Pix, SRGAN):
        with pytest.raises(ValueError, match=r"give uint8 images.* not .*\(") as error:
            load(folders(model_class)[0])(image)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model_class", "call", "said"),
    [
        (Pix2Pix, lambda model: model(noise(9, 9, 0), direction="BtoA"), "only one"),
        (Pix2Pix, lambda model: model(noise(9, 9, 0), size=0), "size 0"),
        (Pix2Pix, lambda model: model(noise(9, 9, 0), tile=0), "tile 0"),
        (CycleGAN, lambda model: model(noise(9, 9, 0), direction="AtoC"), "AtoB or BtoA"),
        (SRGAN, lambda model: model(noise(9, 9, 0), tile=0), "tile 0"),
        (CGAN, lambda model: model.sample(0), "count 0"),
        (CGAN, lambda model: model.sample(2, seed=-1), "seed -1"),
        (CGAN, lambda model: model.sample(2, label=10), "label 10"),
        (StackGAN, lambda model: model.sample("purple"), "no word is known"),
        (StackGAN, lambda model: model.sample("red", 0), "count 0"),
        (StackGAN, lambda model: model.sample("red", seed=-1), "seed -1"),
        (StackGAN, lambda model: model.sample([]), "give a text"),
    ],
)
def test_options_out_of_range_are_refused_in_one_line(folders, model_class, call, said):
    with pytest.raises(UserError, match=said) as error:
        call(load(folders(model_class)[0]))
    assert "\n" not in str(error.value)


def test_a_direction_that_a_saved_model_lacks_is_refused(folders):
    with pytest.raises(UserError, match="direction BtoA"):
        load(folders(Pix2Pix)[1])(noise(9, 9, 0), direction="BtoA")


def test_folders_without_a_model_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="neither a run"):
            load(folder)
    with pytest.raises(UserError, match=r"cgan/nothing: neither .* weights of cgan: mnist"):
        load("cgan/nothing")
    with pytest.raises(UserError, match=r"nowhere\.npz: no such file"):
        load(tmp_path / "nowhere.npz")
    Run(tmp_path).write_config("of_elsewhere", {}, {})
    with pytest.raises(UserError, match="of_elsewhere"):
        load(tmp_path)
    Run(tmp_path / "new").write_config("cgan", OPTIONS[CGAN], {})
    with pytest.raises(UserError, match="no checkpoint yet"):
        load(tmp_path / "new")


def test_importing_load_does_not_import_tensorflow():
    code = "import sys; from common import load; assert 'tensorflow' not in sys.modules"
    root = Path(common.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


KINDS = "translator", "upscaler", "sampler", "inpainter"


def test_every_task_of_a_model_can_be_loaded():
    for name in registry.NAMES:
        task = registry.task_of(name)
        assert any(hasattr(task, kind) for kind in KINDS), name
        assert issubclass(task.option_groups.get(Checkpoint, Checkpoint), Checkpoint)
