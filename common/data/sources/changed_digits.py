"""Unpaired digits: those of a labelled dataset, changed by a function in one of the two domains."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from common.data.sources.labelled_splits import ArraySplit
from common.images import image_file

import numpy as np
from scipy import ndimage

DIGIT_SIDE, MARGIN = 32, 2  # px: a digit of 28 px with a margin, so that its sides halve evenly
Change = Callable[[np.ndarray], np.ndarray]


@dataclass
class ChangedDigits:
    """Digits, changed by a function in one of the two domains.

    Attributes:
        digits: white on black, uint8 (28, 28, 1) each.
        change: function of uint8 (N, 32, 32, 1) that makes the images of this domain.
        other: function that makes those of the other domain.
    """

    digits: ArraySplit
    change: Change
    other: Change
    has_targets = True

    def __len__(self) -> int:
        return len(self.digits)

    def name(self, index: int) -> str:
        return f"digit_{self.digits.rows[index]:05d}.png"

    def read(self, index: int, size: int) -> np.ndarray:
        """uint8 (size, size, 1)."""
        return self._drawn(index, size, self.change)

    def target(self, index: int, size: int) -> np.ndarray:
        """The digit in the other domain, uint8 (size, size, 1)."""
        return self._drawn(index, size, self.other)

    def label(self, index: int) -> int:
        return int(self.digits.labels[index])

    def _drawn(self, index: int, size: int, change: Callable) -> np.ndarray:
        around = (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)
        drawn = change(np.pad(self.digits.take(np.array([index])), around))[0]
        return drawn if size == DIGIT_SIDE else image_file.resize(drawn, size, size)

    def digest(self) -> str:
        content = f"{self.digits.digest()} {self.change.__name__}"  # renaming one breaks resuming
        return hashlib.sha256(content.encode()).hexdigest()


def as_digits(x: np.ndarray) -> np.ndarray:
    """Crops images of digits to the digits: uint8 (N, S, S, 1 or 3) -> (N, 28, 28, 1)."""
    grayscale = (image_file.to_channels(one, 1) for one in x)
    resized = [image_file.resize(one, DIGIT_SIDE, DIGIT_SIDE) for one in grayscale]
    return np.stack(resized)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def as_they_are(x: np.ndarray) -> np.ndarray:
    return x


def outlines(x: np.ndarray) -> np.ndarray:
    """The pixels around the ink: x dilated by 3x3 pixels, minus x. uint8 (N, H, W, 1)."""
    return ndimage.grey_dilation(x, (1, 3, 3, 1), mode="constant") - x


def negatives(x: np.ndarray) -> np.ndarray:
    """Black on white."""
    return 255 - x


# Each dataset of digits: the labelled dataset that it is made from, and the change in domain B.
DIGITS = {
    "mnist_outlines": ("mnist", outlines),
    "mnist_negatives": ("mnist", negatives),
    "digits_outlines": ("embedded", outlines),
    "digits_negatives": ("embedded", negatives),
}


def digit_splits(
    train: ArraySplit, test: ArraySplit, change: Change, seed: int
) -> dict[str, ChangedDigits]:
    """Digits (A) and the same kind of digits changed (B).

    The training digits are divided between the two at random: no digit is in both. Each test
    split has all test digits, since nothing is learned from them.
    """
    order = np.random.default_rng([seed, 3]).permutation(len(train))
    halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    splits = {}
    for split, part in (("train", [*map(train.subset, halves)]), ("test", [test, test])):
        splits[f"{split}A"] = ChangedDigits(part[0], as_they_are, change)
        splits[f"{split}B"] = ChangedDigits(part[1], change, as_they_are)
    return splits
