"""Text in images: what the rows and columns of a grid show, and titles above images."""

import textwrap
from collections.abc import Sequence
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SMALLEST, LARGEST = 11, 20  # px, font sizes
MARGIN = 4  # px around a text
CHARACTERS = 20  # of a line in a name beside a row
WHITE = 255


def font_size(side: int) -> int:
    """The font size in pixels for images of a side."""
    return min(max(side // 12, SMALLEST), LARGEST)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Its fonts have far more letters than Pillow's. Imported here: only text should cost the time.
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def drawn(text: str, size: int = SMALLEST) -> np.ndarray:
    """A text in black on white, without margins, uint8 (h, w, 1)."""
    face = _font(size)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, face, spacing=1)
    image = Image.new("L", [max(1, ceil(side)) for side in box[2:]], WHITE)
    ImageDraw.Draw(image).multiline_text((0, 0), text, 0, face, spacing=1)
    return np.array(image)[..., None]


def named_rows(
    canvas: np.ndarray, names: Sequence[str], step: int, size: int, top: int = 0
) -> np.ndarray:
    """Adds a strip to the left of a grid, with a name beside each row.

    A long name is wrapped, and cut where the row has no room for another line.

    Args:
        canvas: the grid, uint8 (H, W, C).
        names: names of the rows, from the top; "" for none.
        step: height of a row in pixels.
        size: font size in pixels.
        top: where the first row begins, in pixels.
    """
    lines = max(1, step // (size + 2))
    wrapped = (textwrap.wrap(name, CHARACTERS, max_lines=lines, placeholder=" …") for name in names)
    texts = [drawn("\n".join(each), size)[:step] for each in wrapped]
    width = max(text.shape[1] for text in texts) + 2 * MARGIN
    strip = np.full((len(canvas), width, canvas.shape[-1]), WHITE, np.uint8)
    for row, text in enumerate(texts):
        height, length = text.shape[:2]
        y = top + row * step + (step - height) // 2
        strip[y : y + height, MARGIN : MARGIN + length] = text
    return np.concatenate([strip, canvas], axis=1)


def captioned_columns(
    canvas: np.ndarray, captions: Sequence[str], step: int, size: int
) -> np.ndarray:
    """Adds a strip above a grid, with a caption above each column.

    Where a caption is wider than its column, all are turned by 90 degrees.

    Args:
        canvas: the grid, uint8 (H, W, C).
        captions: captions of the columns, from the left; "" for none.
        step: width of a column in pixels.
        size: font size in pixels.
    """
    texts = [drawn(caption, size) for caption in captions]
    if max(text.shape[1] for text in texts) > step:
        texts = [np.rot90(text) for text in texts]
    texts = [text[:, :step] for text in texts]
    height = max(map(len, texts)) + 2 * MARGIN
    strip = np.full((height, *canvas.shape[1:]), WHITE, np.uint8)
    for column, text in enumerate(texts):
        left = column * step + (step - text.shape[1]) // 2
        bottom = height - MARGIN
        strip[bottom - len(text) : bottom, left : left + text.shape[1]] = text
    return np.concatenate([strip, canvas])


def titled(image: np.ndarray, title: str) -> np.ndarray:
    """Adds a title above an image, uint8 (H, W, C), which gets wider for a long one."""
    text = drawn(title)
    strip = np.full((len(text) + 2 * MARGIN, text.shape[1] + 2 * MARGIN, 1), WHITE, np.uint8)
    strip[MARGIN:-MARGIN, MARGIN:-MARGIN] = text
    return stacked([np.repeat(strip, image.shape[-1], axis=-1), image])


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images, uint8 (H, W, C), one below the other; white fills the narrower ones."""
    width = max(image.shape[1] for image in images)
    return np.concatenate(
        [
            np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=WHITE)
            for image in images
        ]
    )


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images, uint8 (H, W, C), side by side; white fills the lower ones at the top."""
    height = max(map(len, images))
    return np.concatenate(
        [
            np.pad(image, ((height - len(image), 0), (0, 0), (0, 0)), constant_values=WHITE)
            for image in images
        ],
        axis=1,
    )
