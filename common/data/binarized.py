"""Binarized images, the evaluation data of models of binary images."""

import numpy as np


class Binarized:
    """The images of another dataset, each value thresholded to 0 or 255 at 128.

    Args:
        data: labelled images: `LabelledImages`, or what else has its `arrays`.
    """

    def __init__(self, data):
        self.name = f"{data.name} (binarized)"
        self.image_size, self.channels, self.classes = data.image_size, data.channels, data.classes
        self._data = data

    def arrays(self, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """x uint8 (N, S, S, C), 0 or 255, and y (N,) of the same images as `data.arrays`."""
        x, y = self._data.arrays(split, count)
        return np.where(x > 127, np.uint8(255), np.uint8(0)), y
