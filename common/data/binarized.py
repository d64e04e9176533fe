"""A data set in black and white: what models of binary images mean to draw."""

import numpy as np


class BlackAndWhite:
    """Another data set's images, each pixel black or, from the middle of the greys up, white.

    Args:
        data: images and labels, as `common.evaluation.reference_classifier.LabelledData`.
    """

    def __init__(self, data):
        self.name = f"{data.name} in black and white"
        self.image_size, self.channels, self.classes = data.image_size, data.channels, data.classes
        self._data = data

    def arrays(self, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(x uint8 (N, S, S, C) of 0 and 255, y (N,)), the same ones as of the data set."""
        x, y = self._data.arrays(split, count)
        return np.where(x > 127, np.uint8(255), np.uint8(0)), y
