"""Splits of labelled images, in arrays or in files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from common.data.sources.splits import hash_of_names
from common.data.stacked import Stacked
from common.data.synthetic.digits import Digits
from common.images import image_file

import numpy as np


@dataclass
class ArraySplit:
    """Some of the images of an array.

    Attributes:
        images: uint8 (M, H, W, 1 or 3), an array, `Digits` or `Stacked`.
        rows: indices of the images of the split, (N,).
        labels: int32 (N,).
    """

    images: np.ndarray | Digits | Stacked
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, (H, W, C)."""
        return tuple(self.images.shape[1:])

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Images (n, H, W, C) at the indices (n,)."""
        return self.images[self.rows[indices]]

    def subset(self, indices: np.ndarray) -> "ArraySplit":
        return ArraySplit(self.images, self.rows[indices], self.labels[indices])

    def digest(self) -> str:
        """A hash of the labels and of a hundred evenly spaced images."""
        content = hashlib.sha256(self.labels.tobytes())
        if isinstance(self.images, Digits):  # without drawing them
            content.update(f"{self.images.seed} {self.images.first}".encode())
        else:
            some = np.linspace(0, len(self) - 1, min(len(self), 100)).astype(int)
            content.update(f"{self.shape}".encode() + self.take(some).tobytes())
        return content.hexdigest()


@dataclass
class FileSplit:
    """Images in files.

    Attributes:
        root: folder that the hashed names are relative to.
        paths: paths of the images.
        labels: int32 (N,).
    """

    root: Path
    paths: list[Path]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> np.ndarray:
        """One image, (H, W, 3). Raises BadImage."""
        return image_file.read(self.paths[index])

    def subset(self, indices: np.ndarray) -> "FileSplit":
        return FileSplit(self.root, [self.paths[i] for i in indices], self.labels[indices])

    def digest(self) -> str:
        """A hash of the file names."""
        return hash_of_names(path.relative_to(self.root).as_posix() for path in self.paths)
