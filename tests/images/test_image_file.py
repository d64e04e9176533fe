"""Image files of every kind are read correctly, and errors name the file."""

import struct
import zlib

from common.errors import UserError
from common.images import image_file
from tests.helpers.encoded_images import content, png

import numpy as np
import pytest
from PIL import Image

RANDOM = np.random.default_rng(0)


def noise(height=20, width=30, channels=3):
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("suffix", image_file.SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_suffix_written_and_read(tmp_path, suffix, channels):
    # two flat halves: no codec changes them much, and a swapped axis or channel is noticed
    image = np.full((16, 24, channels), 200, np.uint8)
    image[:, :12] = np.array([40, 90, 140], np.uint8)[:channels]
    path = tmp_path / "new" / f"image{suffix.upper()}"
    image_file.write(path, image)
    back = image_file.read(path, channels)
    assert back.dtype == np.uint8 and back.shape == image.shape
    assert np.abs(back.astype(int) - image)[:, [0, 5, 18, 23]].max() <= 4
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_suffixes_that_are_not_read_are_others():
    assert not {*image_file.SUFFIXES} & {*image_file.OTHER_SUFFIXES}
    assert {".jfif", ".jpe"} <= {*image_file.SUFFIXES}
    for suffix in (*image_file.SUFFIXES, *image_file.OTHER_SUFFIXES):
        assert suffix.startswith(".") and suffix == suffix.lower()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless_from_a_path_and_from_bytes(tmp_path, channels):
    image = noise(channels=channels)
    image_file.write(tmp_path / "a.png", image)
    encoded = image_file.encode(image)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), encoded):
        np.testing.assert_array_equal(image_file.read(source, channels), image)
    image_file.read(encoded)[:] = 0  # memory of its own, writable


def test_grey_and_colour_convert():
    grey = noise(channels=1)
    np.testing.assert_array_equal(
        image_file.read(image_file.encode(grey)), np.repeat(grey, 3, axis=-1)
    )
    red = np.full((2, 2, 3), [255, 0, 0], np.uint8)
    assert image_file.read(image_file.encode(red), 1)[0, 0, 0] == 76  # 0.299 * 255


def test_one_bit_and_palette():
    checks = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(
        image_file.read(content(checks, "PNG"), 1)[..., 0], [[0, 255], [255, 0]]
    )
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    for kind in ("PNG", "GIF", "BMP"):
        np.testing.assert_array_equal(
            image_file.read(content(palette, kind))[0], [[10, 20, 30], [40, 50, 60]]
        )


def test_transparent_images_are_composited_on_white():
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[200, 0, 0], [255, 255, 255], [204, 204, 204]]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        encoded = content(Image.fromarray(rgba), kind, **options)
        np.testing.assert_array_equal(image_file.read(encoded)[0], expected)
    grey_alpha = np.array([[[100, 255], [100, 0]]], np.uint8)
    np.testing.assert_array_equal(image_file.read(png(grey_alpha, 8, 4), 1)[0, :, 0], [100, 255])
    key = png(np.array([[0, 128]], np.uint8), 8, 0, transparent=b"\0\0")
    np.testing.assert_array_equal(image_file.read(key, 1)[0, :, 0], [255, 128])
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(
            image_file.read(content(palette, kind, transparency=0))[0], [[255] * 3, [40, 50, 60]]
        )


def test_sixteen_bit_grey_is_scaled():
    deep = np.array([[0, 256, 32768, 65535]], ">u2")
    expected = [0, 1, 128, 255]
    native = Image.fromarray(deep.astype(np.uint16))
    for encoded in (
        png(deep, 16, 0),
        content(native, "TIFF"),
        content(Image.fromarray(deep), "TIFF"),
    ):
        np.testing.assert_array_equal(image_file.read(encoded, 1)[0, :, 0], expected)
        np.testing.assert_array_equal(image_file.read(encoded, 3)[0, :, 2], expected)
    # a dark image stays dark: the range is that of the format, not of the image
    np.testing.assert_array_equal(image_file.read(png(deep[:, :2], 16, 0), 1)[0, :, 0], [0, 1])
    key = png(deep, 16, 0, transparent=b"\x01\0")
    np.testing.assert_array_equal(image_file.read(key, 1)[0, :, 0], [0, 255, 128, 255])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_grey_value(depth):
    grey = np.arange(2**depth, dtype=np.uint8)[None]
    key = png(grey, depth, 0, transparent=b"\0\1")
    expected = np.rint(grey[0] * (255 / (2**depth - 1)))
    expected[1] = 255  # white
    np.testing.assert_array_equal(image_file.read(key, 1)[0, :, 0], expected)


