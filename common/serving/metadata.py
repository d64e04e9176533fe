"""Metadata that the decoded image depends on, read inside a graph: mainly the EXIF orientation.

The searches are those of `common.images.metadata`. Whatever a file contains, they end after a
limited number of steps and read nothing beyond its end; if they fail the orientation is 1.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3
# Limits the time that a hostile file takes. Files have far fewer parts ahead of their EXIF data.
_MOST_STEPS = 20_000


class FileBytes:
    """The bytes of a file as numbers; zero beyond its end.

    Positions are int64, not negative: () for one, or (N, 1) for several.
    """

    def __init__(self, encoded: tf.Tensor):
        self.encoded = encoded
        self.size = tf.cast(tf.strings.length(encoded), tf.int64)
        self._values = tf.io.decode_raw(tf.strings.join([encoded, b"\0"]), tf.uint8)

    def number(self, at: tf.Tensor | int, size: int, little: tf.Tensor | bool = False) -> tf.Tensor:
        """The unsigned numbers of `size` bytes at positions, int64; big-endian by default."""
        powers = 256 ** np.arange(size)
        if isinstance(little, bool):
            powers = powers if little else powers[::-1]
        else:
            powers = tf.where(little, powers, powers[::-1])
        return tf.reduce_sum(tf.cast(self._bytes(at, size), tf.int64) * powers, axis=-1)

    def has(self, at: tf.Tensor | int, text: bytes) -> tf.Tensor:
        """Whether a text is at a position."""
        return tf.reduce_all(self._bytes(at, len(text)) == np.frombuffer(text, np.uint8))

    def _bytes(self, at: tf.Tensor | int, size: int) -> tf.Tensor:
        return tf.gather(self._values, tf.minimum(at + np.arange(size), self.size))

    def part(self, at: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Up to `size` bytes from a position on, string ()."""
        return tf.strings.substr(self.encoded, tf.minimum(at, self.size), size)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns (H, W, C) upright, given the EXIF orientation of the stored pixels."""
    image = tf.transpose(image, tf.where(orientation > 4, [1, 0, 2], [0, 1, 2]))
    flipped = [tf.reduce_any(orientation == of) for of in ([3, 4, 7, 8], [2, 3, 6, 7])]
    return tf.reverse(image, tf.boolean_mask([0, 1], tf.stack(flipped)))


def orientation(exif: tf.Tensor) -> tf.Tensor:
    """The orientation, int64 in 1 to 8, in EXIF data, string (); 1 if there is none."""
    file = FileBytes(exif)
    start = tf.where(file.has(0, _EXIF), tf.constant(6, tf.int64), 0)
    little = file.has(start, b"II")
    directory = start + file.number(start + 4, 4, little)
    entries = directory + 2 + 12 * tf.range(file.number(directory, 2, little))[:, None]
    found = file.number(entries, 2, little) == _ORIENTATION
    found &= file.number(entries + 2, 2, little) == _SHORT
    values = tf.boolean_mask(file.number(entries + 8, 2, little), found)
    first = tf.concat([values, [1]], axis=0)[0]
    valid = (little | file.has(start, b"MM")) & (first >= 1) & (first <= 8)
    return tf.where(valid, first, 1)


def jpeg_exif(file: FileBytes) -> tf.Tensor:
    """EXIF data of a JPEG file, string (): its first APP1 segment of them; empty if none."""

    def found(at: tf.Tensor) -> tf.Tensor:
        return file.has(at, b"\xff\xe1") & file.has(at + 4, _EXIF)

    def ends(at: tf.Tensor) -> tf.Tensor:  # also at the end of the image or the start of a scan
        return found(at) | file.has(at, b"\xff\xd9") | file.has(at, b"\xff\xda")

    def following(at: tf.Tensor) -> tf.Tensor:
        marker = file.number(at + 1, 1)
        segment = file.has(at, b"\xff") & (marker >= 0xC0) & (marker <= 0xFE)
        segment &= (marker < 0xD0) | (marker > 0xD8)
        return at + tf.where(segment, 2 + tf.maximum(file.number(at + 2, 2), 2), 1)

    at = _search(file, 2, ends, following)
    return file.part(at + 4, tf.where(found(at), tf.maximum(file.number(at + 2, 2) - 2, 0), 0))


def png_chunk(file: FileBytes, name: bytes, before: bytes) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether a PNG file has a chunk of a name before another one, and its content, string ()."""

    def found(at: tf.Tensor) -> tf.Tensor:
        return file.has(at + 4, name)

    def ends(at: tf.Tensor) -> tf.Tensor:
        return found(at) | file.has(at + 4, before)

    def following(at: tf.Tensor) -> tf.Tensor:
        return at + 12 + file.number(at, 4)  # length, name, content, checksum

    at = _search(file, 8, ends, following)
    return found(at), file.part(at + 8, tf.where(found(at), file.number(at, 4), 0))


def webp_exif(file: FileBytes) -> tf.Tensor:
    """EXIF data of a WebP file, string (); empty if none."""

    def found(at: tf.Tensor) -> tf.Tensor:
        return file.has(at, b"EXIF")

    def size(at: tf.Tensor) -> tf.Tensor:
        return file.number(at + 4, 4, little=True)

    at = _search(file, 12, found, lambda at: at + 8 + size(at) + size(at) % 2)
    return file.part(at + 8, tf.where(found(at), size(at), 0))


def _search(
    file: FileBytes,
    start: int,
    ends: Callable[[tf.Tensor], tf.Tensor],
    following: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Steps from part to part of a file, up to the first position where `ends` is true.

    Args:
        file: file whose parts follow each other.
        start: position of the first part.
        ends: whether the search ends at a position.
        following: position after the part at a position; always a later one.

    Returns:
        The position where the search stopped, which need not be one where `ends` is true.
    """
    (at,) = tf.while_loop(
        lambda at: (at < file.size) & ~ends(at),
        lambda at: [following(at)],
        [tf.constant(start, tf.int64)],
        maximum_iterations=_MOST_STEPS,
    )
    return at
