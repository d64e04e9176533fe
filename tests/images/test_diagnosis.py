"""Files that are no images, or of a kind that is not read: each is told with the way on."""

import io
import struct

from common.errors import UserError
from common.images import image_file

import numpy as np
import pytest
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def encoded(kind):
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, kind)
    return content.getvalue()


def tiff(channels, bits, number, photometric=1, compression=1):
    """A little-endian TIFF of 2x2 pixels, all 0."""
    pixels = bytes(4 * channels * bits // 8)
    tags = {256: 2, 257: 2, 259: compression, 262: photometric, 277: channels, 278: 2}
    tags |= {279: len(pixels), 339: number}
    after = 10 + 12 * (len(tags) + 2) + 4  # where the widths of several channels are
    packed = struct.pack(f"<{channels}H", *[bits] * channels)
    inline = channels <= 2
    widths = int.from_bytes(packed, "little") if inline else after
    tags |= {273: after + (0 if inline else len(packed)), 258: widths}
    entries = b"".join(
        struct.pack("<HHII", tag, 3, channels if tag == 258 else 1, tags[tag])
        for tag in sorted(tags)
    )
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return header + entries + bytes(4) + (b"" if inline else packed) + pixels


def jpeg(marker=0xC0, bits=8):
    """A JPEG whose frame claims another kind."""
    content = bytearray(encoded("JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, bits
    return bytes(content)


def bmp(compression):
    content = bytearray(encoded("BMP"))
    content[30] = compression
    return bytes(content)


RARE = "that is damaged, or of a rare kind"
UNREAD = "not an image of a format that is read, but"
FILES = {
    "empty": (b"", "the file is empty; replace it"),
    "text": (b"some words", r"not an image of a known format \(PNG, JPEG"),
    "web page": (b"<!DOCTYPE html><html>", "not an image but a web page, as of a failed download"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
    "macOS": (b"\0\5\x16\7\0\2\0\0Mac OS X", "metadata of macOS; remove it"),
    "SVG": (b'<?xml version="1.0"?><svg>', f"{UNREAD} SVG; convert it to PNG or JPEG"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1", f"{UNREAD} HEIC; convert it"),
    "AVIF": (b"\0\0\0\x18ftypavif\0\0\0\0mif1", f"{UNREAD} AVIF; convert it"),
    "Photoshop": (b"8BPS\0\1" + bytes(30), f"{UNREAD} Photoshop"),
    "PNM": (encoded("PPM"), f"{UNREAD} PNM"),
    "half": (encoded("PNG")[:1500], "a PNG file that is truncated.*; replace it"),
    "flipped": (encoded("PNG")[:60] + b"???" + encoded("PNG")[63:], "a PNG file that is damaged;"),
    "WebP": (encoded("WEBP")[:600], "a WebP file that is damaged; replace it"),
    "float64": (tiff(1, 64, 3), rf"a TIFF file {RARE} \(1 channel of 64-bit floats, compression 1"),
    "channels": (tiff(5, 8, 1, 2), rf"{RARE} \(5 channels of 8-bit integers"),
    "JPEG XL": (
        tiff(1, 8, 1, 1, 50002),
        rf"{RARE} \(.*compression 50002\); convert it to an 8-bit",
    ),
    "12 bits": (jpeg(bits=12), rf"a JPEG file {RARE} \(12-bit\); convert it to an 8-bit PNG"),
    "lossless": (jpeg(marker=0xC3), rf"a JPEG file {RARE} \(lossless\)"),
    "JPEG in BMP": (bmp(4), rf"a BMP file {RARE} \(Unsupported BMP compression"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, name):
    content, said = FILES[name]
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(image_file.BadImage, match=rf"x\.png: .*{said}") as caught:
        image_file.read(tmp_path / "x.png")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(image_file.BadImage, match=r"x\.png: No such file .*; check the path$"):
        image_file.read(tmp_path / "x.png")


def test_a_size_that_no_image_has_is_refused():
    with pytest.raises(UserError, match="100000x100000 pixels are too many for an image"):
        image_file.resize(PIXELS, 100_000, 100_000)
