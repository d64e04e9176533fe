"""PNG files written row by row, for images that do not fit into memory."""

from collections.abc import Iterable
from pathlib import Path

from common.io.atomic import atomic_file

import numpy as np
import png


def write(path: Path, height: int, width: int, channels: int, bands: Iterable[np.ndarray]):
    """Writes an image given in bands, atomically.

    Args:
        path: its folder is created if it does not exist.
        height, width: pixels.
        channels: 1 for grayscale, 3 for RGB; 2 and 4 with alpha as the last channel.
        bands: uint8 (rows, width, channels), from top to bottom.

    Raises:
        UserError: the file cannot be written.
        png.ProtocolError: a row has another width, or the number of rows is not `height`.
    """
    rows = (row.tobytes() for band in bands for row in band)
    writer = png.Writer(width, height, greyscale=channels < 3, alpha=channels in (2, 4))
    with atomic_file(path) as part, open(part, "wb") as file:
        writer.write(file, rows)
