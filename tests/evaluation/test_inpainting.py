"""Evaluation of in-painting: errors in the hole, classes kept, and trivial fillings."""

from types import SimpleNamespace

from common.evaluation import inpainting

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (9, 6, 6, 2), np.uint8)
COMPLETED = RANDOM.integers(0, 256, X.shape, np.uint8)
HOLES = np.zeros((9, 6, 6), bool)
for number, hole in enumerate(HOLES):
    hole[number % 3 : number % 3 + 2, number // 3 : number // 3 + 3] = True
LABELS = np.arange(9) % 3


def brightness(x):
    """Logits of three classes of brightness."""
    return np.eye(3)[np.digitize(x.reshape(len(x), -1).mean(axis=1), [85, 170])]


CLASSIFIER = SimpleNamespace(logits=brightness)


def test_scores_are_those_of_the_hole_alone():
    completed = np.where(HOLES[..., None], COMPLETED, X)
    expected = np.abs(completed.astype(float) - X)[HOLES].mean() / 127.5
    scores = inpainting.scores(completed, X, HOLES, LABELS, None)
    assert scores == {"hole_l1": pytest.approx(expected, rel=1e-5), "count": 9}
    # The same in the hole, and different elsewhere.
    outside = inpainting.scores(COMPLETED, X, HOLES, LABELS, None)
    assert outside["hole_l1"] == pytest.approx(expected, rel=1e-5)


def test_a_class_is_kept_where_the_classifier_predicts_the_true_one():
    images = np.zeros((9, 6, 6, 1), np.uint8)
    images[:] = np.array([0, 110, 255, 0, 110, 255, 0, 255, 255])[:, None, None, None]
    scores = inpainting.scores(images, images, HOLES, LABELS, CLASSIFIER)
    assert scores["hole_l1"] == 0
    assert scores["class_kept"] == pytest.approx(8 / 9)
    assert scores["worst_class"] == pytest.approx(2 / 3)


def test_baselines_are_the_mean_image_and_the_median_colour():
    training = RANDOM.integers(0, 256, (11, 6, 6, 2), np.uint8)
    fillings = inpainting.baselines(training)
    assert list(fillings) == ["mean image", "median colour"]
    mean = np.rint(training.mean(axis=0))
    median = [int(np.median(training[..., channel])) for channel in range(2)]
    for fill, values in zip(fillings.values(), (mean, median), strict=True):
        expected = np.where(HOLES[..., None], values, X)
        np.testing.assert_array_equal(fill(X, HOLES), expected)


def test_compare_has_a_row_for_the_model_each_baseline_and_the_original():
    def fill(images, holes):
        return np.where(holes[..., None], COMPLETED, images)

    results = inpainting.compare(fill, X, HOLES, LABELS, X, CLASSIFIER)
    assert list(results) == ["model", "mean image", "median colour", "original image"]
    assert results["original image"]["hole_l1"] == 0
    assert results["model"] == inpainting.scores(fill(X, HOLES), X, HOLES, LABELS, CLASSIFIER)
    header, *rows = inpainting.table(results)
    assert header == ["", "L1 in the hole ↓", "class kept ↑", "worst class ↑", "images"]
    assert [row[0] for row in rows] == list(results)
    assert rows[3][1] == "0.0000" and rows[0][-1] == "9"
    assert len(set(map(len, inpainting.format_table(results).splitlines()))) == 1


def test_without_a_classifier_there_is_the_error_alone():
    results = inpainting.compare(lambda x, holes: x, X, HOLES, LABELS, X, None)
    assert inpainting.table(results)[0] == ["", "L1 in the hole ↓", "images"]
