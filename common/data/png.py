"""PNG files written row by row: a picture that would fill the memory never lies there whole."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey and alpha, RGB, RGBA
_UP = 2  # the filter: each byte less the one above it


@contextmanager
def writing(
    path: Path, height: int, width: int, channels: int
) -> Iterator[Callable[[np.ndarray], None]]:
    """Gives a function that writes the next rows, uint8 (rows, width, channels), rows above 0.

    The file appears whole or not at all. PNG specification (third edition), 5, 9.2 and 11.2.

    Args:
        path: its folder is made.
        height, width: pixels.
        channels: 1 for grey, 3 for RGB; 2 and 4 with alpha as the last.

    Raises:
        UserError: it cannot be written.
        ValueError: the rows are of another width or type, or not `height` in the end.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                rows = _Rows(file, height, width, channels)
                yield rows.write
                rows.finish()
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make room or name another folder"
        ) from error


class _Rows:
    def __init__(self, file, height: int, width: int, channels: int):
        self.file, self.left, self.shape = file, height, (width, channels)
        self.above = np.zeros((1, width, channels), np.uint8)
        self.compressor = zlib.compressobj()
        file.write(_SIGNATURE)
        head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
        self._chunk(b"IHDR", head)

    def write(self, rows: np.ndarray):
        if rows.dtype != np.uint8 or rows.shape[1:] != self.shape or len(rows) > self.left:
            raise ValueError(f"{rows.dtype} {rows.shape} after which {self.left} rows were left")
        bytes_of_rows = np.empty((len(rows), 1 + rows[0].size), np.uint8)
        bytes_of_rows[:, 0] = _UP
        shifted = np.concatenate([self.above, rows[:-1]])
        bytes_of_rows[:, 1:] = (rows - shifted).reshape(len(rows), -1)  # modulo 256
        self.above = rows[-1:].copy()
        self.left -= len(rows)
        self._chunk(b"IDAT", self.compressor.compress(bytes_of_rows))

    def finish(self):
        if self.left:
            raise ValueError(f"{self.left} rows are missing")
        self._chunk(b"IDAT", self.compressor.flush())
        self._chunk(b"IEND", b"")

    def _chunk(self, kind: bytes, content: bytes):
        checksum = zlib.crc32(content, zlib.crc32(kind))
        self.file.write(struct.pack(">I", len(content)) + kind + content)
        self.file.write(struct.pack(">I", checksum))
