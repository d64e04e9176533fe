"""Measures of refined images: the label that is kept, the strength of the band, the FID."""

from types import SimpleNamespace

from common.evaluation import reference_classifier, refinement
from common.evaluation.refinement import Refined, RefinementMetrics

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (30, 16, 16, 1), np.uint8)
ENLARGED = np.full_like(X, 100)


class Classifier:
    """Features are the means of rows; the class is 1 for bright images."""

    def features_and_logits(self, x):
        features = x.mean(axis=(2, 3)) / 255
        bright = features.mean(axis=1) > 0.6
        return features, np.stack([1.0 - bright, bright], axis=1)

    def features(self, x):
        return self.features_and_logits(x)[0]


@pytest.fixture
def metrics(monkeypatch):
    monkeypatch.setattr(reference_classifier, "trained_classifier", lambda data: Classifier())
    return RefinementMetrics(SimpleNamespace(name="here", classes=2, image_size=16), X)


def band(images, enlarged):
    return np.abs(images.astype(float) - enlarged).mean()


def test_metrics_of_refined_images(metrics):
    images = RANDOM.integers(0, 200, X.shape, np.uint8)
    images[:12] = 220
    labels = np.array([1] * 10 + [0] * 20)
    found = metrics.measure(Refined(images, images // 2, labels), ENLARGED)
    assert found["label_kept"] == pytest.approx(28 / 30)
    expected = band(images, images // 2) / band(X, ENLARGED)
    assert found["band"] == pytest.approx(expected, rel=1e-5)
    assert found["count"] == 30 and found["fid"] > 0.1
    same = metrics.measure(Refined(X, ENLARGED, None), ENLARGED)
    assert same.keys() == {"band", "fid", "count"}
    assert same["band"] == 1 and same["fid"] == pytest.approx(0, abs=1e-6)
    assert metrics.measure(Refined(ENLARGED, ENLARGED, labels), ENLARGED)["band"] == 0


def test_without_labels_there_is_the_band_alone():
    data = SimpleNamespace(name="here", classes=0, image_size=16)
    found = RefinementMetrics(data, X).measure(Refined(X, X // 2, None), X // 2)
    assert found == {"band": 1.0, "count": 30}
    assert refinement.table({"7 to 28 px": found}) == [
        ["", "band", "images"],
        ["7 to 28 px", "1.000", "30"],
    ]


def test_a_value_that_a_row_has_not_is_a_dash():
    rows = {"a": {"label_kept": 0.5, "fid": 1.0}, "b": {"fid": 2.0}}
    assert refinement.table(rows) == [
        ["", "label kept ↑", "fid ↓"],
        ["a", "50.00%", "1.00"],
        ["b", "-", "2.00"],
    ]
