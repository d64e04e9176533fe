"""The usual size and channels of image files."""

from common.data.sources.survey import SAMPLE, nearest_side, survey
from common.images import image_file
from common.nn.blocks import base_and_stages
from tests.helpers.image_files import noise

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    "side, most, nearest",
    [
        (28, 64, 28),
        (30, 64, 28),
        (31, 64, 32),
        (1, 64, 8),
        (60, 64, 56),
        (61, 64, 64),
        (1000, 64, 64),
        (None, 64, 64),
        (200, 256, 192),
    ],
)
def test_nearest_side(side, most, nearest):
    assert nearest_side(side, most) == nearest
    base_and_stages(nearest)


def save(path, mode, width=10, height=14):
    """Writes an image in a mode of Pillow; in "gray P", its palette is of greys."""
    if mode in ("I;16", "F"):
        dtype = np.uint16 if mode == "I;16" else np.float32
        Image.fromarray(np.zeros((height, width), dtype)).save(path)
        return path
    image = Image.fromarray(noise(height, width, 0))
    if mode == "gray P":
        image, mode = image.convert("L"), "P"
    image.convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    "name, mode, channels",
    [
        ("a.png", "L", 1),
        ("a.png", "LA", 1),
        ("a.png", "1", 1),
        ("a.png", "I;16", 1),
        ("a.tif", "F", 1),
        ("a.jpg", "L", 1),
        ("a.gif", "L", 1),
        ("a.png", "gray P", 1),
        ("a.png", "P", 3),
        ("a.png", "RGB", 3),
        ("a.png", "RGBA", 3),
        ("a.jfif", "RGB", 3),
        ("a.jpg", "CMYK", 3),
    ],
)
def test_channels_by_kind_of_file(tmp_path, name, mode, channels):
    assert survey([save(tmp_path / name, mode)]) == (10, channels)


def test_the_median_and_the_majority_count(tmp_path):
    paths = [save(tmp_path / f"{i}.png", "L", 10 + i, 99) for i in range(5)]
    assert survey(paths) == (12, 1)
    others = [save(tmp_path / f"c{i}.png", "RGB", 99, 50) for i in range(4)]
    assert survey(paths + others) == (14, 1)
    assert survey(paths[1:] + others).channels == 3  # half of them
    assert survey(paths[:1] + others) == (50, 3)


def test_unreadable_files_do_not_count(tmp_path):
    for name, content in (("empty.png", b""), ("text.jpg", b"no image"), ("half.gif", b"GIF89a")):
        (tmp_path / name).write_bytes(content)
    bad = [*tmp_path.iterdir(), tmp_path / "missing.png"]
    assert survey(bad) == survey([]) == (None, 3)
    assert survey([*bad, save(tmp_path / "good.png", "L")]) == (10, 1)


def test_few_files_are_opened(tmp_path, monkeypatch):
    opened = []
    path = tmp_path / "a.png"
    image_file.write(path, noise(8, 8, 0))
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(1) or original(*a, **k))
    assert survey([path] * 1000) == (8, 3)
    assert len(opened) == SAMPLE