def test_sixteen_bit_colour():
    deep = np.array([[[0, 256, 32768], [65535, 128 * 257, 7 * 257]]], ">u2")
    expected = [[0, 1, 128], [255, 128, 7]]
    np.testing.assert_array_equal(image_file.read(png(deep, 16, 2))[0], expected)
    alpha = np.full((1, 2, 1), 65535, ">u2")
    np.testing.assert_array_equal(
        image_file.read(png(np.concatenate([deep, alpha], -1).astype(">u2"), 16, 6))[0], expected
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 99.6, 255]], np.float32), [0, 100, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
    ],
)
def test_thirty_two_bit_grey(values, expected):
    encoded = content(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(image_file.read(encoded, 1)[0, :, 0], expected)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-1.0, 1.0]], np.float32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[0, 1000.0]], np.float32),
        np.array([[-5, 7]], np.int32),
        np.array([[0, 70000]], np.int32),
    ],
)
def test_grey_without_a_known_white_is_refused(values):
    with pytest.raises(image_file.BadImage, match="are outside"):
        image_file.read(content(Image.fromarray(values), "TIFF"))


def test_cmyk():
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, :16] = [0, 255, 255, 0]  # red
    inks[:, 16:32] = [255, 0, 0, 0]  # cyan
    inks[:, 32:] = [0, 0, 0, 128]  # half black
    stored = Image.fromarray(inks, "CMYK")
    for kind, options in (("JPEG", {"quality": 100}), ("TIFF", {})):
        image = image_file.read(content(stored, kind, **options)).astype(int)
        expected = np.array([[255, 0, 0], [0, 255, 255], [127, 127, 127]])
        assert np.abs(image[8, [8, 24, 40]] - expected).max() <= 2, kind


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        encoded = content(frames[0], kind, save_all=True, append_images=frames[1:])
        red = image_file.read(encoded)[0, 0].astype(int)
        assert np.abs(red - [255, 0, 0]).max() <= 3, kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_a_truncated_file_is_named_in_one_line(tmp_path, kind, share):
    whole = content(Image.fromarray(noise(64, 64)), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(image_file.BadImage, match="cut") as caught:
        image_file.read(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(image_file.BadImage, match="an image of"):
        image_file.read(path.read_bytes())


def test_damaged_pixels_are_an_error():
    damaged = bytearray(content(Image.fromarray(noise(64, 64)), "PNG"))
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(image_file.BadImage):
        image_file.read(bytes(damaged))


def test_other_files_are_errors(tmp_path):
    (tmp_path / "text.png").write_text("<html>")
    (tmp_path / "empty.png").touch()
    (tmp_path / "Thumbs.db").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500))
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "empty.png", "Thumbs.db", "folder.png", "missing.png"):
        with pytest.raises(image_file.BadImage, match=name) as caught:
            image_file.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(image_file.BadImage, match="bytes: not an image"):
        image_file.read(content(Image.new("RGB", (4, 4)), "PPM"))  # a format that is not read


def test_decompression_bombs_and_empty_images_are_errors():
    dot = png(np.zeros((1, 1), np.uint8), 8, 0)
    for height, width, reason in (
        (40_000, 40_000, "1600000000 pixels are more than the .* scale it down"),
        (0, 1, "image"),
        (1, 0, "image"),
    ):
        chunk = b"IHDR" + struct.pack(">II", width, height) + dot[24:29]
        forged = dot[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + dot[33:]
        with pytest.raises(image_file.BadImage, match=reason):
            image_file.read(forged)


def retagged(encoded, tag, value):
    """A little-endian TIFF in which `tag`, one 16-bit integer, has another value."""
    at = encoded.index(struct.pack("<HHI", tag, 3, 1)) + 8
    return encoded[:at] + struct.pack("<H", value) + encoded[at + 2 :]


def test_tiffs_that_pillow_misreads_are_refused():
    photometric, planes = 262, 284
    grey = content(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF")
    np.testing.assert_array_equal(image_file.read(grey, 1)[0, :, 0], [0, 255])
    with pytest.raises(image_file.BadImage, match="0 is white"):
        image_file.read(retagged(grey, photometric, 0))
    colour = content(Image.fromarray(noise()), "TIFF")
    eight, sixteen = (struct.pack("<3H", *[bits] * 3) for bits in (8, 16))
    assert colour.count(eight) == 1
    with pytest.raises(image_file.BadImage, match="colour planes"):
        image_file.read(retagged(colour.replace(eight, sixteen), planes, 2))


def test_write_refuses_unknown_suffixes_places_and_types(tmp_path):
    with pytest.raises(UserError, match="suffix"):
        image_file.write(tmp_path / "a.xyz", noise())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        image_file.write(tmp_path / "file" / "a.png", noise())
    with pytest.raises(ValueError, match="float32"):
        image_file.write(tmp_path / "a.png", noise().astype(np.float32))
