"""Counting the modes of stacked digits: what is drawn, by whom it is judged, what is reported."""

from types import SimpleNamespace

from common.data.labelled import LabelledImages
from common.evaluation import stacked_modes
from common.inference.sampler import TRAINING_SEED, sampler_of
from common.metrics.stacked import stacked_modes as modes_of
from common.reports.result_page import ResultPage
from common.tasks.evaluation import EvaluationOptions
from common.tasks.stacked_digits import StackedDigits
from madgan.madgan import MADGAN
from tests.helpers.models import randomize

import keras
import numpy as np
import pytest

COUNT = 12


class Brightness:
    """Stub of the reference classifier: the class is the tenth of the mean brightness."""

    accuracy = 0.75

    def __init__(self):
        self.shapes = set()

    def logits(self, x):
        self.shapes.add(x.shape[1:])
        return np.eye(10)[np.minimum(x.mean(axis=(1, 2, 3)) // 25.6, 9).astype(int)]


@pytest.fixture
def classifier(monkeypatch):
    stub = Brightness()
    monkeypatch.setattr(stacked_modes, "trained_classifier", lambda digits: stub)
    monkeypatch.setattr(stacked_modes, "COUNT", COUNT)
    return stub


@pytest.fixture
def evaluate(tmp_path):
    """evaluate(dataset) -> model and report of an evaluation of the capability on a dataset."""
    x = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    digits = {"x_train": x[:30], "y_train": np.arange(30) % 10}
    np.savez(tmp_path / "mnist.npz", **digits, x_test=x[30:], y_test=np.arange(10))

    def call(dataset):
        keras.utils.set_random_seed(1)
        data = LabelledImages(5, dataset, str(tmp_path), image_size=8)
        sizes = {"width": 2, "latent_size": 4, "dense_units": 4}
        model = MADGAN(image_size=8, channels=data.channels, generators=3, **sizes)
        randomize(model.generator, 0.5)
        run = SimpleNamespace(config=lambda: {"options": {"seed": 5, "data_dir": str(tmp_path)}})
        page, options = ResultPage("modes", {}), EvaluationOptions()
        report = {}
        StackedDigits().evaluate(
            SimpleNamespace(
                data=data, run=run, options=options, model=model, page=page, report=report
            )
        )
        return model, report

    return call


def test_the_modes_of_images_from_fixed_noise_are_reported(classifier, evaluate):
    model, report = evaluate("stacked_mnist")
    found = report["stacked_modes"]
    assert found["count"] == COUNT and found["classifier_accuracy"] == 0.75
    assert classifier.shapes == {(8, 8, 1)}  # each channel by itself
    sampler = sampler_of(model)
    images = sampler.all(sampler.noise(TRAINING_SEED, COUNT))
    channels = [classifier.logits(images[..., [c]]).argmax(axis=1) for c in range(3)]
    assert found["rows"]["model"] == modes_of(np.stack(channels, axis=1), np.full(10, 0.1))
    assert 1 <= found["rows"]["model"]["modes"] <= COUNT


def test_other_data_have_no_such_modes(classifier, evaluate):
    _, report = evaluate("mnist")
    assert report == {} and not classifier.shapes
