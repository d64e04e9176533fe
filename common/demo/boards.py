"""The tabs of translators: drawing boards with the colours of a dataset's label maps or edges."""

from collections.abc import Iterable

from common.demo.panels import Drawing, Field, Panel, Upload

import numpy as np

LEVELS = 16  # to which channels are rounded: JPEG and resizing blur the colours of a label map
SMALLEST_SHARE = 0.002  # of the pixels, for a colour to count
MOST_COLOURS = 24
COVERED = 0.85  # of the pixels, by the colours that count
BASIC = (
    *("#ffffff", "#000000", "#808080", "#c00000", "#e08000", "#e0d000"),
    *("#008000", "#0040c0", "#8000a0", "#804000"),
)


def translator_panels(
    examples: tuple[np.ndarray, ...], fields: tuple[Field, ...] = ()
) -> list[Panel]:
    """The tabs of a translator: to draw an image, and to upload one.

    Args:
        examples: some of the images that it translates, uint8 (H, W, C) each.
        fields: options of `predict` that can be chosen.
    """
    upload = Upload(examples=examples)
    return [
        Panel("Draw", "Translate", "image", board_for(examples), fields),
        Panel("Upload", "Translate", "image", upload, fields),
    ]


def board_for(images: Iterable[np.ndarray]) -> Drawing:
    """A board with the colours of images of few colours, the most frequent one first.

    For other images, such as photographs, and for none, it is white and has some basic colours.

    Args:
        images: uint8 (H, W, 1 or 3) each.
    """
    counts = np.zeros((LEVELS,) * 3, int)
    for image in images:
        step = 255 / (LEVELS - 1)
        rounded = np.rint(np.broadcast_to(image, (*image.shape[:2], 3)) / step).astype(int)
        np.add.at(counts, tuple(rounded.reshape(-1, 3).T), 1)
    shares = counts.ravel() / max(1, counts.sum())
    frequent = [n for n in np.argsort(-shares, kind="stable") if shares[n] >= SMALLEST_SHARE]
    if not 2 <= len(frequent) <= MOST_COLOURS or shares[frequent].sum() < COVERED:
        return Drawing(colours=BASIC)
    channels = np.stack(np.unravel_index(frequent, counts.shape), axis=-1) * 255 // (LEVELS - 1)
    return Drawing(colours=tuple(map(hexadecimal, channels)))


def hexadecimal(colour: Iterable[int]) -> str:
    """A colour as "#rrggbb"."""
    return "#" + bytes(map(int, colour)).hex()
