"""The usual size and channels of image files, from the headers of some of them."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from common.images.image_file import SUFFIXES

import numpy as np
from PIL import Image

SAMPLE = 64  # number of files looked at
_GRAYSCALE = ("1", "L", "LA", "La", "I", "F")  # Pillow's modes; also I;16, I;16B, ...


class Survey(NamedTuple):
    """What is usual in image files.

    Attributes:
        side: median of the shorter sides in pixels; None if no file could be read.
        channels: 1 if most files are grayscale, else 3.
    """

    side: int | None
    channels: int


def survey(files: Sequence[Path | BytesIO]) -> Survey:
    """Looks at `SAMPLE` evenly spaced files; those that cannot be read do not count."""
    some = np.unique(np.linspace(0, len(files) - 1, min(len(files), SAMPLE)).astype(int))
    headers = [header for i in some if (header := _header(files[i])) is not None]
    if not headers:
        return Survey(None, 3)
    sides, channels = zip(*headers, strict=True)
    return Survey(median_low(sides), 1 if 2 * channels.count(1) > len(channels) else 3)


def nearest_side(side: int | None, most: int) -> int:
    """The nearest side that networks of strided convolutions can have.

    Args:
        side: usual side of the images in pixels; None if unknown.
        most: largest side, and that for unknown ones.

    Returns:
        4 to 7 times a power of two, from 8 to `most`; of two that are equally near, the smaller.
    """
    sides = [base * 2**k for k in range(1, 10) for base in range(4, 8) if base * 2**k <= most]
    return most if side is None else min(sorted(sides), key=lambda each: abs(each - side))


def _header(file: Path | BytesIO) -> tuple[int, int] | None:
    """Shorter side and channels of an image file; None if it is unreadable."""
    known = Image.registered_extensions()
    formats = sorted({known[suffix] for suffix in SUFFIXES})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large or damaged images: `read` will repeat them
            with Image.open(file, formats=formats) as image:
                grayscale = image.mode in _GRAYSCALE or image.mode.startswith("I;16")
                if image.mode == "P":
                    colors = np.reshape(image.getpalette("RGB"), (-1, 3))
                    grayscale = not np.ptp(colors, axis=1).any()
                return min(image.size), 1 if grayscale else 3
    except Exception:  # Pillow's decoders raise nearly anything on damaged files
        return None
