"""One image of any size through a local network that enlarges it, a band of rows at a time.

A network without global statistics looks only so far around a pixel: its halo. Tiles that overlap
by twice that are cut in the middle, and what is kept of them is what the network says of the whole
image. Nothing grows with the image's height but the image itself: a band, as high as a tile
and as wide as the image, can be written before the next one is made.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from common.errors import UserError

import numpy as np


@dataclass(frozen=True)
class Upscaler:
    """A network that enlarges images.

    Attributes:
        call: float32 (1, h, w, 3) in [0, 1] -> (1, scale h, scale w, 3), about [0, 1].
        scale: the factor.
        halo: pixels of its input; how far around a pixel it looks.
    """

    call: Callable[[np.ndarray], np.ndarray]
    scale: int
    halo: int

    def whole(self, image: np.ndarray, tile: int = 256) -> np.ndarray:
        """uint8 (H, W, 1 or 3) -> (scale H, scale W, 1 or 3), the bands joined."""
        return np.concatenate([band for _, _, band in bands(self, image, tile)])


class Span(NamedTuple):
    """A tile along one axis, in pixels: where it starts, and from where to where it is kept."""

    start: int
    first: int
    stop: int


def bands(
    upscaler: Upscaler,
    image: np.ndarray,
    tile: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Enlarge an image.

    Args:
        upscaler: the network.
        image: uint8 (H, W, 1 or 3). A grey one goes through the network as one with colours.
        tile: pixels; the most that the network sees at once is (tile, tile).
        progress: called after each tile with the number of tiles done and their total.

    Yields:
        The rows of `image` from which and to before which this is, and they enlarged, uint8
        (scale rows, scale W, 1 or 3); from top to bottom, all rows.

    Raises:
        UserError: the image has no pixels, or the tile is not wider than twice the halo.
    """
    height, width, channels = image.shape
    if height == 0 or width == 0:
        raise UserError(f"an image of {width}x{height} pixels has nothing to enlarge")
    if tile <= 2 * upscaler.halo:
        raise UserError(f"--tile {tile}: give more than {2 * upscaler.halo}, twice what it sees")
    rows, columns = (spans(side, tile, upscaler.halo) for side in (height, width))
    s, done = upscaler.scale, 0
    for row in rows:
        band = np.empty((s * (row.stop - row.first), s * width, channels), np.uint8)
        for column in columns:
            part = image[row.start : row.start + tile, column.start : column.start + tile]
            enlarged = _enlarged(upscaler, part)
            kept = enlarged[
                s * (row.first - row.start) : s * (row.stop - row.start),
                s * (column.first - column.start) : s * (column.stop - column.start),
            ]
            band[:, s * column.first : s * column.stop] = kept
            done += 1
            if progress:
                progress(done, len(rows) * len(columns))
        yield row.first, row.stop, band


def spans(side: int, tile: int, halo: int) -> list[Span]:
    """Tiles of one length along an axis, evenly placed, that overlap by twice the halo or more."""
    if side <= tile:
        return [Span(0, 0, side)]
    gaps = -(-(side - tile) // (tile - 2 * halo))
    starts = [i * (side - tile) // gaps for i in range(gaps + 1)]
    cuts = [(before + tile + after) // 2 for before, after in pairwise(starts)]
    return [Span(*span) for span in zip(starts, [0, *cuts], [*cuts, side], strict=True)]


def _enlarged(upscaler: Upscaler, part: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 1 or 3) -> (scale h, scale w, 1 or 3)."""
    x = np.broadcast_to(part, (*part.shape[:2], 3)).astype(np.float32) / 255
    y = np.asarray(upscaler.call(x[None]), np.float32)[0]
    if part.shape[-1] == 1:  # ITU-R 601, as images become grey elsewhere
        y = y @ np.float32([[0.299], [0.587], [0.114]])
    return np.clip(np.rint(255 * y), 0, 255).astype(np.uint8)
