"""Image-to-image networks applied to files of any size: translation and super-resolution."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from common.adversarial import Adversarial
from common.images import bicubic, image_file, listing, png_writer, tiling
from common.images.tiling import Upscaler, cropped_bands
from common.reports import result_page
from common.reports.result_page import THUMBNAIL, LinkedImage, ResultPage

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

Translate = Callable[[np.ndarray], np.ndarray]
Progress = Callable[[int, int], object]  # number of tiles done and their total
Row = dict[str, np.ndarray | LinkedImage]  # images of a page's row, by caption

_ALPHA_MARGIN = 4  # px, more than the reach of bicubic interpolation


@dataclass(frozen=True)
class Translator:
    """An image translator at inference, from a run or a SavedModel.

    Attributes:
        call: float32 (1, h, w, Cin) in [-1, 1] -> (1, h, w, Cout).
        multiple: pixels; h and w are multiples of it.
        channels: Cin.
    """

    call: Translate
    multiple: int
    channels: int


def compiled(network: keras.Model) -> Translate:
    """Compiles a network at inference to a graph: float32 (B, H, W, C) -> (B, H, W, C).

    It always uses the network's current weights.
    """
    graph = tf.function(lambda x: network(x, training=False), reduce_retracing=True)
    return lambda x: graph(tf.constant(x)).numpy()


def upscaler_of(model: Adversarial) -> Upscaler:
    """Returns a super-resolution model's sampler as an `Upscaler`."""
    graph = tf.function(lambda x: (model.sampler(x, training=False) + 1) / 2, reduce_retracing=True)
    return Upscaler(lambda x: graph(tf.constant(x)).numpy(), model.scale, model.halo)


def convert_files(
    write: Callable[[Path, Path, Progress], Row],
    inputs: list[str],
    output: str,
    page: ResultPage,
    done: str,
):
    """Converts image files one by one; each is written as a PNG file of the same name.

    Args:
        write: converts one file, source to target, and returns the images to show on the page.
        inputs: images, or folders of images.
        output: folder for the converted images.
        page: page that they are added to; it is written to the same folder.
        done: past participle for messages, such as "translated".

    Raises:
        UserError: an image cannot be read or written.
    """
    targets = listing.output_paths(inputs, Path(output))
    bar = tqdm(targets.items(), unit="image", disable=None)
    for source, target in bar:
        page.row(source.name, write(source, target, lambda *tiles: bar.set_postfix(tiles=tiles)))
    page.title = f"{page.title}: {len(targets)} images {done}"
    page.write(Path(output) / result_page.NAME)
    print(f"{len(targets)} images {done} to {output}")


def write_translated(
    translator: Translator, tile: int, source: Path, target: Path, progress: Progress | None = None
) -> Row:
    """Translates an image file into a PNG file of the same size, in tiles of `tile` pixels."""

    def call(part: np.ndarray) -> np.ndarray:
        return translator.call(image_file.to_unit(part))

    image = image_file.read(source, translator.channels)
    sides = image.shape[:2]
    translated = tiling.blended_bands(call, image, translator.multiple, tile, progress)
    rows = map(image_file.to_uint8, translated)
    first = next(rows)  # has the number of channels
    png_writer.write(target, *sides, first.shape[-1], chain([first], rows))
    return {"input": image, "output": LinkedImage(target.name, *sides)}


def write_enlarged(
    upscaler: Upscaler, tile: int, source: Path, target: Path, progress: Progress | None = None
) -> Row:
    """Enlarges an image file, with its transparency, into a PNG file, in tiles of `tile` pixels."""
    image, alpha = image_file.read_layers(source)
    (height, width, channels), s = image.shape, upscaler.scale
    pieces = cropped_bands(upscaler, image, tile, progress)
    if alpha is not None:
        pieces = with_alpha(pieces, alpha, s)
        channels += 1
    rows = (band for _, _, band in pieces)
    png_writer.write(target, s * height, s * width, channels, rows)
    thumbnail = result_page.scaled_down(image, THUMBNAIL)
    return {"input": thumbnail, "output": LinkedImage(target.name, s * height, s * width)}


def with_alpha(
    pieces: Iterable[tuple[int, int, np.ndarray]], alpha: np.ndarray, scale: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Adds the enlarged alpha, uint8 (H, W, 1), to bands of an enlarged image as last channel."""
    for first, stop, band in pieces:
        above = max(first - _ALPHA_MARGIN, 0)
        part = bicubic.enlarge(alpha[above : stop + _ALPHA_MARGIN], scale)
        part = part[scale * (first - above) : scale * (stop - above)]
        yield first, stop, np.concatenate([band, part], axis=-1)
