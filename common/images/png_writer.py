"""PNG files written row by row: an image that would fill the memory never lies there whole."""

from collections.abc import Iterable
from pathlib import Path

from common.io.atomic import atomic_file

import numpy as np
import png


def write(path: Path, height: int, width: int, channels: int, bands: Iterable[np.ndarray]):
    """Writes an image that comes in bands; the file appears whole or not at all.

    Args:
        path: its folder is made.
        height, width: pixels.
        channels: 1 for grey, 3 for RGB; 2 and 4 with alpha as the last.
        bands: uint8 (rows, width, channels), from top to bottom.

    Raises:
        UserError: it cannot be written.
        png.ProtocolError: the rows are of another width, or not `height` in the end.
    """
    rows = (row.tobytes() for band in bands for row in band)
    writer = png.Writer(width, height, greyscale=channels < 3, alpha=channels in (2, 4))
    with atomic_file(path) as part, open(part, "wb") as file:
        writer.write(file, rows)
