"""What the verbs of every translator of pictures share, whatever it learns from."""

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

from common import files, pages, tiles
from common.data import pictures, png_rows
from common.errors import UserError
from common.metrics import frechet
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


def keras_inception_fid(
    originals: Iterable[np.ndarray], translations: Iterable[np.ndarray], channels: int
) -> float | None:
    """Keras-Inception FID of translations against originals, and prints it.

    Args:
        originals: float pictures in [-1, 1], (H, W, channels), walked once.
        translations: the same.
        channels: of both.

    Returns:
        None, with a line that says why, if the weights of Inception cannot be had or the pictures
        are not RGB.
    """
    if channels != 3:
        print("Keras-Inception FID: left out, it is defined for RGB pictures")
        return None

    def features(shown: Iterable[np.ndarray]) -> np.ndarray:
        return frechet.keras_inception_features(map(pictures.to_uint8, shown), network=network)

    try:
        network = frechet.keras_inception()
        real, made = features(originals), features(translations)
        statistics = *frechet.statistics(real), *frechet.statistics(made)
    except UserError as error:
        print(f"Keras-Inception FID: left out; {error}")
        return None
    fid = frechet.frechet_distance(*statistics)
    print(f"Keras-Inception FID: {fid:.1f} ({len(made)} pictures)")
    return fid
