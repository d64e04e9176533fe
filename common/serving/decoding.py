"""Decoding of image files inside a graph, to the pixels that `common.images.image_file` reads.

Of TensorFlow operations only. Formats are PNG, JPEG, GIF, BMP of 8, 24 or 32 bits, and WebP
without animation (TensorFlow 2.20 and later). Differences to `image_file`: transparent pixels of
a GIF are black, and CMYK is converted with an error of up to one level.
"""

from typing import NamedTuple

from common.serving import metadata
from common.serving.metadata import FileBytes

import numpy as np
import tensorflow as tf


class Layers(NamedTuple):
    """A decoded image.

    Attributes:
        colours: uint8 (H, W, 3), RGB.
        alpha: uint8 (H, W, 1); 255 if the file has none.
        is_grey: bool (); whether the file has one colour channel, or uses none but grey from its
            palette.
        has_alpha: bool (); whether the file has transparency.
    """

    colours: tf.Tensor
    alpha: tf.Tensor
    is_grey: tf.Tensor
    has_alpha: tf.Tensor


def read(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes an image file, string () -> uint8 (H, W, 1 or 3): `image_file.read` in a graph.

    The image is upright according to its EXIF orientation, composited on white, and converted to
    grey by ITU-R 601 luma if `channels` is 1. An animation gives its first frame.
    """
    layers = read_layers(encoded)

    def on_white() -> tf.Tensor:
        alpha = tf.cast(layers.alpha, tf.float32)
        pixels = tf.cast(layers.colours, tf.float32) * alpha + 255 * (255 - alpha)
        return tf.cast(tf.round(pixels / 255), tf.uint8)

    pixels = tf.cond(layers.has_alpha, on_white, lambda: layers.colours)
    if channels == 3:
        return pixels
    weighted = tf.cast(pixels, tf.int32) * [19595, 38470, 7471]  # Pillow's luma, in integers
    luma = (tf.reduce_sum(weighted, axis=-1, keepdims=True) + 2**15) // 2**16
    return tf.cast(luma, tf.uint8)


@tf.autograph.experimental.do_not_convert  # there is nothing to convert, and looking takes seconds
def read_layers(encoded: tf.Tensor) -> Layers:
    """Decodes an image file, string (): `image_file.read_layers` in a graph.

    Errors of the request: the file is not of a known format, truncated or damaged. Damaged
    metadata are ignored.
    """
    with tf.device("CPU"):  # a search in bytes would wait for a GPU at each step
        file = FileBytes(encoded)
        stored, exif = tf.case(
            [
                (file.has(0, b"\x89PNG"), lambda: _png(file)),
                (file.has(0, b"\xff\xd8\xff"), lambda: _jpeg(file)),
                (file.has(0, b"BM"), lambda: _bmp(file)),
                (file.has(0, b"RIFF"), lambda: _webp(file)),
            ],
            default=lambda: _gif(file),
        )
        orientation = metadata.orientation(exif)
        upright = [metadata.upright(image, orientation) for image in (stored.colours, stored.alpha)]
        colours, alpha = (
            tf.ensure_shape(image, (None, None, channels))
            for image, channels in zip(upright, (3, 1), strict=True)
        )
        return Layers(colours, alpha, stored.is_grey, stored.has_alpha)


def _png(file: FileBytes) -> tuple[Layers, tf.Tensor]:
    """Decodes a PNG file; also returns its EXIF data, as do the other decoders."""
    depth, colour_type = file.number(24, 1), file.number(25, 1)

    def deep() -> tf.Tensor:
        levels = tf.cast(tf.io.decode_png(file.encoded, 4, tf.uint16), tf.int32)
        # `image_file` rounds grey, but Pillow drops the low byte of the other kinds
        rounded = tf.where(colour_type == 0, (levels + 128) // 257, levels // 256)
        return tf.cast(rounded, tf.uint8)

    rgba = tf.cond(depth == 16, deep, lambda: tf.io.decode_png(file.encoded, 4))
    has_alpha = metadata.png_chunk(file, b"tRNS", before=b"IDAT")[0] | (colour_type >= 4)
    alpha = tf.where(has_alpha, rgba[..., 3:], 255)  # the decoder's are wrong below 8 bits
    is_palette = colour_type == 3
    is_grey = (colour_type == 0) | (colour_type == 4) | (is_palette & _all_grey(rgba))
    _, exif = metadata.png_chunk(file, b"eXIf", before=b"IEND")
    return Layers(rgba[..., :3], alpha, is_grey, has_alpha), exif


def _jpeg(file: FileBytes) -> tuple[Layers, tf.Tensor]:
    # Pillow uses the accurate transform too.
    pixels = tf.io.decode_jpeg(file.encoded, dct_method="INTEGER_ACCURATE")
    is_grey = tf.shape(pixels)[-1] == 1
    return _opaque(pixels, is_grey), metadata.jpeg_exif(file)


def _bmp(file: FileBytes) -> tuple[Layers, tf.Tensor]:
    """Decodes a BMP file of 8 bits (TensorFlow gives indices of the palette), 24 or 32 bits."""
    pixels = tf.io.decode_bmp(file.encoded)
    channels = tf.shape(pixels)[-1]
    is_palette = channels == 1
    palette = 14 + file.number(14, 4, little=True)  # after both headers: blue, green, red, zero
    values = [file.number(palette + 4 * np.arange(256)[:, None] + i, 1) for i in (2, 1, 0)]
    colours = tf.cast(tf.stack(values, axis=-1), tf.uint8)
    rgb = tf.cond(
        is_palette,
        lambda: tf.gather(colours, tf.cast(pixels[..., 0], tf.int32)),
        lambda: pixels[..., :3],
    )
    # the fourth byte is alpha only if the header has a bit mask for it
    has_alpha = (channels == 4) & (file.number(30, 4, little=True) == 3)
    has_alpha &= file.number(66, 4, little=True) == 0xFF000000
    layers = _opaque(rgb, is_palette & _all_grey(rgb))
    alpha = tf.cond(has_alpha, lambda: pixels[..., 3:], lambda: layers.alpha)
    return layers._replace(alpha=alpha, has_alpha=has_alpha), tf.constant(b"")


def _webp(file: FileBytes) -> tuple[Layers, tf.Tensor]:
    animated = file.has(12, b"VP8X") & (file.number(20, 1) // 2 % 2 == 1)
    # TensorFlow (2.20 and 2.21) writes beyond its memory when it decodes one.
    refused = tf.debugging.Assert(~animated, ["an animated WebP file is not supported"])
    with tf.control_dependencies([refused]):
        encoded = tf.identity(file.encoded)
    pixels = tf.io.decode_image(encoded, expand_animations=False)
    has_alpha = tf.shape(pixels)[-1] == 4
    opaque = _opaque(pixels[..., :3], tf.constant(False))
    alpha = tf.cond(has_alpha, lambda: pixels[..., 3:], lambda: opaque.alpha)
    return opaque._replace(alpha=alpha, has_alpha=has_alpha), metadata.webp_exif(file)


def _gif(file: FileBytes) -> tuple[Layers, tf.Tensor]:
    """Decodes a GIF file; a file of another format is an error that names the formats."""
    pixels = tf.io.decode_image(file.encoded, expand_animations=False)
    return _opaque(pixels, _all_grey(pixels)), tf.constant(b"")


def _opaque(pixels: tf.Tensor, is_grey: tf.Tensor) -> Layers:
    """Layers of an image without alpha: pixels are uint8 (H, W, 1 or 3)."""
    colours = tf.broadcast_to(pixels, tf.concat([tf.shape(pixels)[:2], [3]], axis=0))
    alpha = tf.fill(tf.concat([tf.shape(pixels)[:2], [1]], axis=0), tf.constant(255, tf.uint8))
    return Layers(colours, alpha, is_grey, tf.constant(False))


def _all_grey(pixels: tf.Tensor) -> tf.Tensor:
    """Whether red, green and blue are equal in all pixels, uint8 (H, W, 3 or 4)."""
    return tf.reduce_all(pixels[..., :3] == pixels[..., :1])
