"""Agreement of pairs, on examples counted by hand."""

from common.metrics.agreement import label_agreement, pixel_agreement, relabelled_agreement

import numpy as np


def test_label_agreement():
    assert label_agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75


def test_agreement_after_the_best_permutation_of_the_classes():
    a = np.array([0, 0, 1, 1, 2, 2])
    assert relabelled_agreement(a, (a + 1) % 3) == 1  # always the same other class
    assert relabelled_agreement(a, np.zeros(6, int)) == 2 / 6  # collapsed to one class
    assert relabelled_agreement(a, np.array([1, 1, 0, 2, 2, 2])) == 5 / 6


def test_pixels_are_binarized():
    a = np.array([0, 127, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    b = np.array([127, 128, 255, 130], np.uint8).reshape(1, 2, 2, 1)
    assert pixel_agreement(a, b) == 0.75
    assert pixel_agreement(a, a) == 1
    assert pixel_agreement(a, 255 - a) == 0
