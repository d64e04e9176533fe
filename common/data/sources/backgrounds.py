"""Photographs or generated textures, and digits over patches of them: the digits of MNIST-M.

A digit's image is |patch - digit| per channel (Ganin et al. 2016, Domain-Adversarial Training of
Neural Networks, arXiv:1505.07818). The digit's index alone determines its patch, so the images are
the same in every run.
"""

from dataclasses import dataclass
from pathlib import Path

from common.data.reading import BadImages, Cache
from common.data.sources.labelled_splits import ArraySplit
from common.data.sources.splits import random_split
from common.data.sources.super_resolution import ImageFile, Source, Texture
from common.errors import UserError
from common.images import listing
from common.images.image_file import BadImage

import numpy as np

SEED = 0  # fixed, so that all runs have the same images and share a reference classifier
TEXTURES = {"train": 200, "test": 50}


@dataclass
class Backgrounds:
    """Images that patches are cropped from.

    Attributes:
        sources: the images.
        bad: what happens to unreadable ones.
        cache: keeps images in memory, by number.
    """

    sources: list[Source]
    bad: BadImages
    cache: Cache

    def patch(self, index: int, side: int) -> np.ndarray:
        """The patch with this index, uint8 (side, side, 3)."""
        random = np.random.default_rng([SEED, 5, index])
        number = int(random.integers(len(self.sources)))

        def read(number: int) -> np.ndarray:
            return self.cache.get(number, lambda: large_enough(self.sources[number], side))

        message = "--photos: no photograph can be read; give a folder of others"
        _, image = self.bad.next_readable(read, number, len(self.sources), message)
        room = [length - side for length in image.shape[:2]]
        top, left = (int(random.integers(most, endpoint=True)) for most in room)
        return image[top : top + side, left : left + side]


def large_enough(source: Source, side: int) -> np.ndarray:
    """Reads an image, uint8 (H, W, 3). Raises BadImage if it is smaller than a patch."""
    image = source.read()
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise BadImage(
            f"{source.path}: {width}x{height} px, too small for a patch of {side} px; replace "
            "it by a larger one"
        )
    return image


def find_backgrounds(photos: str | None, bad: BadImages, cache_mb: int) -> dict[str, Backgrounds]:
    """Backgrounds by split, train and test; no image is in both.

    Args:
        photos: folder of photographs, of which a random fifth is for testing; None for generated
            textures.
        bad: what happens to unreadable photographs.
        cache_mb: megabytes of the backgrounds of each split to keep in memory.

    Raises:
        UserError: there is no such folder, or it has fewer than two images.
    """
    if photos is None:
        first = {"train": 0, "test": TEXTURES["train"]}
        sources = {
            split: [Texture(SEED, first[split] + number) for number in range(count)]
            for split, count in TEXTURES.items()
        }
    else:
        sources = photographs(photos)
    return {split: Backgrounds(found, bad, Cache(cache_mb)) for split, found in sources.items()}


def photographs(folder: str) -> dict[str, list[Source]]:
    """The photographs of a folder, of which a random fifth is for testing."""
    try:
        paths = listing.find(Path(folder).expanduser())
    except UserError as error:
        raise UserError(f"--photos {error}") from error
    listing.print_ignored(folder, paths)
    if len(paths) < 2:
        raise UserError(f"--photos {folder}: one photograph is too few; give two or more")
    parts = random_split(len(paths), SEED, max(1, len(paths) // 5))
    train, test = ([ImageFile(paths[i]) for i in part] for part in parts)
    return {"train": train, "test": test}


class OverBackgrounds:
    """Digits over patches of backgrounds as an array, uint8 (N, S, S, 3).

    An image is made whenever it is accessed.

    Args:
        digits: white on black, uint8 (N, S, S, 1): an array, or what is indexed like one.
        backgrounds: what the patches are cropped from.
    """

    def __init__(self, digits: np.ndarray, backgrounds: Backgrounds):
        self._digits, self._backgrounds = digits, backgrounds
        self.shape = *digits.shape[:3], 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The images at an array of row indices: uint8 (n, S, S, 3), own memory."""
        made = np.empty((len(rows), *self.shape[1:]), np.uint8)
        digits = self._digits[rows].astype(np.int16)
        for image, digit, row in zip(made, digits, rows.tolist(), strict=True):
            image[...] = np.abs(self._backgrounds.patch(row, self.shape[1]) - digit)
        return made


def over_backgrounds(digits: ArraySplit, backgrounds: Backgrounds) -> ArraySplit:
    """The same digits with the same labels, over backgrounds."""
    return ArraySplit(OverBackgrounds(digits.images, backgrounds), digits.rows, digits.labels)
