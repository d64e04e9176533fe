"""Image files decoded in a graph have the pixels that `image_file` reads."""

from common.images import image_file
from common.serving import decoding, metadata
from tests.helpers.encoded_images import (
    content,
    exif,
    hostile_jpeg_segments,
    hostile_png_chunks,
    jpeg_segment,
    png,
    png_chunk,
    random_smooth,
    with_exif,
    with_segments,
)

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

RGB, RGBA = random_smooth(13, 22, 0), random_smooth(13, 22, 1, channels=4)
GREY = random_smooth(13, 22, 2, channels=1)
JPEG, PNG = content(RGB, "JPEG"), content(RGBA, "PNG")
PALETTE, GREY_PALETTE = RGB.quantize(9), GREY.quantize(9)

needs_webp = pytest.mark.skipif(
    not hasattr(tf.io, "decode_webp"), reason="this TensorFlow decodes no WebP"
)


@tf.function(input_signature=[tf.TensorSpec((), tf.string)])
def decode(encoded):
    return decoding.read(encoded, 3), decoding.read(encoded, 1), decoding.read_layers(encoded)


def decoded(encoded):
    """(RGB, grey, own channels, alpha or None) as decoded in the graph."""
    rgb, grey, (colours, alpha, is_grey, has_alpha) = decode(tf.constant(encoded))
    own = colours[..., :1] if is_grey else colours
    return rgb.numpy(), grey.numpy(), own.numpy(), alpha.numpy() if has_alpha else None


def check(encoded, tolerance=0):
    """Compares what the graph decodes with what `image_file` reads."""
    expected = image_file.read(encoded), image_file.read(encoded, 1)
    expected += image_file.read_layers(encoded)
    for made, wanted in zip(decoded(encoded), expected, strict=True):
        assert (made is None) == (wanted is None)
        if made is not None:
            assert made.shape == wanted.shape
            assert np.abs(made.astype(int) - wanted).max() <= tolerance


def samples(*shape, depth, seed=0):
    kind = np.dtype(">u2") if depth == 16 else np.uint8
    return np.random.default_rng(seed).integers(0, 2**depth, shape).astype(kind)


