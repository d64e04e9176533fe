"""Runs a network over an image of any size, tile by tile.

The network sees one tile at a time, and finished rows are yielded as bands, at most as high as a
tile and as wide as the image: a band can be written before the next one is computed, and nothing
but the input image grows with its height. Neighbouring tiles overlap and are joined in one of two
ways:

    blended_bands   cross-faded, for any image translator: a network whose output depends on the
                    whole tile (normalization, a large receptive field) gives no visible seams
    cropped_bands   cut in the middle of the overlap, for a network with a small receptive field
                    and no global statistics: the result is that of the untiled image
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from common.errors import UserError

import numpy as np

Progress = Callable[[int, int], None]  # called after each tile with the tiles done and their total


def tile_starts(side: int, tile: int, overlap: int, step: int = 1) -> list[int]:
    """Places tiles evenly along one axis, from border to border.

    Args:
        side: pixels of the axis.
        tile: pixels of a tile.
        overlap: pixels in [0, tile); the least that two neighbours share.
        step: pixels; every tile starts at a multiple of it. `side` and `tile` are multiples too.

    Returns:
        The first pixel of each tile; of a side that fits in one tile, only 0.
    """
    if side <= tile:
        return [0]
    stride = (tile - overlap) // step  # in steps
    travel = (side - tile) // step  # in steps, from the first tile to the last
    gaps = -(-travel // stride)
    return [i * travel // gaps * step for i in range(gaps + 1)]


# Blended tiles.


def blended_bands(
    generator_call: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    multiple: int,
    tile: int = 512,
    progress: Progress | None = None,
) -> Iterator[np.ndarray]:
    """Translates an image in tiles that are cross-faded with raised cosines.

    An image that fits in one tile is translated in one piece, padded by reflection at the bottom
    and right to the next multiple and cropped back. In a larger one, neighbouring tiles share at
    least a quarter of their side.

    Args:
        generator_call: (1, h, w, Cin), cut from the image -> float32 (1, h, w, Cout), anything
            that `np.asarray` takes. h and w are multiples of `multiple`, at most `tile`, and the
            same for all tiles of one image, so a compiled network is traced once.
        image: (H, W, Cin), of any type and range that `generator_call` takes.
        multiple: pixels; the sides of the network's input must be divisible by it.
        tile: pixels; side of a tile, rounded down to a multiple of `multiple` (at least one).
        progress: called after each tile.

    Yields:
        float32 (rows, W, Cout), from top to bottom, all rows.

    Raises:
        UserError: the image has no pixels, or `tile` is below 1.
    """
    _refuse_empty(image)
    if tile < 1:
        raise UserError(f"tile {tile}: give a side in pixels, at least 1")
    tile = max(tile // multiple, 1) * multiple
    height, width = image.shape[:2]
    ys, xs = (np.pad(np.arange(n), (0, -n % multiple), "reflect") for n in (height, width))
    rows, columns = (blend_windows(len(n), tile, tile // 4, multiple) for n in (ys, xs))
    stops = [*(top for top, _ in rows[1:]), height]
    done, blend = 0, None
    for (top, row_weights), stop in zip(rows, stops, strict=True):
        for left, column_weights in columns:
            part = np.s_[left : left + len(column_weights)]
            x = image[ys[top : top + len(row_weights), None], xs[part]]
            y = np.asarray(generator_call(x[None]), np.float32)[0]  # (h, w, Cout)
            if blend is None:
                # float64: where the tiles agree, the float32 result is exactly theirs.
                blend = np.zeros((len(y), len(xs), y.shape[-1]), np.float64)
            blend[:, part] += np.outer(row_weights, column_weights)[..., None] * y
            done += 1
            if progress:
                progress(done, len(rows) * len(columns))
        finished = stop - top
        yield blend[:finished, :width].astype(np.float32)
        blend[:-finished] = blend[finished:]  # the next row of tiles is added to these
        blend[-finished:] = 0


def blend_windows(
    side: int, tile: int, overlap: int, multiple: int
) -> list[tuple[int, np.ndarray]]:
    """Places tiles along one axis and weights their pixels.

    Tiles start at multiples of `multiple` wherever a tile is long enough: a strided network is
    equivariant to such shifts only, and tiles that are out of phase with each other disagree even
    where both see the full receptive field.

    Args:
        side: pixels; a multiple of `multiple`.
        tile: pixels; a multiple of `multiple`.
        overlap: pixels in [0, tile / 2]; the least that two neighbours share.
        multiple: pixels.

    Returns:
        For each tile its first pixel and float64 weights (min(tile, side),) in [0, 1]; the weights
        of all tiles that cover a pixel sum to one.
    """
    starts = tile_starts(side, tile, overlap, multiple if tile - overlap >= multiple else 1)
    windows = [np.ones(min(tile, side)) for _ in starts]
    for i, (before, after) in enumerate(pairwise(starts)):
        fade = _fade_in(before + tile - after)
        windows[i][tile - len(fade) :] *= fade[::-1]
        windows[i + 1][: len(fade)] *= fade
    # Two neighbours sum to one already; where three tiles overlap the sum must be normalized.
    sums = np.zeros(side)
    for start, window in zip(starts, windows, strict=True):
        sums[start : start + tile] += window
    return [(s, w / sums[s : s + tile]) for s, w in zip(starts, windows, strict=True)]


def _fade_in(length: int) -> np.ndarray:
    """A ramp from 0 to 1, (length,); it and its mirror image sum to one.

    The first and the last quarter are flat: a network's output next to a tile's edge suffers most
    from the padding there, and gets no weight at all.
    """
    flat = length // 4
    ramp = length - 2 * flat
    return np.concatenate(
        [
            np.zeros(flat),
            (1 - np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)) / 2,
            np.ones(flat),
        ]
    )


# Cropped tiles.


@dataclass(frozen=True)
class Upscaler:
    """A network that enlarges images.

    Attributes:
        call: float32 (1, h, w, 3) in [0, 1] -> (1, scale h, scale w, 3), about [0, 1].
        scale: upscaling factor.
        halo: pixels of the input; radius of the receptive field.
    """

    call: Callable[[np.ndarray], np.ndarray]
    scale: int
    halo: int

    def upscale(self, image: np.ndarray, tile: int = 256) -> np.ndarray:
        """uint8 (H, W, 1 or 3) -> (scale H, scale W, 1 or 3); see `cropped_bands`."""
        return np.concatenate([band for _, _, band in cropped_bands(self, image, tile)])


def cropped_bands(
    upscaler: Upscaler,
    image: np.ndarray,
    tile: int = 256,
    progress: Progress | None = None,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Enlarges an image in tiles that overlap by twice the halo and are cut in the middle.

    Args:
        upscaler: the network.
        image: uint8 (H, W, 1 or 3). The network sees a grayscale image as RGB.
        tile: pixels; side of a tile.
        progress: called after each tile.

    Yields:
        (first, stop, band): rows [first, stop) of `image`, enlarged, uint8 (scale (stop - first),
        scale W, 1 or 3); from top to bottom, all rows.

    Raises:
        UserError: the image has no pixels, or the tile is not wider than twice the halo.
    """
    _refuse_empty(image)
    if tile <= 2 * upscaler.halo:
        raise UserError(
            f"--tile {tile}: give at least {2 * upscaler.halo + 1}, the network's receptive field"
        )
    height, width, channels = image.shape
    rows, columns = (crop_spans(side, tile, upscaler.halo) for side in (height, width))
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


