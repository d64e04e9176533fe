"""Images are upright by their EXIF orientation, and no other metadata matter, however damaged."""

import io
import struct

from common.images import image_file, metadata
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
from PIL import Image

# EXIF orientation -> how the stored pixels are turned upright
UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored.transpose(1, 0, 2), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(kind, orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    stored = random_smooth(13, 22, 0)
    encoded = content(stored, kind, exif=data)
    plain = image_file.read(content(stored, kind))
    np.testing.assert_array_equal(image_file.read(encoded), UPRIGHT[orientation](plain))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_in_both_byte_orders(orientation, order):
    jpeg = content(random_smooth(13, 22, 0), "JPEG")
    encoded = with_exif(jpeg, exif(orientation, order))
    expected = UPRIGHT[orientation](image_file.read(jpeg))
    np.testing.assert_array_equal(image_file.read(encoded), expected)


def test_exif_data_after_other_segments_and_chunks():
    image = random_smooth(13, 22, 0)
    jpeg, pixels = content(image, "JPEG"), np.asarray(image)
    turned = jpeg_segment(0xE1, b"Exif\0\0" + exif(6))
    other = jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0Exif\0\0") + jpeg_segment(0xE2, b"")
    files = [
        with_segments(jpeg, other + b"\xff\xff" + turned),
        png(pixels, 8, 2, after=png_chunk(b"tEXt", b"a\0b") + png_chunk(b"eXIf", exif(6, ">"))),
    ]
    for encoded in files:
        assert image_file.read(encoded).shape == (22, 13, 3)


@pytest.mark.parametrize("name", hostile_jpeg_segments())
def test_damaged_metadata_of_a_jpeg_are_ignored(name):
    jpeg = content(random_smooth(13, 22, 0), "JPEG")
    encoded = with_segments(jpeg, hostile_jpeg_segments()[name])
    np.testing.assert_array_equal(image_file.read(encoded), image_file.read(jpeg))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", hostile_png_chunks())
def test_damaged_metadata_of_a_png_are_ignored(name, place):
    pixels = np.asarray(random_smooth(13, 22, 0))
    encoded = png(pixels, 8, 2, **{place: hostile_png_chunks()[name]})
    np.testing.assert_array_equal(image_file.read(encoded), pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "damage", [exif(6)[:-20], b"II*\0\xff\xff\xff\x7f", b"\0", exif(6, kind=12)]
)
def test_damaged_exif_data_mean_upright(kind, damage):
    image = random_smooth(13, 22, 0)
    encoded = content(image, kind, exif=b"Exif\0\0" + damage)
    np.testing.assert_array_equal(image_file.read(encoded), image_file.read(content(image, kind)))


def test_damaged_exif_data_of_a_tiff_are_ignored():
    data = Image.Exif()
    data[0x0112] = 6
    data.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    encoded = bytearray(content(random_smooth(13, 22, 0), "TIFF", exif=data.tobytes()))
    at = encoded.index(struct.pack("<HHI", 0x8769, 4, 1))
    encoded[at : at + 12] = struct.pack("<HHIi", 0x8769, 9, 1, -64)  # an offset below zero
    assert image_file.read(bytes(encoded)).shape == (22, 13, 3)


def test_metadata_are_removed_but_not_what_codes_the_pixels():
    data, jpeg = exif(3), content(random_smooth(13, 22, 0, 4).convert("CMYK"), "JPEG")
    inserted = jpeg_segment(0xE1, b"Exif\0\0" + data) + jpeg_segment(0xFE, b"comment")
    with io.BytesIO(with_segments(jpeg, inserted)) as file:
        pixels, found = metadata.separate(file)
        assert pixels.read() == jpeg and found == b"Exif\0\0" + data  # with its Adobe segment
    gif = content(random_smooth(13, 22, 0).quantize(9), "GIF")
    with io.BytesIO(gif) as file:
        pixels, found = metadata.separate(file)
        assert pixels.read() == gif and found == b""
