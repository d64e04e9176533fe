"""Grids of images (montages)."""

import math
from collections.abc import Sequence

from common.images import image_file
from common.images.captions import captioned_columns, font_size, named_rows

import numpy as np


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    padding: int = 2,
    names: Sequence[str] = (),
    captions: Sequence[str] = (),
) -> np.ndarray:
    """Arranges images in rows, with `padding` white pixels between and around them.

    Names are written on the left of the rows and captions above the columns, unless the images are
    too small for text.

    Args:
        rows: uint8 (H, W, 1 or 3) images of one size. Short rows are filled with white.
        padding: pixels.
        names: what each row shows, such as a class; default no text.
        captions: what each column shows; default no text.

    Returns:
        uint8 (height, width, 3), or with 1 channel if all images are grayscale.
    """
    images = [image for row in rows for image in row]
    for image in images:
        image_file.check(image)
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise ValueError(f"a grid takes images of one size, not {sorted(sizes)}")
    height, width = sizes.pop()
    step_y, step_x = height + padding, width + padding
    columns = max(len(row) for row in rows)
    channels = max(image.shape[-1] for image in images)
    shape = (len(rows) * step_y + padding, columns * step_x + padding, channels)
    canvas = np.full(shape, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = i * step_y + padding, j * step_x + padding
            canvas[y : y + height, x : x + width] = image
    size, below = font_size(min(height, width)), len(canvas)
    if any(captions) and step_x >= size:
        canvas = captioned_columns(canvas, captions, step_x, size)
    if any(names) and step_y >= size:
        canvas = named_rows(canvas, names, step_y, size, len(canvas) - below)
    return canvas


def square_grid(images: Sequence[np.ndarray]) -> np.ndarray:
    """Arranges images in a `grid` that is as close to square as possible."""
    columns = math.ceil(math.sqrt(len(images)))
    return grid([images[i : i + columns] for i in range(0, len(images), columns)])
