"""The classifier's verbs: which images are of which class, a CSV file, accuracy on real ones."""

import csv
import json

from common.evaluation import reference_classifier
from common.images import image_file
from common.tasks import generation
from common.tasks.discriminator import ClassifyingGeneration
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import command_line
from tests.helpers.tiny_gan import TinyGan

import keras
import numpy as np
import pytest
import tensorflow as tf

NAMES = ["black", "grey", "white"]
GREY = {"black": 20, "grey": 127, "white": 230}


class TinyClassifier(TinyGan):
    """A tiny generator whose classifier goes by the mean brightness.

    Args:
        image_size: side of the images in pixels.
        channels: of the images.
        classes: of the data set.
    """

    def __init__(self, image_size: int = 8, channels: int = 1, classes: int = 3):
        super().__init__(image_size, channels, classes, conditional=True)
        x = keras.Input((image_size, image_size, channels))
        h = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
        self.classifier = keras.Model(x, h, name="classifier")

    @property
    def networks(self):
        return super().networks | {"classifier": self.classifier}

    def classify(self, x):
        return tf.nn.softmax(self.classifier(x, training=False))


def brightness_weights(scale):
    """Logits -scale m, scale / 2, scale m for a mean m in [-1, 1]: three classes of brightness."""
    return [np.array([[-scale, 0, scale]], "float32"), np.array([0, scale / 2, 0], "float32")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 4 steps on 9 + 8 flat images; the best checkpoint has another classifier."""
    folder = tmp_path_factory.mktemp("classifier")
    y = np.arange(9) % 3
    levels = np.array(list(GREY.values()))
    x = np.broadcast_to(levels[y][:, None, None], (9, 8, 8)).astype(np.uint8)
    # Of the eight test images one white one is called black.
    y_test = np.array([0, 0, 1, 1, 1, 2, 2, 0])
    x_test = np.broadcast_to(levels[[0, 0, 1, 1, 1, 2, 2, 2]][:, None, None], (8, 8, 8)).astype(
        np.uint8
    )
    np.savez(folder / "flat.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    data = ClassifyingGeneration.data(seed=5, dataset=str(folder / "flat.npz"))

    keras.utils.set_random_seed(3)
    model = TinyClassifier()
    run = Run(folder / "run")
    options = {"seed": 5} | data.found | {"class_names": NAMES}
    run.write_config("test_classification", options, data.fingerprint())
    model.classifier.set_weights(brightness_weights(4))
    checkpoint.save(run.checkpoints, 4, model)
    model.classifier.set_weights(brightness_weights(-4))
    run.keep_best(model, 2, "fid", 1.0)
    return run.folder


@pytest.fixture
def run_cli(capsys):
    return command_line(capsys, TinyClassifier, ClassifyingGeneration)


@pytest.fixture
def flat(tmp_path):
    """Three images of other sides and colours than the model's."""
    for name, level in GREY.items():
        image_file.write(tmp_path / "in" / f"{name}.png", np.full((11, 20, 3), level, np.uint8))
    return tmp_path / "in"


def rows_of(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_images_are_classified(run_cli, run, flat, tmp_path):
    result = run_cli(f"predict '{run}' '{flat}' '{flat / 'white.png'}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    rows = rows_of(tmp_path / "o" / "predictions.csv")
    assert [row["class"] for row in rows] == [*NAMES, "white"]
    files = [str(flat / f"{name}.png") for name in [*NAMES, "white"]]
    assert [row["file"] for row in rows] == files
    for row in rows:
        mean = GREY[row["class"]] / 127.5 - 1
        logits = np.array([-4 * mean, 2, 4 * mean])
        probability = np.exp(logits.max()) / np.exp(logits).sum()
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-4)
        assert f"{row['file']}: {row['class']} ({row['probability']})" in result.out
    assert "4 images classified" in result.out


def test_the_best_checkpoint_is_another_classifier(run_cli, run, flat, tmp_path):
    line = f"predict '{run}' '{flat}' --best --output '{tmp_path}/o'"
    assert run_cli(line).status == 0
    rows = rows_of(tmp_path / "o" / "predictions.csv")
    assert [row["class"] for row in rows] == ["white", "white", "black"]


def test_without_images_noise_becomes_images(run_cli, run, tmp_path):
    result = run_cli(f"predict '{run}' --output '{tmp_path}/o' --count 2 --label white")
    assert result.status == 0, result.err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "0000_label_2.png",
        "0001_label_2.png",
        "index.html",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'{run}' nowhere.png", "nowhere.png: no such image"),
        ("'{run}' '{run}/config.json'", "config.json"),
        ("'{run}' '{flat}' --grid", "--grid: is for images from noise"),
        ("'{run}' '{flat}' --label white", "--label: is for images from noise"),
        ("'{flat}' '{flat}'", "no run in this folder"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(run_cli, run, flat, tmp_path, arguments, said):
    line = f"predict {arguments} --output '{tmp_path}/o'".format(run=run, flat=flat)
    result = run_cli(line)
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert said in line
    assert not (tmp_path / "o").exists()


def test_a_saved_model_does_not_classify(run_cli, flat, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "contains_saved_model", lambda *_: True)
    result = run_cli(f"predict somewhere '{flat}' --output '{tmp_path}/o'")
    assert result.status == 2
    assert "somewhere: a SavedModel only makes images" in result.err


def test_the_export_classifies_as_the_run_does(run_cli, run, tmp_path):
    assert run_cli(f"export '{run}' --output '{tmp_path}'").status == 0
    loaded = tf.saved_model.load(str(tmp_path / "test_classification" / "1"))
    x = np.full((3, 8, 8, 1), [[[[-0.9]]], [[[0.1]]], [[[0.9]]]], "float32")
    said = loaded.signatures["serving_classify"](image=tf.constant(x))["probability"]
    logits = np.array([[-4 * m, 2, 4 * m] for m in (-0.9, 0.1, 0.9)])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said, expected, atol=1e-5)


class ReferenceSet:
    """Stands in for one whose reference classifier would have to be trained."""

    def __init__(self, data, count, split):
        self.count = count

    def table(self, shown, labels):
        return {"fid": len(shown)}


def test_evaluate_adds_the_accuracy_on_real_test_images(run_cli, run, monkeypatch):
    monkeypatch.setattr(reference_classifier, "SMALLEST", 1)
    monkeypatch.setattr(generation.samples, "ReferenceSet", ReferenceSet)
    for written in ("format_table", "reference_note"):
        monkeypatch.setattr(generation.samples, written, str)
    monkeypatch.setattr(generation.samples, "table", lambda results: [["", "fid"], ["a", "6"]])
    result = run_cli(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert report["results"] == {"fid": 6}
    classifier = report["classifier"]
    assert classifier == {"count": 8, "accuracy": 7 / 8, "worst_class": pytest.approx(2 / 3)}
    assert "right on 87.50% of 8 real test images, on 66.67% of its worst class" in result.out

    other = run_cli(f"evaluate '{run}' --count 6 --best --split train")
    assert other.status == 0, other.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert (report["split"], report["classifier"]["accuracy"]) == ("train", 1 / 8)
