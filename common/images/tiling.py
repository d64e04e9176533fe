"""One image of any size through an image translator, tile by tile, a band of rows at a time.

Neighbouring tiles overlap and are cross-faded with raised cosines that sum to one everywhere.
Nothing grows with the image's height but the image itself: the network sees one tile at a time,
and what is blended, as high as a tile and as wide as the image, can be written before the next.
"""

from collections.abc import Callable, Iterator

from common.errors import UserError

import numpy as np


def translate(
    generator_call: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    multiple: int,
    tile: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """Translate one image of any height, width and aspect.

    An image that fits in one tile goes through the network in one piece, padded by reflection at
    its bottom and right to the next multiple and cropped back. Of a larger one, neighbouring tiles
    share at least a quarter of their side.

    Args:
        generator_call: (1, h, w, Cin), cut from the image -> float32 (1, h, w, Cout), anything
            that `np.asarray` takes. h and w are multiples of `multiple`, at most `tile`, and the
            same for all tiles of one image, so a compiled network is traced once.
        image: (H, W, Cin), of any type and range that `generator_call` takes.
        multiple: pixels; what the sides of the network's input must be divisible by.
        tile: pixels; side of a tile, rounded down to a multiple of `multiple` (at least one).
        progress: called after each tile with the number of tiles done and their total.

    Yields:
        float32 (rows, W, Cout), from top to bottom, all rows.

    Raises:
        UserError: the image has no pixels, or `tile` is below 1.
    """
    height, width = image.shape[:2]
    if height == 0 or width == 0:
        raise UserError(f"an image of {width}x{height} pixels has nothing to translate")
    if tile < 1:
        raise UserError(f"tile {tile}: give a side in pixels, at least 1")
    tile = max(tile // multiple, 1) * multiple

    ys, xs = (np.pad(np.arange(n), (0, -n % multiple), "reflect") for n in (height, width))
    rows, columns = (tile_windows(len(n), tile, tile // 4, multiple) for n in (ys, xs))
    stops = [*(top for top, _ in rows[1:]), height]
    done, blend = 0, None
    for (top, row_weights), stop in zip(rows, stops, strict=True):
        for left, column_weights in columns:
            part = np.s_[left : left + len(column_weights)]
            x = image[ys[top : top + len(row_weights), None], xs[part]]
            y = np.asarray(generator_call(x[None]), np.float32)[0]  # (h, w, Cout)
            if blend is None:
                # float64: where the tiles agree, the float32 result is exactly what each says.
                blend = np.zeros((len(y), len(xs), y.shape[-1]), np.float64)
            blend[:, part] += np.outer(row_weights, column_weights)[..., None] * y
            done += 1
            if progress:
                progress(done, len(rows) * len(columns))
        finished = stop - top
        yield blend[:finished, :width].astype(np.float32)
        blend[:-finished] = blend[finished:]  # what the next tiles add to
        blend[-finished:] = 0


def tile_windows(side: int, tile: int, overlap: int, multiple: int) -> list[tuple[int, np.ndarray]]:
    """Place tiles along one axis, evenly, and weigh their pixels.

    Tiles start at multiples of `multiple` wherever a tile is long enough for that: a strided
    network is equivariant to such shifts only, and tiles that are out of step with each other
    disagree even where both see all of their surroundings.

    Args:
        side: pixels; a multiple of `multiple`.
        tile: pixels; a multiple of `multiple`.
        overlap: pixels in [0, tile / 2]; the least that two neighbours share.
        multiple: pixels.

    Returns:
        For each tile its first pixel and float64 weights (min(tile, side),) in [0, 1]; the weights
        of all the tiles over a pixel sum to one.
    """
    if side <= tile:
        return [(0, np.ones(side))]
    step = multiple if tile - overlap >= multiple else 1
    stride = (tile - overlap) // step  # in steps
    travel = (side - tile) // step  # in steps, of the last tile against the first
    gaps = -(-travel // stride)
    starts = [i * travel // gaps * step for i in range(gaps + 1)]

    windows = [np.ones(tile) for _ in starts]
    for i in range(gaps):
        fade = _fade_in(starts[i] + tile - starts[i + 1])
        windows[i][tile - len(fade) :] *= fade[::-1]
        windows[i + 1][: len(fade)] *= fade
    # Two neighbours sum to one as they are; a pixel under three tiles does not.
    sums = np.zeros(side)
    for start, window in zip(starts, windows, strict=True):
        sums[start : start + tile] += window
    return [(s, w / sums[s : s + tile]) for s, w in zip(starts, windows, strict=True)]


def _fade_in(length: int) -> np.ndarray:
    """Rise from 0 to 1, (length,); added to its mirror image it gives one.

    The first and the last quarter are flat: what a network says next to a tile's edge suffers
    most from the padding there, and does not count at all.
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
