"""Generated facades: reproducible, consistent between sizes, varied; photos fit their labels."""

import hashlib
import subprocess
import sys
from pathlib import Path

from common.data.synthetic.facades import LABEL_COLOURS, facade

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


def mask(labels: np.ndarray, name: str) -> np.ndarray:
    """The pixels of a label map (H, W, 3) with the label `name`: bool (H, W)."""
    return (labels == LABEL_COLOURS[name]).all(-1)


def digest(seed: int, index: int, size: int) -> str:
    photo, labels = facade(seed, index, size)
    return hashlib.sha256(photo.tobytes() + labels.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [facade(0, index, 64) for index in range(100)]


@pytest.mark.parametrize("size", [16, 50, 64])
def test_photo_and_label_map_are_uint8_rgb_of_the_given_size(size):
    for image in facade(3, 4, size):
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8


def test_label_map_holds_only_label_colours(scenes):
    allowed = {tuple(colour) for colour in LABEL_COLOURS.values()}
    assert len(allowed) == len(LABEL_COLOURS) == 12
    for _, labels in scenes:
        assert {tuple(colour) for colour in np.unique(labels.reshape(-1, 3), axis=0)} <= allowed


def test_same_arguments_give_equal_bytes_in_another_process():
    program = (
        "import sys; from common.data.synthetic.facades import facade; "
        "sys.stdout.buffer.write(b''.join(image.tobytes() for image in facade(5, 17, 64)))"
    )
    command = [sys.executable, "-c", program]
    other = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    assert digest(5, 17, 64) == digest(5, 17, 64) == hashlib.sha256(other).hexdigest()


def test_scenes_do_not_depend_on_numpys_global_state():
    first = digest(1, 2, 32)
    np.random.seed(7)  # noqa: NPY002 - the point is that it changes nothing
    assert digest(1, 2, 32) == first


def test_seeds_and_indices_give_different_scenes():
    names = [(seed, index) for seed in range(3) for index in range(10)]
    assert len({digest(*name, 32) for name in names}) == len(names)


@pytest.mark.parametrize("index", range(6))
def test_sizes_show_the_same_scene(index):
    small_photo, small_labels = facade(2, index, 64)
    large_photo, large_labels = facade(2, index, 192)
    # The middle pixel of each 3 x 3 block is at the centre of the small pixel.
    agree = (large_labels[1::3, 1::3] == small_labels).all(-1)
    assert agree.mean() > 0.99
    shrunk = large_photo.reshape(64, 3, 64, 3, 3).mean((1, 3))
    assert np.abs(shrunk - small_photo).mean() < 10


def test_layouts_and_styles_vary(scenes):
    assert len({labels.tobytes() for _, labels in scenes}) == len(scenes)
    for name in LABEL_COLOURS:
        shown = sum(mask(labels, name).any() for _, labels in scenes)
        assert shown >= 15, f"{name} appears in {shown} of 100 scenes"
    walls = np.array([photo[mask(labels, "wall")].mean(0) for photo, labels in scenes])
    assert walls.std(0).min() > 20  # levels of 255, between scenes


def test_windows_are_darker_than_the_wall_around_them(scenes):
    contrasts = [
        photo[mask(labels, "wall")].mean() - photo[mask(labels, "window")].mean()
        for photo, labels in scenes
    ]
    assert np.mean(contrasts) > 20
    assert np.mean(np.array(contrasts) > 0) > 0.75


def test_walls_are_textured_and_photos_use_the_range_of_values(scenes):
    for photo, labels in scenes:
        assert photo[mask(labels, "wall")].std(0).mean() > 3
        assert photo.mean(-1).std() > 20
        assert 60 < photo.mean() < 215
        assert (photo == 255).all(-1).mean() < 0.1


def test_light_comes_from_both_sides():
    """Shadows fall to the left of the windows in some scenes and to the right in others."""
    differences = []
    for index in range(24):
        photo, labels = facade(0, index, 128)
        brightness = photo.mean(-1)
        window = mask(labels, "window")
        left, right = window & ~np.roll(window, 1, 1), window & ~np.roll(window, -1, 1)
        differences.append(
            brightness[np.roll(left, 3, 1)].mean() - brightness[np.roll(right, -3, 1)].mean()
        )
    assert min(differences) < -3
    assert max(differences) > 3


def test_a_size_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        facade(0, 0, 15)
