"""Images with their own channels and a separate alpha channel."""

from common.images import image_file
from common.images.image_file import BadImage
from tests.helpers.encoded_images import content, png

import numpy as np
import pytest
from PIL import Image

RANDOM = np.random.default_rng(0)


def random(channels):
    return RANDOM.integers(0, 256, (6, 9, channels), np.uint8)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("1", 1)]
)
def test_channels_are_those_of_the_file_and_alpha_is_separate(tmp_path, mode, channels):
    shown = random(channels)
    if mode == "1":
        shown = np.uint8(255) * (shown > 127)
    whole = Image.fromarray(shown[..., 0] if channels == 1 else shown)
    whole.convert(mode).save(tmp_path / "x.png")
    image, alpha = image_file.read_layers(tmp_path / "x.png")
    colours = 1 if channels < 3 else 3
    np.testing.assert_array_equal(image, shown[..., :colours])  # also where alpha is low
    if channels in (2, 4):
        np.testing.assert_array_equal(alpha, shown[..., -1:])
    else:
        assert alpha is None


def test_16_bit_grayscale_stays_grayscale(tmp_path):
    wide = RANDOM.integers(0, 65536, (6, 9), np.uint16)
    Image.fromarray(wide).save(tmp_path / "x.png")
    image, alpha = image_file.read_layers(tmp_path / "x.png")
    np.testing.assert_array_equal(image[..., 0], np.rint(wide / 257))
    assert alpha is None


def test_16_bit_grey_with_transparency():
    wide = RANDOM.integers(0, 65536, (6, 9, 2)).astype(">u2")
    image, alpha = image_file.read_layers(png(wide, 16, 4))
    np.testing.assert_array_equal(np.concatenate([image, alpha], -1), wide // 256)
    wide[0, 0, 0] = 1000
    image, alpha = image_file.read_layers(png(wide[..., 0], 16, 0, (1000).to_bytes(2, "big")))
    np.testing.assert_array_equal(image[..., 0], np.rint(wide[..., 0] / 257))
    np.testing.assert_array_equal(alpha[..., 0], np.where(wide[..., 0] == 1000, 0, 255))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_a_palette_of_which_only_greys_are_used_is_grey(kind):
    stored = Image.new("P", (4, 3), 1)
    stored.putpalette([10, 20, 30, 40, 40, 40, 50, 50, 50])
    stored.putpixel((0, 0), 2)
    image, alpha = image_file.read_layers(content(stored, kind, optimize=False))
    assert image.shape == (3, 4, 1) and image[0, :2, 0].tolist() == [50, 40] and alpha is None
    stored.putpixel((1, 0), 0)
    image, _ = image_file.read_layers(content(stored, kind))
    assert image.shape == (3, 4, 3) and image[0, 1].tolist() == [10, 20, 30]


def test_a_transparent_colour_of_a_palette_is_alpha(tmp_path):
    stored = Image.new("P", (4, 3), 1)
    stored.putpalette([10, 20, 30, 40, 50, 60])
    stored.putpixel((0, 0), 0)
    stored.save(tmp_path / "x.png", transparency=0)
    image, alpha = image_file.read_layers(tmp_path / "x.png")
    assert image.shape == (3, 4, 3) and image[0, 1].tolist() == [40, 50, 60]
    assert alpha[0, 0] == 0 and (alpha.ravel()[1:] == 255).all()


def test_images_are_rotated_upright_and_bad_ones_are_named(tmp_path):
    shown = random(3)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(shown).save(tmp_path / "x.png", exif=exif)
    image, _ = image_file.read_layers(tmp_path / "x.png")
    np.testing.assert_array_equal(image, np.rot90(shown, -1))
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(BadImage, match=r"x\.png: not an image"):
        image_file.read_layers(tmp_path / "x.png")
