"""Unpaired translation: predict, evaluate and export in both directions."""

import json
from types import SimpleNamespace

from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.evaluation import cycle_consistency, inception
from common.images import image_file
from common.metrics.image_quality import ssim
from common.tasks.unpaired_translation import UnpairedTranslation
from common.training import checkpoint
from common.training.run_folder import Run
from cyclegan.cyclegan import CycleGAN
from tests.helpers.command_line import command_line
from tests.helpers.emoji import write_emoji
from tests.helpers.image_files import noise
from tests.helpers.page_reader import shown_on

import numpy as np
import pytest
import tensorflow as tf

OPTIONS = {"image_size": 16, "channels": 3, "width": 2, "blocks": 1, "pool_size": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    for split, count in (("trainA", 3), ("trainB", 2), ("testA", 2), ("testB", 3)):
        for number in range(count):
            image = noise(16, 16, [ord(split[-1]), len(split), number])
            image_file.write(folder / split / f"{number}.png", image)
    return UnpairedImages(0, str(folder), image_size=16)


@pytest.fixture(scope="module")
def model():
    """Its translators differ, and their colours spread as much as those of trained ones."""
    made = CycleGAN(**OPTIONS)
    random = np.random.default_rng(0)
    for variable in made.generator.variables:
        variable.assign(random.normal(0, 0.2, variable.shape))
    return made


@pytest.fixture(scope="module")
def run(data, model, tmp_path_factory):
    """The files of a run of 4 steps that the verbs read, with a SavedModel; not to be changed."""
    run = Run(tmp_path_factory.mktemp("unpaired") / "run")
    run.write_config("cyclegan", OPTIONS | {"seed": 0} | data.found, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model)
    UnpairedTranslation(CycleGAN).export_trained(run)
    return run.folder


@pytest.fixture
def call(capsys):
    """call("predict a b") -> status, out, err."""

    return command_line(capsys, CycleGAN, UnpairedTranslation)


def translated(model, direction, image):
    """The network's output, padded and cropped by NumPy."""
    height, width = image.shape[:2]
    margins = [(0, -height % 8), (0, -width % 8), (0, 0)]
    x = np.pad(image_file.to_unit(image), margins, "reflect")
    y = model.generator.get_layer(direction)(x[None], training=False)
    return image_file.to_uint8(y)[0, :height, :width]


def assert_same(image, expected):
    """Equal up to rounding between two grey levels."""
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_predict_in_both_directions_from_a_run_and_from_its_saved_model(call, run, model, tmp_path):
    shown = noise(13, 22, 5)
    image_file.write(tmp_path / "x.png", shown)
    made = {}
    for direction in ("AtoB", "BtoA"):
        for source in (run, run / "export" / "cyclegan" / "1"):
            output = tmp_path / f"{source.name}_{direction}"
            options = f"--output {output} --direction {direction} --size original"
            result = call(f"predict {source} {tmp_path / 'x.png'} {options}")
            assert result.status == 0, result.err
            made[direction] = image_file.read(output / "x.png")
            assert_same(made[direction], translated(model, direction, shown))
    assert np.abs(made["AtoB"].astype(int) - made["BtoA"]).max() > 10
    line = f"predict {run} {tmp_path / 'x.png'} --output {tmp_path / 'default'} --size original"
    assert call(line).status == 0
    assert_same(image_file.read(tmp_path / "default" / "x.png"), made["AtoB"])


def test_predict_resizes_to_the_scale_of_training(call, run, model, tmp_path):
    shown = noise(13, 22, 5)
    image_file.write(tmp_path / "x.png", shown)
    expected = translated(model, "BtoA", image_file.resize(shown, 16, 27))
    for source in (run, run / "export" / "cyclegan" / "1"):
        output = tmp_path / source.name
        line = f"predict {source} {tmp_path / 'x.png'} --output {output} --direction BtoA"
        result = call(line)
        assert result.status == 0 and "at 16 pixels (shorter side)" in result.out
        assert_same(image_file.read(output / "x.png"), expected)


def test_predict_in_tiles_keeps_the_size(call, run, tmp_path):
    image_file.write(tmp_path / "x.png", noise(9, 50, 1))
    options = "--tile 16 --size original"
    line = f"predict {run} {tmp_path / 'x.png'} --output {tmp_path / 'out'} {options}"
    assert call(line).status == 0
    assert image_file.read(tmp_path / "out" / "x.png").shape == (9, 50, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [("--direction AtoC", "direction"), ("--tile 0", "tile 0"), ("--best", "best")],
)
def test_errors_of_predict_are_one_line(call, run, tmp_path, options, said):
    image_file.write(tmp_path / "x.png", noise(9, 9, 1))
    for source in (run, run / "export" / "cyclegan" / "1"):
        line = f"predict {source} {tmp_path / 'x.png'} --output {tmp_path / 'out'} {options}"
        result = call(line)
        assert result.status == 2 and said in result.err and len(result.err.splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_a_saved_model_of_another_kind_is_refused(call, tmp_path):
    module = tf.Module()
    x = tf.TensorSpec((None, None, None, 3), name="image")
    module.f = tf.function(lambda image: {"translated": image}, input_signature=[x])
    tf.saved_model.save(module, str(tmp_path / "one_way"), {"serving_default": module.f})
    image_file.write(tmp_path / "x.png", noise(9, 9, 1))
    result = call(
        f"predict {tmp_path / 'one_way'} {tmp_path / 'x.png'} --output {tmp_path / 'out'}"
    )
    assert result.status == 2 and "not an image translator" in result.err


def test_signatures(run, model):
    loaded = tf.saved_model.load(str(run / "export" / "cyclegan" / "1"))
    names = ("serving_default", "serving_bytes", "AtoB", "AtoB_bytes", "BtoA", "BtoA_bytes")
    assert set(loaded.signatures) == set(names)
    shown = noise(11, 16, 3)
    x = tf.constant(image_file.to_unit(shown))[None]
    encoded = tf.constant([image_file.encode(shown)])
    for name in names:
        direction = "BtoA" if name.startswith("BtoA") else "AtoB"
        expected = translated(model, direction, shown)
        if name.endswith("_bytes"):
            (png,) = loaded.signatures[name](image_bytes=encoded)["translated_bytes"].numpy()
            assert_same(image_file.read(png), expected)
        else:
            y = loaded.signatures[name](image=x)["translated"]
            assert_same(image_file.to_uint8(y)[0], expected)
    warm_up = run / "export" / "cyclegan" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert len(list(tf.data.TFRecordDataset(str(warm_up)))) == len(names)


def test_the_sample_grid_shows_both_directions_and_back(data, model):
    grid = UnpairedTranslation(CycleGAN).sample_grid(model, data)()
    rows = 2  # as many as A has
    assert grid.shape[1:] == (6 * 18 + 2, 3)
    grid = grid[-rows * 18 - 2 :]  # without the captions
    cells = grid[2:, 2:].reshape(rows, 18, 6, 18, 3).transpose(0, 2, 1, 3, 4)[:, :, :16, :16]
    G, F = (model.generator.get_layer(direction) for direction in ("AtoB", "BtoA"))
    for domain, first, forth, back in (("A", 0, G, F), ("B", 3, F, G)):
        for row, one in enumerate(data.held_out(domain, "test", rows)):
            y = forth(one.x[None])
            for column, x in enumerate((one.x[None], y, back(y))):
                assert_same(cells[row, first + column], image_file.to_uint8(x)[0])


@pytest.fixture
def no_inception(monkeypatch):
    asked = []

    def missing():
        asked.append(1)
        raise UserError("the weights of InceptionV3 cannot be downloaded")

    monkeypatch.setattr(inception, "keras_inception", missing)
    return asked


def copy_of(run, folder):
    copied = Run(folder)
    config = Run(run).config()
    copied.write_config("cyclegan", config["options"], config["data"])
    copied.checkpoints.mkdir()
    (copied.checkpoints / "step_00000004.npz").write_bytes(
        (run / "checkpoints" / "step_00000004.npz").read_bytes()
    )
    return copied


def test_evaluate(call, run, data, model, no_inception, tmp_path):
    copied = copy_of(run, tmp_path / "run")
    result = call(f"evaluate {copied.folder}")
    assert result.status == 0, result.err
    assert result.out.count("skipped; the weights of InceptionV3") == len(no_inception) == 1
    report = json.loads(copied.evaluation_file.read_text())
    assert report["step"] == 4 and report["split"] == "test" and report["dataset"] == data.name
    assert report["image_size"] == 16 and "measured at 16x16 pixels" in result.out
    assert report["keras_inception_fid"] == {"AtoB": None, "BtoA": None}
    G, F = (model.generator.get_layer(direction) for direction in ("AtoB", "BtoA"))
    for direction, domain, forth, back in (("AtoB", "A", G, F), ("BtoA", "B", F, G)):
        x = np.stack([one.x for one in data.held_out(domain, "test")])
        scores = report["results"][direction]
        assert scores["cycle_l1"] == pytest.approx(np.abs(back(forth(x)) - x).mean(), rel=1e-4)
        assert set(scores) == {"cycle_l1", "images"} and scores["images"] == len(x)
        assert f"{scores['cycle_l1']:.4f}" in result.out
    shown = shown_on(copied.folder / "evaluation" / "index.html")
    x = next(iter(data.held_out("A", "test"))).x[None]
    for (_, image), expected in zip(shown, (x, G(x), F(G(x))), strict=False):
        assert_same(image, image_file.to_uint8(expected)[0])


def test_evaluate_compares_known_targets_with_the_input_and_the_mean_image(
    call, model, no_inception, tmp_path
):
    folder = str(write_emoji(tmp_path))
    data = UnpairedImages(0, "emoji", folder, image_size=16)
    run = Run(tmp_path / "run")
    options = OPTIONS | {"seed": 0, "data_dir": folder} | data.found
    run.write_config("cyclegan", options, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model)
    result = call(f"evaluate {run.folder}")
    assert result.status == 0, result.err
    results = json.loads(run.evaluation_file.read_text())["results"]
    for direction, domain, other in (("AtoB", "A", "B"), ("BtoA", "B", "A")):
        test = [*data.held_out(domain, "test")]
        mean = np.mean([one.x for one in data.held_out(other, "train")], axis=0)
        guesses = {"identity": [one.x for one in test], "mean": [mean] * len(test)}
        for name, images in guesses.items():
            pairs = [(image, one.target) for image, one in zip(images, test, strict=True)]
            l1 = np.mean([np.abs(x - y).mean() for x, y in pairs])
            assert results[direction][f"{name}_l1"] == pytest.approx(l1, rel=1e-4)
            similarity = np.mean([ssim(x, y) for x, y in pairs])
            assert results[direction][f"{name}_ssim"] == pytest.approx(similarity, rel=1e-4)
    assert "SSIM of the mean image" in result.out


def test_the_frechet_distance_compares_translations_with_images_of_their_domain(
    call, run, data, model, monkeypatch, tmp_path
):
    seen = []

    def features(shown, network):
        shown = np.stack(list(shown))
        seen.append(shown)
        return shown.reshape(len(shown), -1)[:, :2].astype(np.float64)

    monkeypatch.setattr(inception, "keras_inception", lambda: "network")
    monkeypatch.setattr(inception, "keras_inception_features", features)
    copied = copy_of(run, tmp_path / "run")
    assert call(f"evaluate {copied.folder}").status == 0
    G = model.generator.get_layer("AtoB")
    a, b = ([one.x for one in data.held_out(domain, "test")] for domain in "AB")
    np.testing.assert_array_equal(seen[0], image_file.to_uint8(b))
    assert_same(seen[1], image_file.to_uint8(G(np.stack(a))))
    np.testing.assert_array_equal(seen[2], image_file.to_uint8(a))
    assert len(seen) == 4


def test_evaluate_refuses_other_data(call, run, tmp_path):
    copied = copy_of(run, tmp_path / "run")
    result = call(f"evaluate {copied.folder} --dataset embedded")
    assert result.status == 2 and "trainA had 3 images" in result.err


def test_digits_are_judged_in_the_domain_of_the_reference_classifier(model, monkeypatch):
    """A reference classifier that reads a digit from the image's brightness."""
    digits = UnpairedImages(0, "digits_negatives")

    def logits(x):
        assert x.shape[1:] == (28, 28, 1) and x.dtype == np.uint8
        return np.eye(10)[np.minimum(x.mean((1, 2, 3)) / 25.6, 9).astype(int)]

    monkeypatch.setattr(
        cycle_consistency, "trained_classifier", lambda data: SimpleNamespace(logits=logits)
    )
    judge = cycle_consistency.digit_classifier(digits)
    x = np.stack([one.x for one in digits.held_out("A", "test", 3)])
    brightness = (x[:, 2:-2, 2:-2].mean((1, 2, 3)) + 1) * 127.5
    np.testing.assert_array_equal(judge(x), (brightness / 25.6).astype(int))
    measured = UnpairedTranslation(CycleGAN).metrics
    assert set(measured) == {"cycle_l1", "target_l1"}


def test_metrics_during_training(data, model):
    task = UnpairedTranslation(CycleGAN)
    found = task.measure(model, data, 2)()
    assert set(found) == {"cycle_l1"}  # unpaired images have no targets
    known = UnpairedImages(0, "embedded", image_size=16)
    scores = task.measure(model, known, 2)()
    assert set(scores) == {"cycle_l1", "target_l1"} == task.metrics_of(model, known).keys()
    assert task.metrics_of(model, data) == {"cycle_l1": -1}
    G, F = (model.generator.get_layer(direction) for direction in ("AtoB", "BtoA"))
    expected = [
        np.abs(forth(one.x[None])[0] - one.target).mean()
        for domain, forth in (("A", G), ("B", F))
        for one in known.held_out(domain, "train", 2)
    ]
    assert scores["target_l1"] == pytest.approx(np.mean(expected), rel=1e-4)
