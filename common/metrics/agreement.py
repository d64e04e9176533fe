"""Agreement of corresponding images of two domains."""

import numpy as np
from scipy.optimize import linear_sum_assignment

THRESHOLD = 128  # of 255, from which a pixel is white


def label_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pairs that show the same class: classes of both images, int (N,) each."""
    return float(np.mean(a == b))


def relabelled_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pairs that agree after the best permutation of the classes of b.

    Where each class of a is shown as one other class, and always as the same one, it is 1.

    Args:
        a, b: classes of both images, from 0, int (N,) each.
    """
    classes = 1 + max(a.max(), b.max())
    counts = np.bincount(classes * a + b, minlength=classes**2).reshape(classes, classes)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(a))


def pixel_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pixels that are white in both images or in neither: uint8 (N, H, W, C) each.

    The pixel agreement ratio of Liu and Tuzel 2016 (arXiv:1606.07536, section 4), where `a` is the
    image of the one domain after the change that makes an image of the other.
    """
    return float(np.mean((a >= THRESHOLD) == (b >= THRESHOLD)))
