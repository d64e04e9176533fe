"""Generated handwritten digits: the embedded dataset of labelled images.

A digit is a spline through the points of a glyph, one of several of its class. The points are
displaced by a smooth random field, slanted and stretched, and the line is drawn with a pen of
random width and varying pressure. Size and position are normalised as in MNIST: the longer side of
the bounding box is about 20 of the 28 pixels, and the centre of mass is in the middle.
"""

from collections.abc import Sequence

from common.data.synthetic.glyphs import CLASSES, SEGMENTS, glyphs

import numpy as np

SIDE = 28  # px

_WINDOW = 10  # px, more than the longest segment and the broadest pen
_LATTICE = 4  # number of random vectors along each side of a glyph; the warp interpolates them
_CHUNK = 64  # number of digits drawn at a time: they fit into the processor's cache


def labels(seed: int, indices: Sequence[int]) -> np.ndarray:
    """Returns the classes of the digits with these indices: int32 (N,).

    The ten digits 10 i to 10 i + 9 have each class once, in random order.
    """
    indices = np.asarray(indices, np.int64)
    tens, where = np.unique(indices // CLASSES, return_inverse=True)
    orders = [np.random.default_rng([seed, 0, ten]).permutation(CLASSES) for ten in tens.tolist()]
    orders = np.reshape(orders, (-1, CLASSES)).astype(np.int32)
    return orders[where.reshape(-1), indices % CLASSES]


def digits(seed: int, indices: Sequence[int]) -> np.ndarray:
    """Draws the digits with these indices, white on black: uint8 (N, 28, 28, 1).

    A digit is a function of seed and index; its class is that of `labels`.
    """
    indices = np.asarray(indices, np.int64)
    drawn = np.empty((len(indices), SIDE, SIDE, 1), np.uint8)
    for first in range(0, len(indices), _CHUNK):
        chunk = indices[first : first + _CHUNK]
        drawn[first : first + _CHUNK, ..., 0] = _draw(seed, chunk)
    return drawn


class Digits:
    """The digits with indices [first, first + count) as an array, uint8 (count, 28, 28, 1).

    A digit is drawn when it is first accessed, and kept.
    """

    def __init__(self, seed: int, first: int, count: int):
        self.seed = seed
        self.first = first
        self.shape = count, SIDE, SIDE, 1
        self._drawn = np.zeros(self.shape, np.uint8)
        self._done = np.zeros(count, bool)

    def __len__(self) -> int:
        return len(self._done)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The digits at an array of row indices: uint8 (N, 28, 28, 1), own memory."""
        missing = np.unique(rows[~self._done[rows]])
        if missing.size:
            # Two threads may draw the same digit, with the same result.
            self._drawn[missing] = digits(self.seed, self.first + missing)
            self._done[missing] = True
        return self._drawn[rows]


def _draw(seed: int, indices: np.ndarray) -> np.ndarray:
    """uint8 (N, 28, 28)."""
    known, first_of_class, odds = glyphs()
    dice = _Dice(seed, indices)
    classes = labels(seed, indices)
    chosen = (dice.uniform[:, :1] > odds[classes]).sum(1) + first_of_class[classes]
    points = _deform(known.points[chosen], dice)
    starts, ends = known.starts[chosen] @ points, known.ends[chosen] @ points
    radius = _pen(known.along[chosen], dice)
    softness = 0.8 + 0.6 * dice.uniform[:, 1]
    starts, ends = _place(starts, ends, 2 * radius.mean(1) + softness, dice)
    return _ink(starts, ends, radius, softness)


class _Dice:
    """Random numbers of the digits: (N, ...) each, independent for each digit."""

    def __init__(self, seed: int, indices: np.ndarray):
        rows = [_numbers(seed, index) for index in indices.tolist()]
        normal, uniform = map(np.stack, zip(*rows, strict=True))
        self.uniform = uniform
        ends = np.cumsum([6, 3, SEGMENTS, 2 * _LATTICE**2])
        self.affine, self.pen, self.tremor, warp, jitter = np.split(normal, ends, axis=1)
        self.warp = warp.reshape(len(rows), -1, 2)
        self.jitter = jitter.reshape(len(rows), -1, 2)


def _numbers(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng([seed, 1, index])
    count = 6 + 3 + SEGMENTS + 2 * _LATTICE**2 + 2 * glyphs()[0].points.shape[1]
    return random.standard_normal(count, np.float32), random.random(3, np.float32)


def _deform(points: np.ndarray, dice: _Dice) -> np.ndarray:
    """Warps, slants and rotates points (N, K, 2), in units of a glyph's height, about 0."""
    # A field of random vectors on a lattice over the glyph, interpolated by Gaussians.
    steps = np.linspace(0, 1, _LATTICE, dtype=np.float32)
    lattice = np.stack(np.meshgrid(0.65 * steps, steps), -1).reshape(-1, 2)
    apart = ((points[:, :, None] - lattice) ** 2).sum(-1)
    near = np.exp(apart / (-2 * 0.3**2))
    near /= np.sqrt((near**2).sum(-1, keepdims=True))  # so that the field's variance is 1
    points = points + 0.065 * near @ dice.warp + 0.016 * dice.jitter - np.float32([0.33, 0.5])

    stretch, slant, turn = dice.affine[:, :3].T
    width = np.exp(0.08 + 0.18 * stretch)
    slant = 0.16 + 0.24 * slant
    turn = 0.09 * turn
    x = points[..., 0] * width[:, None] - points[..., 1] * slant[:, None]
    y = points[..., 1]
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _pen(along: np.ndarray, dice: _Dice) -> np.ndarray:
    """Radius of the line in pixels at each segment: (N, SEGMENTS)."""
    mean = np.clip(1.3 * np.exp(0.24 * dice.pen[:, :1]), 0.75, 2.3)
    slow, quick = dice.pen[:, 1:2], dice.pen[:, 2:3]
    phase = 2 * np.pi * dice.uniform[:, 2:]
    pressure = 0.07 * slow * np.cos(np.pi * along) + 0.07 * quick * np.cos(7 * along + phase)
    return mean * (1 + pressure + 0.06 * dice.tremor)


def _place(
    starts: np.ndarray, ends: np.ndarray, breadth: np.ndarray, dice: _Dice
) -> tuple[np.ndarray, np.ndarray]:
    """Scales lines (N, SEGMENTS, 2), `breadth` (N,) pixels wide, and moves them into the image."""
    low, high = np.minimum(starts, ends).min(1), np.maximum(starts, ends).max(1)
    size = 20 * np.clip(1 + 0.03 * dice.affine[:, 3], 0.9, 1.06) - breadth
    scale = (size / (high - low).max(-1))[:, None]
    starts, ends = starts * scale[..., None], ends * scale[..., None]
    weight = np.linalg.norm(ends - starts, axis=-1, keepdims=True)
    centre = ((starts + ends) / 2 * weight).sum(1) / weight.sum(1)
    shift = (SIDE - 1) / 2 - centre + 0.4 * dice.affine[:, 4:6]
    margin = 1 + breadth[:, None] / 2  # a digit with a long tail is moved off the border
    shift = np.clip(shift, margin - low * scale, SIDE - 1 - margin - high * scale)
    return starts + shift[:, None], ends + shift[:, None]


def _ink(
    starts: np.ndarray, ends: np.ndarray, radius: np.ndarray, softness: np.ndarray
) -> np.ndarray:
    """Rasterizes lines: uint8 (N, 28, 28).

    Args:
        starts, ends: ends of the segments in pixels, (N, SEGMENTS, 2).
        radius: radius of the line at each segment, (N, SEGMENTS).
        softness: width of the ramp from ink to paper, half of it on each side, (N,).
    """
    # Only the pixels of a window around each segment are computed; a margin holds those outside.
    margin = _WINDOW
    corners = np.ceil((starts + ends) / 2 - _WINDOW / 2).clip(-margin, SIDE)
    steps = np.arange(_WINDOW, dtype=np.float32)
    columns, rows = corners[..., :1] + steps, corners[..., 1:] + steps
    to_x = columns - starts[..., :1]  # (N, SEGMENTS, _WINDOW)
    to_y = rows - starts[..., 1:]
    along = ends - starts
    dx, dy = along[..., :1], along[..., 1:]
    squared = np.maximum((along**2).sum(-1, keepdims=True), 1e-6)
    t = (to_y * dy / squared)[..., :, None] + (to_x * dx / squared)[..., None, :]
    np.clip(t, 0, 1, out=t)  # (N, SEGMENTS, _WINDOW, _WINDOW): the nearest point on the segment
    away = (to_x[..., None, :] - t * dx[..., None]) ** 2
    away += (to_y[..., None] - t * dy[..., None]) ** 2
    near = radius[..., None, None] - np.sqrt(away, out=away)

    depth = np.full((len(starts), *2 * (SIDE + 2 * margin,)), -np.inf, np.float32)
    number = np.arange(len(starts))[:, None, None]
    rows, columns = ((places + margin).astype(np.intp) for places in (rows, columns))
    for k in range(SEGMENTS):
        window = number, rows[:, k, :, None], columns[:, k, None]
        depth[window] = np.maximum(depth[window], near[:, k])  # depth below the edge of the ink
    depth = depth[:, margin:-margin, margin:-margin]
    ink = np.clip(depth / softness[:, None, None] + 0.5, 0, 1)
    return np.rint(255 * ink).astype(np.uint8)
