"""PNG files written row by row: a picture that would fill the memory never lies there whole."""

from collections.abc import Iterable
from pathlib import Path

from common.errors import UserError

import numpy as np
import png


def write(path: Path, height: int, width: int, channels: int, bands: Iterable[np.ndarray]):
    """Writes a picture that comes in bands; the file appears whole or not at all.

    Args:
        path: its folder is made.
        height, width: pixels.
        channels: 1 for grey, 3 for RGB; 2 and 4 with alpha as the last.
        bands: uint8 (rows, width, channels), from top to bottom.

    Raises:
        UserError: it cannot be written.
        png.ProtocolError: the rows are of another width, or not `height` in the end.
    """
    part = path.with_name(f".{path.name}.part")
    rows = (row.tobytes() for band in bands for row in band)
    writer = png.Writer(width, height, greyscale=channels < 3, alpha=channels in (2, 4))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                writer.write(file, rows)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make room or name another folder"
        ) from error
