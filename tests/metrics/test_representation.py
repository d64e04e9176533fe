from common.metrics import representation
from common.metrics.representation import linear_accuracy

import numpy as np
import pytest


def corners(count=40):
    """Points near the four corners of a square, and the index of each one's corner."""
    random = np.random.default_rng(0)
    corner = np.arange(count) % 4
    points = np.stack([corner // 2, corner % 2], axis=1) * 2.0 - 1
    return points + random.normal(0, 0.1, (count, 2)), corner


def test_linear_probe_of_linearly_separable_classes_is_perfect():
    points, corner = corners()
    assert linear_accuracy((points, corner // 2), (points, corner // 2)) == 1
    assert linear_accuracy((points, corner), (points, corner)) == 1  # one-vs-rest


def test_linear_probe_cannot_solve_exclusive_or():
    points, corner = corners()
    opposite = (corner == 0) | (corner == 3)
    assert linear_accuracy((points, opposite), (points, opposite)) <= 0.75
    products = np.c_[points, points.prod(axis=1)]  # linearly separable in three dimensions
    assert linear_accuracy((products, opposite), (products, opposite)) == 1


def test_linear_probe_measures_test_accuracy():
    points, corner = corners()
    assert linear_accuracy((points, corner // 2), (points, 1 - corner // 2)) == 0


def test_linear_probe_refuses_a_single_class():
    points, corner = corners()
    with pytest.raises(ValueError):
        linear_accuracy((points, corner * 0), (points, corner))


def test_reconstruction_mse_is_on_the_unit_scale():
    x = np.array([[[[0]], [[255]]]], np.uint8)
    assert representation.reconstruction_mse(x, x) == 0
    assert representation.reconstruction_mse(x, x[:, ::-1]) == 1
    x_hat = np.array([[[[51]], [[255]]]], np.uint8)
    assert representation.reconstruction_mse(x, x_hat) == pytest.approx(0.02)


def test_moment_ranges_are_over_components():
    ranges = representation.moment_ranges(np.array([[1.0, 0], [3, 0]]))
    assert ranges == {"mean": [0, 2], "std": [0, 1]}


def test_balanced_accuracy_weighs_real_and_fake_equally():
    real, fake = np.array([1, -1, 2, 3]), np.array([-1, 1])
    assert representation.balanced_accuracy(real, fake) == (0.75 + 0.5) / 2
