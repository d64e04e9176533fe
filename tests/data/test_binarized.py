"""Binarized images have the threshold of the models that learn from them."""

from types import SimpleNamespace

from common.data.binarized import Binarized
from common.images import image_file

import numpy as np


def test_bytes_and_floats_have_the_same_threshold():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    asked = []

    def arrays(split, count=None):
        asked.append((split, count))
        return levels, np.array([7])

    data = Binarized(SimpleNamespace(name="x", image_size=16, channels=1, classes=9, arrays=arrays))
    x, y = data.arrays("test", 5)
    assert (data.image_size, data.channels, data.classes, *asked) == (16, 1, 9, ("test", 5))
    assert x.dtype == np.uint8 and set(np.unique(x)) == {0, 255} and y.tolist() == [7]
    np.testing.assert_array_equal(x == 255, image_file.to_unit(levels) > 0)