class Span(NamedTuple):
    """A tile along one axis: it starts at pixel `start`; [first, stop) of the axis is kept."""

    start: int
    first: int
    stop: int


def crop_spans(side: int, tile: int, halo: int) -> list[Span]:
    """Places tiles along one axis that overlap by twice the halo or more, and cuts them."""
    starts = tile_starts(side, tile, 2 * halo)
    cuts = [(before + tile + after) // 2 for before, after in pairwise(starts)]
    return [Span(*span) for span in zip(starts, [0, *cuts], [*cuts, side], strict=True)]


def _enlarged(upscaler: Upscaler, part: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 1 or 3) -> (scale h, scale w, 1 or 3)."""
    x = np.broadcast_to(part, (*part.shape[:2], 3)).astype(np.float32) / 255
    y = np.asarray(upscaler.call(x[None]), np.float32)[0]
    if part.shape[-1] == 1:  # ITU-R 601 luma, as in `image_file.to_channels`
        y = y @ np.float32([[0.299], [0.587], [0.114]])
    return np.clip(np.rint(255 * y), 0, 255).astype(np.uint8)


def _refuse_empty(image: np.ndarray):
    height, width = image.shape[:2]
    if height == 0 or width == 0:
        raise UserError(f"an image of {width}x{height} pixels is empty")
