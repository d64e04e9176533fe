"""Numbers of codes, on codes whose numbers are known."""

from common.metrics import codes

import numpy as np
import pytest


def test_the_numbers_of_codes():
    x = np.array([[[[0]], [[255]]]], np.uint8)
    assert codes.squared_error(x, x) == 0
    assert codes.squared_error(x, x[:, ::-1]) == 1
    assert codes.squared_error(x, np.array([[[[51]], [[255]]]], np.uint8)) == pytest.approx(0.02)
    assert codes.spread(np.array([[1.0, 0], [3, 0]])) == {"mean": [0, 2], "std": [0, 1]}
    assert codes.share_told_apart(np.array([1, -1, 2, 3]), np.array([-1, 1])) == (0.75 + 0.5) / 2
