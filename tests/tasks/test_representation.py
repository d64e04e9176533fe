"""Evaluation with features: a linear classifier of them, beside one of the pixels."""

import json

from common.evaluation import reference_classifier
from common.tasks.representation import RepresentingGeneration
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import command_line
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest
import tensorflow as tf


class Edges(TinyGan):
    """A tiny generator whose features are the jump in the middle of an image.

    Args:
        image_size: side of the images in pixels.
        channels: of the images.
        classes: of the data set.
    """

    def __init__(self, image_size: int = 8, channels: int = 1, classes: int = 2):
        super().__init__(image_size, channels, classes)

    def features(self, x):
        return tf.abs(x[:, 4, 3] - x[:, 4, 4])


def images(count, seed):
    """Left and right half black and white, or both alike: no pixel alone tells which."""
    random = np.random.default_rng(seed)
    left, edge = random.integers(0, 2, (2, count))
    x = np.repeat(np.stack([left, left ^ edge], axis=1)[:, None], 8, axis=1).repeat(4, axis=2)
    return (255 * x).astype(np.uint8), edge


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Untrained runs on such images, labelled and not."""
    folder = tmp_path_factory.mktemp("features")
    (x, y), (x_test, y_test) = images(60, 0), images(30, 1)
    made = {}
    for name, labels in {"labelled": {"y_train": y, "y_test": y_test}, "bare": {}}.items():
        np.savez(folder / f"{name}.npz", x_train=x, x_test=x_test, **labels)
        data = RepresentingGeneration.data(seed=0, dataset=str(folder / f"{name}.npz"))
        run = Run(folder / name)
        run.write_config("test_representation", {"seed": 0} | data.found, data.fingerprint())
        checkpoint.save(run.checkpoints, 1, Edges())
        made[name] = run.folder
    return made


@pytest.fixture
def run_cli(capsys):
    return command_line(capsys, Edges, RepresentingGeneration)


def test_features_are_held_against_pixels(runs, run_cli, monkeypatch):
    monkeypatch.setattr(
        reference_classifier, "unavailable_reason", lambda data: "no reference classifier here"
    )  # it takes its time
    result = run_cli(f"evaluate '{runs['labelled']}' --count 20")
    assert result.status == 0, result.err
    features = json.loads((runs["labelled"] / "evaluation.json").read_text())["features"]
    assert features["accuracy"] == 1
    assert features["accuracy_of_pixels"] < 0.8
    assert (features["labels"], features["count"]) == (60, 30)
    said = "by 60 labels: right on 100.00% of 30 real test images"
    assert said in result.out
    assert said in (runs["labelled"] / "evaluation" / "index.html").read_text()


def test_images_without_labels_have_no_such_measure(runs, run_cli):
    result = run_cli(f"evaluate '{runs['bare']}' --count 20")
    assert result.status == 0, result.err
    assert "linear" not in result.out
    assert "features" not in json.loads((runs["bare"] / "evaluation.json").read_text())