def exif_files():
    """JPEG files of all orientations and byte orders, PNG with EXIF data in both places."""
    for orientation in range(1, 9):
        for order in "<>":
            yield f"jpeg_{orientation}{order}", with_exif(JPEG, exif(orientation, order))
        chunk = png_chunk(b"eXIf", exif(orientation, "<>"[orientation % 2]))
        place = ["before", "after"][orientation // 2 % 2]
        pixels = np.asarray(RGBA)
        yield f"png_{orientation}_{place}", png(pixels, 8, 6, **{place: chunk})


def kinds():
    """Files by their kinds of pixels."""
    yield "jpeg_grey", content(GREY, "JPEG")
    yield "jpeg_progressive", content(RGB, "JPEG", progressive=True)
    yield "jpeg_full_chroma", content(RGB, "JPEG", subsampling=0, quality=95)
    yield "png_rgb", content(RGB, "PNG")
    yield "png_rgba", PNG
    yield "png_grey", content(GREY, "PNG")
    yield "png_grey_alpha", content(RGBA.convert("LA"), "PNG")
    yield "png_palette", content(PALETTE, "PNG")
    yield "png_grey_palette", content(GREY_PALETTE, "PNG")
    yield "png_palette_with_a_transparent_colour", content(PALETTE, "PNG", transparency=3)
    yield "png_palette_with_alpha", content(PALETTE, "PNG", transparency=bytes(range(0, 255, 30)))
    yield "png_opaque_palette_with_alpha", content(PALETTE, "PNG", transparency=b"\xff" * 9)
    one_colour = np.asarray(RGB)[4, 5].astype(">u2").tobytes()
    yield "png_rgb_with_a_transparent_colour", png(np.asarray(RGB), 8, 2, one_colour)
    for depth in (1, 2, 4, 8, 16):
        grey = samples(9, 11, depth=depth)
        yield f"png_grey_{depth}_bit", png(grey, depth, 0)
        transparent = grey[3, 4].astype(">u2").tobytes()
        yield f"png_grey_{depth}_bit_transparent", png(grey, depth, 0, transparent)
    for colour, channels in ((4, 2), (2, 3), (6, 4)):
        deep = samples(9, 11, channels, depth=16)
        yield f"png_16_bit_{channels}_channels", png(deep, 16, colour)
    yield "gif", content(PALETTE, "GIF")
    yield "gif_grey", content(GREY_PALETTE, "GIF")
    rotated = PALETTE.transpose(Image.Transpose.ROTATE_180)
    yield "gif_animated", content(PALETTE, "GIF", save_all=True, append_images=[rotated])
    yield "bmp", content(RGB, "BMP")
    yield "bmp_with_an_unused_byte", content(RGBA, "BMP")
    yield "bmp_grey", content(GREY, "BMP")
    yield "bmp_palette", content(PALETTE, "BMP")


@pytest.mark.parametrize("encoded", [pytest.param(file, id=name) for name, file in exif_files()])
def test_exif_orientation(encoded):
    check(encoded)


@pytest.mark.parametrize("encoded", [pytest.param(file, id=name) for name, file in kinds()])
def test_kinds_of_pixels(encoded):
    check(encoded)


def test_alpha_of_a_bmp_with_bit_masks():
    plain = bytearray(content(RGBA, "BMP"))
    masks = np.array([0xFF0000, 0xFF00, 0xFF, 0xFF000000], "<u4").tobytes()
    header = bytearray(plain[:54] + masks + b"BGRs" + bytes(48))
    header[10:18] = np.array([122, 108], "<u4").tobytes()  # start of the pixels, size of the header
    header[30] = 3
    encoded = bytes(header + plain[54:])
    assert image_file.read_layers(encoded)[1] is not None
    check(encoded)


@needs_webp
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("image", [RGB, RGBA])
@pytest.mark.parametrize("lossless", [False, True])
def test_webp(image, orientation, lossless):
    check(content(image, "WEBP", lossless=lossless, exif=exif(orientation)))


def test_cmyk_differs_by_one_level_at_most():
    inks = np.kron(samples(2, 3, 4, depth=8), np.ones((8, 8, 1), np.uint8))
    check(content(Image.fromarray(inks, "CMYK"), "JPEG", quality=100), tolerance=1)


@pytest.mark.parametrize("name", hostile_jpeg_segments())
def test_damaged_metadata_of_a_jpeg_are_ignored(name):
    check(with_segments(JPEG, hostile_jpeg_segments()[name]))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", hostile_png_chunks())
def test_damaged_metadata_of_a_png_are_ignored(name, place):
    check(png(np.asarray(RGB), 8, 2, **{place: hostile_png_chunks()[name]}))


def test_fill_bytes_and_other_segments_ahead_of_exif_data():
    turned = jpeg_segment(0xE1, b"Exif\0\0" + exif(6))
    other = jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0Exif\0\0") + jpeg_segment(0xE2, b"")
    encoded = with_segments(JPEG, other + b"\xff\xff" + turned)
    check(encoded)
    assert image_file.read(encoded).shape == (22, 13, 3)


def test_the_search_for_exif_data_is_bounded(monkeypatch):
    monkeypatch.setattr(metadata, "_MOST_STEPS", 50)
    search = tf.function(lambda encoded: metadata.jpeg_exif(metadata.FileBytes(encoded)))
    turned = jpeg_segment(0xE1, b"Exif\0\0" + exif(6))
    for number, found in ((40, turned[4:]), (60, b"")):
        encoded = with_segments(JPEG, jpeg_segment(0xE2, b"") * number + turned)
        assert search(tf.constant(encoded)).numpy() == found


WEBP_ANIMATION = content(RGB, "WEBP", save_all=True, append_images=[GREY.convert("RGB")])
BAD_FILES = {
    "empty": b"",
    "one_byte": b"\xff",
    "text": b"<html>",
    "thumbnails_of_windows": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500),
    "only_a_signature": b"\x89PNG\r\n\x1a\n",
    "truncated_png": PNG[:-30],
    "truncated_jpeg": JPEG[: len(JPEG) // 2],
    "tiff": content(RGB, "TIFF"),
    "animated_webp": WEBP_ANIMATION,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_other_files_are_errors(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(BAD_FILES[name]))
