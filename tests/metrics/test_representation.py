from common.metrics.representation import linear_accuracy

import numpy as np
import pytest


def corners(count=40):
    """Points near the four corners of a square, and the number of each one's corner."""
    random = np.random.default_rng(0)
    corner = np.arange(count) % 4
    points = np.stack([corner // 2, corner % 2], axis=1) * 2.0 - 1
    return points + random.normal(0, 0.1, (count, 2)), corner


def test_classes_that_lines_separate_are_told_apart():
    points, corner = corners()
    assert linear_accuracy((points, corner // 2), (points, corner // 2)) == 1
    assert linear_accuracy((points, corner), (points, corner)) == 1  # each one against the rest


def test_classes_that_no_line_separates_are_not():
    points, corner = corners()
    opposite = (corner == 0) | (corner == 3)  # exclusive or
    assert linear_accuracy((points, opposite), (points, opposite)) <= 0.75
    products = np.c_[points, points.prod(axis=1)]  # of which one more feature makes a plane
    assert linear_accuracy((products, opposite), (products, opposite)) == 1


def test_it_is_measured_on_the_other_images():
    points, corner = corners()
    assert linear_accuracy((points, corner // 2), (points, 1 - corner // 2)) == 0


def test_one_class_is_refused():
    points, corner = corners()
    with pytest.raises(ValueError):
        linear_accuracy((points, corner * 0), (points, corner))
