"""What the verbs of every translator of pictures share, whatever it learns from."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from common import files, pages, tiles
from common.data import pictures, png_rows
from common.pages import Beside, Page

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

Translate = Callable[[np.ndarray], np.ndarray]


def compiled(network: keras.Model) -> Translate:
    """A network at inference, as a graph: float32 (B, H, W, C), both ways.

    Its weights are used as they are when it is called.
    """
    graph = tf.function(lambda x: network(x, training=False), reduce_retracing=True)
    return lambda x: graph(tf.constant(x)).numpy()


def translate_files(
    translate: Translate,
    multiple: int,
    channels: int,
    inputs: list[str],
    output: str,
    tile: int,
    page: Page,
):
    """Translates pictures of any size; each comes out under its own name as PNG.

    Args:
        translate: what `tiles.translate` calls.
        multiple: pixels; what the sides of its input must be divisible by.
        channels: of its input.
        inputs: pictures, or folders of pictures.
        output: folder for the translations.
        tile: pixels; the side of a tile.
        page: to show them on; it is written to the same folder.

    Raises:
        UserError: a picture cannot be read or written.
    """

    def call(part: np.ndarray) -> np.ndarray:
        return translate(pictures.to_unit(part))

    targets = files.output_paths(inputs, Path(output))
    bar = tqdm(targets.items(), unit="picture", disable=None)
    for source, target in bar:
        picture = pictures.read(source, channels)
        sides = picture.shape[:2]
        y = tiles.translate(call, picture, multiple, tile, lambda *d: bar.set_postfix(tiles=d))
        bands = map(pictures.to_uint8, y)
        first = next(bands)  # says how many channels there are
        png_rows.write(target, *sides, first.shape[-1], chain([first], bands))
        page.row(source.name, {"input": picture, "output": Beside(target.name, *sides)})
    page.title = f"{page.title}: {len(targets)} pictures translated"
    page.write(Path(output) / pages.NAME)
    print(f"{len(targets)} pictures translated to {output}")
