"""Refining coarse images: predict, evaluate, sample grids and the export's signatures."""

import json

from common.evaluation import generated_images, reference_classifier
from common.images import image_file
from common.tasks.generation import Generation
from common.tasks.refinement import Refinement
from common.training import checkpoint
from common.training.run_folder import Run
from lapgan.lapgan import LAPGAN
from tests.evaluation.test_refinement import Classifier
from tests.helpers.command_line import command_line, refusal
from tests.helpers.gan_runs import assert_same
from tests.helpers.models import randomize

import keras
import numpy as np
import pytest
import tensorflow as tf

SIZES = {"image_size": 16, "width": 2, "units": 4, "latent_size": 3}


def images(count, seed):
    """Images uint8 (count, 16, 16): dark ones, then bright ones."""
    random = np.random.default_rng(seed)
    level = np.where(np.arange(count) < count // 2, 60, 180)[:, None, None]
    return (level + random.integers(-50, 50, (count, 16, 16))).astype(np.uint8)


def model_of(**options):
    keras.utils.set_random_seed(3)
    model = LAPGAN(**SIZES, **options)
    for network in model.networks.values():
        randomize(network, 0.2)
    return model


def make_run(folder, classes):
    arrays = {"x_train": images(12, 0), "x_test": images(10, 1)}
    if classes:
        arrays |= {"y_train": np.arange(12) // 6, "y_test": np.arange(10) // 5}
    np.savez(folder / "images.npz", **arrays)
    data = Generation.data(seed=5, dataset=str(folder / "images.npz"))
    run = Run(folder / "run")
    run.write_config("lapgan", {"seed": 5} | data.found | SIZES, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model_of(classes=data.classes))
    return run.folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with two classes; read-only but for its evaluation."""
    return make_run(tmp_path_factory.mktemp("refinement"), classes=True)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("unlabelled"), classes=False)


@pytest.fixture
def run_cli(capsys):
    return command_line(capsys, LAPGAN, Generation, Refinement)


@pytest.fixture
def inputs(tmp_path):
    """An image of the coarsest level, one of the finest, and a larger one in RGB."""
    random = np.random.default_rng(4)
    shapes = {"coarse": (8, 8, 1), "fine": (16, 16, 1), "photo": (20, 33, 3)}
    for name, shape in shapes.items():
        image_file.write(tmp_path / "in" / f"{name}.png", random.integers(0, 256, shape, np.uint8))
    return tmp_path / "in"


def own(coarse, labels, seed=0, classes=2):
    """The images that the model of the runs makes of one coarse image."""
    model, count = model_of(classes=classes), max(1, len(labels))
    c = [np.eye(2, dtype="float32")[labels]] if len(labels) else []
    x = np.repeat(coarse[None], count, axis=0).astype("float32")
    return image_file.to_uint8(model.refiner(8)([x, model.latent.of_seed(seed, count).numpy(), *c]))


def means(image):
    """The means of 2x2 pixels of uint8 (16, 16, 1), in [-1, 1]."""
    return (image.reshape(8, 2, 8, 2, 1) / 127.5 - 1).mean(axis=(1, 3))


def test_coarse_images_are_refined_with_several_noise_vectors(run_cli, run, inputs, tmp_path):
    line = f"predict '{run}' '{inputs}' --output '{tmp_path}/o' --count 3 --label 1 --seed 7"
    result = run_cli(line)
    assert result.status == 0, result.err
    assert "3 images refined" in result.out and "3 results each" in result.out
    files = sorted(path.name for path in (tmp_path / "o").glob("*.png"))
    assert files == [
        f"{name}_000{k}_1.png" for name in ("coarse", "fine", "photo") for k in range(3)
    ]
    read = {path.stem: image_file.read(path, 1) for path in inputs.iterdir()}
    coarse = {
        "coarse": image_file.to_unit(read["coarse"]),
        "fine": means(read["fine"]),
        "photo": means(image_file.square(read["photo"], 16)),
    }
    for name, x in coarse.items():
        expected = own(x, [1, 1, 1], seed=7)
        for k in range(3):
            written = image_file.read(tmp_path / "o" / f"{name}_000{k}_1.png", 1)
            assert_same(written, expected[k])
        assert np.abs(expected[0].astype(int) - expected[1]).max() > 1
    page = (tmp_path / "o" / "index.html").read_text()
    assert "3 images refined" in page and "enlarged" in page


def test_without_a_label_there_is_a_result_of_each_class(run_cli, run, inputs, tmp_path):
    result = run_cli(f"predict '{run}' '{inputs}/coarse.png' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    coarse = image_file.to_unit(image_file.read(inputs / "coarse.png", 1))
    for k, expected in enumerate(own(coarse, [0, 1])):
        written = image_file.read(tmp_path / "o" / f"coarse_000{k}_{k}.png", 1)
        assert_same(written, expected)


def test_without_classes_the_result_has_the_name_of_its_input(
    run_cli, unlabelled, inputs, tmp_path
):
    result = run_cli(f"predict '{unlabelled}' '{inputs}/coarse.png' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    coarse = image_file.to_unit(image_file.read(inputs / "coarse.png", 1))
    (expected,) = own(coarse, [], classes=0)
    assert_same(image_file.read(tmp_path / "o" / "coarse.png", 1), expected)


def test_what_cannot_be_is_refused(run_cli, run, unlabelled, inputs, tmp_path):
    refused = refusal(run_cli)
    line = f"predict '{run}' '{inputs}' --output '{tmp_path}/o'"
    refused(f"{line} --grid", "--grid: is for images from noise; leave it out to refine")
    refused(f"{line} --label green", "--label green")
    refused(f"predict '{unlabelled}' '{inputs}' --output '{tmp_path}/o' --label 1", "no class")
    refused(f"predict '{run}' '{inputs}' --output '{inputs}' --count 1 --label 0", "overwritten")


def test_evaluate_compares_refined_test_images(run_cli, run, monkeypatch):
    def compare(drawn, labels, *_):
        return {"results": np.concatenate([*drawn]).shape}, None, "stub"

    monkeypatch.setattr(generated_images, "compare", compare)
    monkeypatch.setattr(reference_classifier, "trained_classifier", lambda data: Classifier())
    result = run_cli(f"evaluate '{run}' --count 10 --seed 2 --show 4")
    assert result.status == 0, result.err
    found = json.loads((run / "evaluation.json").read_text())["refinement"]
    assert [*found] == ["8 to 16 px", "8 px enlarged", "noise to 16 px", "noise to 8 px, enlarged"]

    data = Generation.data(seed=5, dataset=str(run.parent / "images.npz"))
    x, labels = data.arrays("test", 10)
    coarse = np.stack([means(one) for one in x]).astype("float32")
    model, c = model_of(classes=2), np.eye(2, dtype="float32")[labels]
    noise = model.latent.of_seed(2, 10).numpy()
    refined = image_file.to_uint8(model.refiner(8)([coarse, noise, c]))
    enlarged = tf.image.resize(coarse, (16, 16))  # bilinear
    real, own = (np.abs(image_file.to_unit(i) - enlarged).mean() for i in (x, refined))
    row = found["8 to 16 px"]
    assert row["band"] == pytest.approx(own / real, rel=0.02)
    kept = Classifier().features_and_logits(refined)[1].argmax(axis=1) == labels
    assert row["label_kept"] == pytest.approx(kept.mean()) and row["count"] == 10
    assert found["8 px enlarged"]["label_kept"] == 1 and found["8 px enlarged"]["band"] == 0
    assert found["noise to 8 px, enlarged"]["band"] == 0 < found["noise to 16 px"]["band"]
    for name in found:
        assert name in result.out
    page = (run / "evaluation" / "index.html").read_text()
    assert "Refined images" in page and "Refinement of coarse images" in page


def test_the_sample_grid_has_refined_test_images_below(run):
    model = model_of(classes=2)
    data = Generation.data(seed=5, dataset=str(run.parent / "images.npz"))
    grid = Generation(LAPGAN, [Refinement]).sample_grid(model, data)()
    cell = 16 + 2
    assert len(grid) > 5 * cell + 4  # titles, 2 rows of classes, 3 of test images
    x, _ = data.arrays("test", 10)
    lower = grid[-3 * cell - 2 :]
    width = lower.shape[1]  # the first test image is right of the names
    places = [i for i in range(width - 16) if (lower[-cell:-2, i : i + 16] == x[0]).all()]
    assert places


def test_the_export_refines_as_the_run_does(run_cli, run, tmp_path):
    assert run_cli(f"export '{run}' --output '{tmp_path}'").status == 0
    served = tf.saved_model.load(str(tmp_path / "lapgan" / "1")).signatures["serving_refine_8"]
    coarse = np.random.default_rng(0).uniform(-1, 1, (8, 8, 1))
    x = tf.constant(np.stack([coarse] * 2), tf.float32)
    noise, label = model_of(classes=2).latent.of_seed(0, 2), tf.constant([0, 1])
    image = served(image=x, noise=noise, label=label)["image"]
    for one, expected in zip(image_file.to_uint8(image), own(coarse, [0, 1]), strict=True):
        assert_same(one, expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a label is not one of 0 to 1"):
        served(image=x, noise=noise, label=tf.constant([0, 2]))
