"""Parts of a facade: outlines in unit coordinates, and the pixels and labels that they cover.

Lengths are fractions of the image's side, x to the right and y down, so a scene is the same at
every resolution. Colours of materials are RGB in [0, 1].
"""

import math
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

# Outlines: the upper and lower edge as fractions of the part's height, for s across it in [-1, 1].
OUTLINES = {
    "box": lambda s, rise: (0 * s, 1 + 0 * s),
    "arch": lambda s, rise: (rise * (1 - np.sqrt(np.clip(1 - s * s, 0, 1))), 1 + 0 * s),
    "gable": lambda s, rise: (rise * np.abs(s), 1 + 0 * s),
    "steps": lambda s, rise: (rise * np.ceil(np.abs(s) * 5 - 1) / 4.4, 1 + 0 * s),
    "bell": lambda s, rise: (rise * (1 - np.cos(np.pi * s * s)) / 2, 1 + 0 * s),
    "mansard": lambda s, rise: (np.clip(1 - (1 - np.abs(s)) / rise, 0, 1), 1 + 0 * s),
    "round": lambda s, rise: (
        0.5 - 0.5 * np.sqrt(np.clip(1 - s * s, 0, 1)),
        0.5 + 0.5 * np.sqrt(np.clip(1 - s * s, 0, 1)),
    ),
    "falling": lambda s, rise: ((1 - rise) * (s + 1) / 2, rise + (1 - rise) * (s + 1) / 2),
    "rising": lambda s, rise: ((1 - rise) * (1 - s) / 2, rise + (1 - rise) * (1 - s) / 2),
}


@dataclass(frozen=True)
class Part:
    """A part of a facade: `box` is (left, top, right, bottom), `height` is above the wall."""

    label: str
    material: str
    box: tuple[float, float, float, float]
    colour: Colour
    height: float = 0.0
    outline: str = "box"
    rise: float = 0.0


class Patch:
    """The pixels that a part covers on an image of `side` pixels.

    `x` (w,) and `y` (h, 1) are lengths from the part's left upper corner to the pixel centres,
    `u` and `v` the same as fractions of the part, `alpha` (h, w) the share of each pixel covered.
    """

    def __init__(self, part: Part, side: int):
        left, top, right, bottom = part.box
        first, above = max(int(left * side), 0), max(int(top * side), 0)
        last = max(min(math.ceil(right * side), side), first)
        below = max(min(math.ceil(bottom * side), side), above)
        self.window = slice(above, below), slice(first, last)
        self.pixel = 1 / side
        self.width, self.height = right - left, bottom - top
        self.x = (np.arange(first, last, dtype=np.float32) + 0.5) / side - left
        self.y = (np.arange(above, below, dtype=np.float32)[:, None] + 0.5) / side - top
        half = self.pixel / 2
        across = np.minimum(self.x + half, self.width) - np.maximum(self.x - half, 0)
        start, end = 0.0, self.height
        if part.outline != "box":
            edges = OUTLINES[part.outline](np.clip(2 * self.u - 1, -1, 1), part.rise)
            start, end = edges[0] * self.height, edges[1] * self.height
        down = np.minimum(self.y + half, end) - np.maximum(self.y - half, start)
        self.alpha = np.maximum(down * side, 0) * (across * side)

    @property
    def u(self) -> np.ndarray:
        return self.x / self.width

    @property
    def v(self) -> np.ndarray:
        return self.y / self.height

    def stripes(self, along: np.ndarray, pitch: float, line: float, offset: float = 0.0):
        """Share of each pixel covered by lines `line` wide, one every `pitch`, from `offset`."""
        return stripes(along - offset, pitch, line, self.pixel)


def stripes(along: np.ndarray, pitch: float, line: float, pixel: float) -> np.ndarray:
    """Periodic lines averaged exactly over each pixel: no moire where they are finer than it."""

    def covered(t):
        periods, rest = np.divmod(t, pitch)
        return periods * line + np.minimum(rest, line)

    return (covered(along + pixel / 2) - covered(along - pixel / 2)) / pixel


def draw_labels(parts: list[Part], colours: dict[str, tuple[int, int, int]], size: int):
    """Label map, uint8 (size, size, 3): each pixel has the colour of the front part's label."""
    image = np.full((size, size, 3), colours["background"], np.uint8)
    for part in parts:
        if part.outline == "box":  # the pixels whose centres it holds, without a mask
            left, top, right, bottom = (max(math.ceil(edge * size - 0.5), 0) for edge in part.box)
            image[top:bottom, left:right] = colours[part.label]
        else:
            patch = Patch(part, size)
            image[patch.window][patch.alpha >= 0.5] = colours[part.label]
    return image
