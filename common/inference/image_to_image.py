"""Image-to-image networks applied to files of any size: translation and super-resolution."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from common.adversarial import Adversarial
from common.errors import at_least_one
from common.images import bicubic, image_file, png_writer, tiling
from common.images.tiling import Upscaler, cropped_bands
from common.inference.input_files import InputFiles
from common.io.progress import tqdm_options
from common.reports import result_page
from common.reports.result_page import THUMBNAIL, LinkedImage, ResultPage

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

Translate = Callable[[np.ndarray], np.ndarray]
Size = int | Literal["original"]  # shorter side in pixels at which an image is translated
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
        image_size: side of the training images in pixels; None if it is not known.
    """

    call: Translate
    multiple: int
    channels: int
    image_size: int | None = None

    def translated_rows(
        self, image: np.ndarray, tile: int, progress: Progress | None = None
    ) -> Iterator[np.ndarray]:
        """Translates uint8 (H, W, Cin) in tiles: yields bands of rows, uint8 (rows, W, Cout)."""

        def call(part: np.ndarray) -> np.ndarray:
            return self.call(image_file.to_unit(part))

        translated = tiling.blended_bands(call, image, self.multiple, tile, progress)
        return map(image_file.to_uint8, translated)


def compiled(network: keras.Model) -> Translate:
    """Compiles a network at inference to a graph: float32 (B, H, W, C) -> (B, H, W, C).

    It always uses the network's current weights.
    """
    spec = tf.TensorSpec(network.input_shape, tf.float32)
    graph = tf.function(lambda x: network(x, training=False), input_signature=[spec])
    return lambda x: graph(tf.constant(x)).numpy()


def upscaler_of(model: Adversarial) -> Upscaler:
    """Returns a super-resolution model's sampler as an `Upscaler`."""
    spec = tf.TensorSpec(model.sampler.input_shape, tf.float32)
    graph = tf.function(
        lambda x: (model.sampler(x, training=False) + 1) / 2, input_signature=[spec]
    )
    # Clipped before a grayscale image becomes luma, as in the exported graph.
    return Upscaler(lambda x: graph(tf.constant(x)).numpy().clip(0, 1), model.scale, model.halo)


def convert_files(
    write: Callable[[Path, Path, Progress], Row],
    files: InputFiles,
    page: ResultPage,
    done: str,
):
    """Converts image files one by one; each is written as a PNG file of the same name.

    Args:
        write: converts one file, source to target, and returns the images to show on the page.
        files: the images.
        page: page that they are added to; it is written to the same folder.
        done: past participle for messages, such as "translated".

    Raises:
        UserError: an image cannot be written, none can be read, or some cannot, after the others
            are done.
    """
    options = tqdm_options()
    bar = tqdm(files.targets.items(), unit="image", **options)

    def show_tiles(*tiles: int):
        bar.set_postfix(tiles=tiles, refresh=not options)  # at once on a terminal alone

    for source, target, row in files.each(lambda *paths: write(*paths, show_tiles), bar):
        files.record(target)
        name = files.link_name(target)
        for caption, shown in row.items():
            if isinstance(shown, LinkedImage):
                row[caption] = replace(shown, name=name)
        page.row(files.name(source), row)
    page.title = f"{page.title}: {len(files)} images {done}"
    files.write_page(page)
    print(f"{len(files)} images {done} to {files.folder}")
    files.finish()


def input_side(size: Size | None, translator: Translator) -> int | None:
    """Returns the shorter side in pixels at which images are translated; None for their own.

    By default it is that of the training images, at whose scale the network has learned; a line is
    printed about it.

    Args:
        size: value of --size.
        translator: the translator.

    Raises:
        UserError: the size is not positive.
    """
    if size == "original":
        return None
    if size is not None:
        at_least_one(size=size)
        return size
    if translator.image_size is None:
        print(
            "images are translated at their own size: the SavedModel does not say at which size "
            "it was trained; --size N for a shorter side of N pixels"
        )
    else:
        print(
            f"images are translated at {translator.image_size} pixels (shorter side), as in "
            "training; --size original keeps theirs"
        )
    return translator.image_size


def resized(image: np.ndarray, side: int | None) -> np.ndarray:
    """Resizes an image to a shorter side of `side` pixels, keeping its aspect ratio.

    Args:
        image: uint8 (H, W, C).
        side: pixels, or None to leave the image as it is.
    """
    shorter = min(image.shape[:2])
    if side is None or side == shorter:
        return image
    return image_file.resize(image, *(round(side * length / shorter) for length in image.shape[:2]))


def write_translated(
    translator: Translator,
    side: int | None,
    tile: int,
    source: Path,
    target: Path,
    progress: Progress | None = None,
) -> Row:
    """Translates an image file into a PNG file, in tiles of `tile` pixels.

    The image is resized to the shorter side `side` before, if one is given.
    """
    image = resized(image_file.read(source, translator.channels), side)
    sides = image.shape[:2]
    rows = translator.translated_rows(image, tile, progress)
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
