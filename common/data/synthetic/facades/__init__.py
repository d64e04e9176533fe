"""Generated facades: the embedded dataset of the image translators, which needs no download.

`facade(seed, index, size)` draws a label map in the colours of the CMP facades and a photo of it. A
style gives the probabilities of storeys, bays, openings and ornament, and the colours; so the label
map has all of the geometry, and much of material and colour can be inferred from it.
`facade_by_night(seed, index, size)` is the photo of the same scene after dark.
"""

from common.data.synthetic.facades.layouts import Layout
from common.data.synthetic.facades.night import Night
from common.data.synthetic.facades.parts import draw_labels
from common.data.synthetic.facades.rendering import Scene, draw_photo

import numpy as np

# The twelve classes of the CMP base set in the colours of pix2pix's facades (Matlab's `jet(12)`).
LABEL_COLOURS: dict[str, tuple[int, int, int]] = {
    "background": (0, 0, 170),
    "wall": (0, 0, 255),
    "window": (0, 85, 255),
    "door": (0, 170, 255),
    "cornice": (0, 255, 255),
    "sill": (85, 255, 170),
    "balcony": (170, 255, 85),
    "blind": (255, 255, 0),
    "deco": (255, 170, 0),
    "molding": (255, 85, 0),
    "pillar": (255, 0, 0),
    "shop": (170, 0, 0),
}

SMALLEST = 16


def facade(seed: int, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo and the label map of a scene, each uint8 (size, size, 3).

    A pure function: `(seed, index)` determines the scene and `size` (pixels) only the resolution,
    so the same scene at two sizes has the same layout, materials and light. The label map has only
    colours of `LABEL_COLOURS`.

    Raises:
        ValueError: `size` is less than 16, where a window would have no pixel.
    """
    scene, rng = _scene(seed, index, size)
    return draw_photo(scene, rng, size), draw_labels(scene.parts, LABEL_COLOURS, size)


def facade_by_night(seed: int, index: int, size: int) -> np.ndarray:
    """The photo of a scene of `facade` at night, aligned pixel by pixel: uint8 (size, size, 3).

    Raises:
        ValueError: as `facade`.
    """
    return draw_photo(*_scene(seed, index, size), size, Night)


def facade_by_day(seed: int, index: int, size: int) -> np.ndarray:
    """The photo of `facade` alone."""
    return draw_photo(*_scene(seed, index, size), size)


def _scene(seed: int, index: int, size: int) -> tuple[Scene, np.random.Generator]:
    """A scene, and the random generator that it was drawn from."""
    if size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels, not {size}")
    rng = np.random.default_rng([seed, index])
    return Layout(rng).scene(), rng
