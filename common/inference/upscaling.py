"""A network that enlarges, at work on image files: grey ones, large ones, transparent ones."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from common.adversarial import Adversarial
from common.images import bicubic, image_file, listing, png_writer
from common.images.tiling import Upscaler, cropped_bands
from common.reports import result_page
from common.reports.result_page import THUMBNAIL, LinkedImage, ResultPage

import numpy as np
import tensorflow as tf
from tqdm import tqdm

_ALPHA_MARGIN = 4  # px: more than bicubic looks around


def of_model(model: Adversarial) -> Upscaler:
    """The model's sampling generator at inference, as a graph."""
    graph = tf.function(lambda x: (model.sampler(x, training=False) + 1) / 2, reduce_retracing=True)
    # clipped before a grayscale image becomes luma, as in the exported graph
    return Upscaler(lambda x: graph(tf.constant(x)).numpy().clip(0, 1), model.scale, model.halo)


def enlarge_files(upscaler: Upscaler, inputs: list[str], output: str, tile: int, page: ResultPage):
    """Enlarges images of any size; each comes out under its own name as PNG.

    Args:
        upscaler: the network.
        inputs: images, or folders of images.
        output: folder for the enlarged images.
        tile: pixels; the side of a tile.
        page: to show them on; it is written to the same folder.

    Raises:
        UserError: an image cannot be read or written.
    """
    targets = listing.output_paths(inputs, Path(output))
    bar = tqdm(targets.items(), unit="image", disable=None)
    for source, target in bar:
        done = write_enlarged(upscaler, source, target, tile, lambda *d: bar.set_postfix(tiles=d))
        page.row(source.name, done)
    page.title = f"{page.title}: {len(targets)} images enlarged"
    page.write(Path(output) / result_page.NAME)
    print(f"{len(targets)} images enlarged to {output}")


def write_enlarged(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    tile: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray | LinkedImage]:
    """Enlarges the image of a file, transparency and all, into a PNG file.

    Returns:
        For a row of a page, "input", scaled down, and "output".
    """
    image, alpha = image_file.read_layers(source)
    (height, width, channels), s = image.shape, upscaler.scale
    layers = channels + (alpha is not None)
    pieces = cropped_bands(upscaler, image, tile, progress)
    if alpha is not None:
        pieces = with_alpha(pieces, alpha, s)
    rows = (band for _, _, band in pieces)
    png_writer.write(target, s * height, s * width, layers, rows)
    thumbnail = result_page.scaled_down(image, THUMBNAIL)
    return {"input": thumbnail, "output": LinkedImage(target.name, s * height, s * width)}


def with_alpha(
    pieces: Iterable[tuple[int, int, np.ndarray]], alpha: np.ndarray, scale: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The bands with transparency, uint8 (H, W, 1), enlarged as their last channel."""
    for first, stop, band in pieces:
        above = max(first - _ALPHA_MARGIN, 0)
        part = bicubic.enlarge(alpha[above : stop + _ALPHA_MARGIN], scale)
        part = part[scale * (first - above) : scale * (stop - above)]
        yield first, stop, np.concatenate([band, part], axis=-1)
