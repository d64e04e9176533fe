from common.metrics.classifier_scores import (
    class_accuracies,
    class_shares,
    class_variances,
    inception_score,
    mean_and_min,
    variance_ratios,
)

import numpy as np
import pytest


def test_inception_score_equals_the_formula():
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=30)
    marginal = p.mean(0)
    expected = np.exp(np.mean([np.sum(row * np.log(row / marginal)) for row in p]))
    mean, deviation = inception_score(p)
    assert (mean, deviation) == (pytest.approx(expected), 0)


def test_inception_score_of_known_cases():
    certain = np.eye(7)[np.arange(70) % 7]  # contains zeros
    assert inception_score(certain)[0] == pytest.approx(7)
    assert inception_score(certain[:, :2].repeat(3, 1) * 0 + 1 / 6)[0] == pytest.approx(1)
    assert inception_score(np.eye(7)[np.full(70, 3)])[0] == pytest.approx(1)
    halves = np.eye(7)[np.arange(70) % 2]  # certain, two of the classes
    assert inception_score(halves)[0] == pytest.approx(2)


def test_inception_score_in_parts_is_robust_to_sorting_by_class():
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=20)
    parts = [inception_score(p[first::5])[0] for first in range(5)]
    assert inception_score(p, 5) == (pytest.approx(np.mean(parts)), pytest.approx(np.std(parts)))
    ordered = np.eye(10)[np.repeat(np.arange(10), 50)]
    assert inception_score(ordered, 10) == (pytest.approx(10), pytest.approx(0))


def test_inception_score_refuses_invalid_shapes():
    for wrong in (np.zeros((3, 4)), np.zeros(10)):
        with pytest.raises(ValueError, match=r"\(N, K\)"):
            inception_score(wrong, 5)


def test_shares_include_missing_classes():
    np.testing.assert_array_equal(class_shares(np.array([0, 2, 2, 0]), 4), [0.5, 0, 0.5, 0])


def test_accuracy_of_each_requested_class():
    requested = np.array([0, 0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 0, 0, 2, 3, 0, 3])
    accuracies = class_accuracies(predicted, requested, 4)
    np.testing.assert_array_equal(accuracies, [0.75, 0, np.nan, 1])
    mean, minimum = mean_and_min(accuracies)
    assert mean == pytest.approx(1.75 / 3) and minimum == 0
    with pytest.raises(ValueError, match="one class per image"):
        class_accuracies(predicted[:1], requested, 4)


def test_class_variances_equal_numpy():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (41, 6, 5, 3), np.uint8)
    labels = np.append(rng.integers(0, 3, 40), 4)  # class 3 has no image, class 4 a single one
    variances = class_variances(images, labels, 5)
    expected = [images[labels == k].astype(float).var(0, ddof=1).mean() for k in range(3)]
    np.testing.assert_allclose(variances, [*expected, np.nan, np.nan])
    np.testing.assert_array_equal(class_variances(images, labels.tolist(), 5), variances)
    with pytest.raises(ValueError, match="41 images have 40 labels"):
        class_variances(images, labels[:40], 5)


def test_variance_ratio_is_zero_for_equal_images_and_a_quarter_at_half_contrast():
    rng = np.random.default_rng(0)
    real = 2 * rng.integers(0, 100, (60, 4, 4, 1), np.uint8)
    labels = np.arange(60) % 3
    generated = np.where(labels[:, None, None, None] == 0, real[:1], real // 2)
    variances = [class_variances(images, labels, 3) for images in (generated, real)]
    np.testing.assert_allclose(variance_ratios(*variances), [0, 0.25, 0.25])
    assert mean_and_min(variance_ratios(*variances)) == (pytest.approx(0.5 / 3), 0)


def test_variance_ratio_is_nan_where_undefined():
    known = variance_ratios(np.array([1.0, np.nan, 1, 0]), np.array([2.0, 1, np.nan, 0]))
    np.testing.assert_array_equal(known, [0.5, np.nan, np.nan, np.nan])
    assert mean_and_min(known) == (0.5, 0.5)
    np.testing.assert_equal(mean_and_min(known[1:]), (np.nan, np.nan))
