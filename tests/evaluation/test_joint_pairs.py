"""Metrics of pairs, with stubs for the reference classifiers."""

from types import SimpleNamespace

from common.evaluation import joint_pairs, reference_classifier

import numpy as np
import pytest

LEVELS = np.array([0, 100, 200, 250])
A = np.broadcast_to(LEVELS[:, None, None, None], (4, 2, 2, 1)).astype(np.uint8)
B = 255 - A


@pytest.fixture(autouse=True)
def brightness(monkeypatch):
    """Reference classifiers whose class is the mean brightness, in three steps."""

    def logits(x):
        return np.eye(3)[(x.mean(axis=(1, 2, 3)) / 86).astype(int)]

    stub = SimpleNamespace(logits=logits)
    monkeypatch.setattr(reference_classifier, "trained_classifier", lambda data: stub)


def domains(classes=3, change=None):
    domain = SimpleNamespace(name="here", classes=classes, image_size=28)
    return SimpleNamespace(source=domain, target=domain, change=change)


def test_pairs_and_pairs_by_chance():
    data = domains(change=lambda x: 255 - x)
    metrics = joint_pairs.PairMetrics(data)
    assert joint_pairs.metrics_of(data) == {"label_agreement": 1, "pixel_agreement": 1}
    # Classes 0 1 2 2 and 2 1 0 0; with the images of B moved by one 0 2 1 0.
    assert metrics.measure(A, B) == {"label_agreement": 0.25, "pixel_agreement": 1.0}
    found = metrics.compare(A, B)
    assert found["by chance"] == {"label_agreement": 0.25, "pixel_agreement": 0.5}
    rows = joint_pairs.table(found)
    assert rows == [
        ["", "same class ↑", "same pixels ↑"],
        ["pairs", "25.00%", "100.00%"],
        ["by chance", "25.00%", "50.00%"],
    ]


def test_metrics_that_are_not_defined_are_left_out():
    assert joint_pairs.PairMetrics(domains()).measure(A, B) == {"label_agreement": 0.25}
    unlabelled = domains(classes=0, change=lambda x: x)
    assert joint_pairs.metrics_of(unlabelled) == {"pixel_agreement": 1}
    assert "no labels" in joint_pairs.unavailable(unlabelled)
    assert joint_pairs.PairMetrics(unlabelled).measure(A, A) == {"pixel_agreement": 1.0}
    assert joint_pairs.metrics_of(domains(classes=0)) == {}
