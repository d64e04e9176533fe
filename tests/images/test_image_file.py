"""Images of every kind come out right, and bad ones are named."""

import io
import struct
import zlib

from common.errors import UserError
from common.images import image_file

import numpy as np
import pytest
from PIL import Image

RANDOM = np.random.default_rng(0)


def noise(height=20, width=30, channels=3):
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


def content(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(samples, depth, colour, transparent=b""):
    """A PNG file by hand: big-endian samples (height, width[, channels]); PNG's colour type."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", image_file.SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_suffix_written_and_read(tmp_path, suffix, channels):
    # two flat halves: any codec keeps them nearly, a swapped axis or channel shows
    image = np.full((16, 24, channels), 200, np.uint8)
    image[:, :12] = np.array([40, 90, 140], np.uint8)[:channels]
    path = tmp_path / "new" / f"image{suffix.upper()}"
    image_file.write(path, image)
    back = image_file.read(path, channels)
    assert back.dtype == np.uint8 and back.shape == image.shape
    assert np.abs(back.astype(int) - image)[:, [0, 5, 18, 23]].max() <= 4
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless_from_path_and_bytes(tmp_path, channels):
    image = noise(channels=channels)
    image_file.write(tmp_path / "a.png", image)
    encoded = image_file.encode(image)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), encoded):
        np.testing.assert_array_equal(image_file.read(source, channels), image)
    image_file.read(encoded)[:] = 0  # own, writable memory


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


def test_transparency_lies_on_white():
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
    # a dark one stays dark: the range is the file's, not the image's
    np.testing.assert_array_equal(image_file.read(png(deep[:, :2], 16, 0), 1)[0, :, 0], [0, 1])
    key = png(deep, 16, 0, transparent=b"\x01\0")
    np.testing.assert_array_equal(image_file.read(key, 1)[0, :, 0], [0, 255, 128, 255])


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


def test_cmyk_values():
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, :16] = [0, 255, 255, 0]  # red
    inks[:, 16:32] = [255, 0, 0, 0]  # cyan
    inks[:, 32:] = [0, 0, 0, 128]  # half black
    stored = Image.fromarray(inks, "CMYK")
    for kind, options in (("JPEG", {"quality": 100}), ("TIFF", {})):
        image = image_file.read(content(stored, kind, **options)).astype(int)
        expected = np.array([[255, 0, 0], [0, 255, 255], [127, 127, 127]])
        assert np.abs(image[8, [8, 24, 40]] - expected).max() <= 2, kind


# EXIF orientation -> how the stored pixels must be turned to stand upright
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
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.kron(noise(2, 3), np.ones((16, 16, 1), np.uint8))
    encoded = content(Image.fromarray(stored), kind, exif=exif)
    plain = image_file.read(content(Image.fromarray(stored), kind))
    np.testing.assert_array_equal(image_file.read(encoded), UPRIGHT[orientation](plain))


def test_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        encoded = content(frames[0], kind, save_all=True, append_images=frames[1:])
        red = image_file.read(encoded)[0, 0].astype(int)
        assert np.abs(red - [255, 0, 0]).max() <= 3, kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_truncated_is_named(tmp_path, kind, share):
    whole = content(Image.fromarray(noise(64, 64)), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(image_file.BadImage, match="cut") as caught:
        image_file.read(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(image_file.BadImage, match="an image of"):
        image_file.read(path.read_bytes())


def test_damaged_png_is_refused():
    damaged = bytearray(content(Image.fromarray(noise(64, 64)), "PNG"))
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(image_file.BadImage):
        image_file.read(bytes(damaged))


def test_no_image(tmp_path):
    (tmp_path / "text.png").write_text("<html>")
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "folder.png", "missing.png"):
        with pytest.raises(image_file.BadImage, match=name):
            image_file.read(tmp_path / name)
    with pytest.raises(image_file.BadImage, match="bytes: not an image"):
        image_file.read(content(Image.new("RGB", (4, 4)), "PPM"))  # a format that is not ours


def test_bomb_and_zero_size():
    dot = png(np.zeros((1, 1), np.uint8), 8, 0)
    for height, width, reason in ((40_000, 40_000, "bomb"), (0, 1, "image"), (1, 0, "image")):
        chunk = b"IHDR" + struct.pack(">II", width, height) + dot[24:29]
        forged = dot[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + dot[33:]
        with pytest.raises(image_file.BadImage, match=reason):
            image_file.read(forged)


def retagged(encoded, tag, value):
    """A little-endian TIFF whose one-value short `tag` has another value."""
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


def test_write_refuses(tmp_path):
    with pytest.raises(UserError, match="suffix"):
        image_file.write(tmp_path / "a.xyz", noise())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        image_file.write(tmp_path / "file" / "a.png", noise())
    with pytest.raises(ValueError, match="float32"):
        image_file.write(tmp_path / "a.png", noise().astype(np.float32))
