"""What the verbs of every translator of images share, whatever it learns from."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from common.images import image_file, listing, png_writer, tiling
from common.reports import result_page
from common.reports.result_page import LinkedImage, ResultPage

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
    page: ResultPage,
):
    """Translates images of any size; each comes out under its own name as PNG.

    Args:
        translate: what `tiling.blended_bands` calls.
        multiple: pixels; what the sides of its input must be divisible by.
        channels: of its input.
        inputs: images, or folders of images.
        output: folder for the translations.
        tile: pixels; the side of a tile.
        page: to show them on; it is written to the same folder.

    Raises:
        UserError: an image cannot be read or written.
    """

    def call(part: np.ndarray) -> np.ndarray:
        return translate(image_file.to_unit(part))

    targets = listing.output_paths(inputs, Path(output))
    bar = tqdm(targets.items(), unit="image", disable=None)
    for source, target in bar:
        image = image_file.read(source, channels)
        sides = image.shape[:2]
        y = tiling.blended_bands(call, image, multiple, tile, lambda *d: bar.set_postfix(tiles=d))
        bands = map(image_file.to_uint8, y)
        first = next(bands)  # says how many channels there are
        png_writer.write(target, *sides, first.shape[-1], chain([first], bands))
        page.row(source.name, {"input": image, "output": LinkedImage(target.name, *sides)})
    page.title = f"{page.title}: {len(targets)} images translated"
    page.write(Path(output) / result_page.NAME)
    print(f"{len(targets)} images translated to {output}")
