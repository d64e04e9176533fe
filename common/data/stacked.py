"""Stacked digits: RGB images whose channels are digits, a set of known modes (Metz et al. 2017)."""

import numpy as np

SEED = 0  # fixed, so that all runs see the same stacks
DIGITS = {"stacked_mnist": "mnist", "stacked_digits": "embedded"}  # whose images are the channels


class Stacked:
    """Stacks of three random digits as an array, uint8 (count, H, W, 3), made when accessed.

    Args:
        images: grayscale images, an array (M, H, W, 1) or what else has its shape and rows.
        rows: the images to stack, int (N,).
        number: number of the split, so that splits have other stacks.

    Attributes:
        shape: that of the array; there are as many stacks as rows.
        chosen: the three images of each stack, int (N, 3).
    """

    def __init__(self, images, rows: np.ndarray, number: int):
        self._images = images
        random = np.random.default_rng([SEED, number])
        self.chosen = rows[random.integers(len(rows), size=(len(rows), 3))]
        self.shape = (len(rows), *images.shape[1:3], 3)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The stacks at an array of row indices: uint8 (n, H, W, 3)."""
        channels = [self._images[self.chosen[rows, channel]] for channel in range(3)]
        return np.concatenate(channels, axis=-1)
