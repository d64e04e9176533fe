"""Holes in images of any size, and the in-painter that fills them."""

from common.errors import UserError
from common.images import image_file
from common.inference.inpainting import Hole, Inpainter, inpainter_of, masked, without_hole
from tests.helpers.image_files import noise
from tests.helpers.inpainters import box_hole, completed_by, small_model

import numpy as np
import pytest


@pytest.fixture(scope="module")
def model():
    return small_model(channels=3)


def mean_of_visible(x, mask):
    """Fills a hole with the mean of the visible pixels."""
    visible = 1 - mask
    mean = (x * visible).sum((1, 2), keepdims=True) / visible.sum((1, 2), keepdims=True)
    return visible * x + mask * mean


@pytest.mark.parametrize(
    ("box", "expected"),
    [("2,1,3,4", (2, 1, 3, 4)), ("0,0,9,5", (0, 0, 9, 5)), (None, (2, 1, 5, 3))],
)
def test_a_box_is_x_y_width_and_height_and_by_default_the_centre(box, expected):
    height, width = 6, 10
    hole = Hole(box=box).of("a.png", height, width)
    assert hole.dtype == bool
    np.testing.assert_array_equal(hole, box_hole(height, width, *expected))


def test_white_pixels_of_a_mask_are_filled(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (5, 7, 1), np.uint8)
    image_file.write(tmp_path / "m.png", grey)
    hole = Hole(mask=str(tmp_path / "m.png")).of("a.png", 5, 7)
    np.testing.assert_array_equal(hole, grey[..., 0] >= 128)


@pytest.mark.parametrize("box", ["", "1,2,3", "1,2,3,4,5", "a,1,1,1", "1.5,1,2,2", "-1,0,2,2"])
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(UserError, match=f"--box {box}: give x,y,width,height in pixels"):
        Hole(box=box)


def test_a_box_and_a_mask_exclude_each_other():
    with pytest.raises(UserError, match=r"--box 1,1,2,2: cannot be combined with --mask"):
        Hole(box="1,1,2,2", mask="m.png")


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("8,0,3,2", "--box 8,0,3,2: outside of a.png, which has 10x6 pixels; give x + width up to"),
        ("0,5,1,2", "--box 0,5,1,2: outside of a.png"),
        ("10,0,1,1", "--box 10,0,1,1: outside"),
        ("3,3,0,2", "--box 3,3,0,2: nothing is to be filled in a.png; give a width"),
        ("0,0,10,6", "--box 0,0,10,6: all of a.png, which has 10x6 pixels, is to be filled"),
    ],
)
def test_a_box_that_does_not_fit_an_image_is_refused(box, said):
    with pytest.raises(UserError) as error:
        Hole(box=box).of("a.png", 6, 10)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "level", "said"),
    [
        ((6, 9), 255, "has 9x6 pixels; give one of the size of a.png, which has 10x6 pixels"),
        ((6, 10), 0, "nothing is to be filled in a.png; make a pixel white"),
        ((6, 10), 255, "leave something visible"),
    ],
)
def test_a_mask_that_does_not_fit_an_image_is_refused(tmp_path, shape, level, said):
    image_file.write(tmp_path / "m.png", np.full((*shape, 1), level, np.uint8))
    with pytest.raises(UserError) as error:
        Hole(mask=str(tmp_path / "m.png")).of("a.png", 6, 10)
    assert said in str(error.value) and str(error.value).startswith(f"--mask {tmp_path}")


@pytest.mark.parametrize("sides", [(16, 16), (7, 30), (45, 18)])
def test_an_image_is_completed_at_its_own_size(model, sides):
    image, hole = noise(*sides, 1), box_hole(*sides, 3, 2, 6, 4)
    completed = inpainter_of(model).complete(image, hole)
    expected = completed_by(model, image, hole)
    assert completed.dtype == np.uint8 and completed.shape == image.shape
    assert np.abs(completed.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(completed[~hole], image[~hole])


@pytest.mark.parametrize("side", [16, 12, 60])
def test_at_another_scale_the_visible_pixels_stay(model, side):
    image, hole = noise(48, 37, 2), box_hole(48, 37, 20, 7, 9, 30)
    completed = inpainter_of(model).complete(image, hole, side)
    assert completed.shape == image.shape
    np.testing.assert_array_equal(completed[~hole], image[~hole])
    assert np.abs(completed.astype(int) - inpainter_of(model).complete(image, hole)).max() > 1


@pytest.mark.parametrize("side", [None, 10, 15])
def test_what_the_hole_contained_has_no_influence(model, side):
    image, hole = noise(30, 40, 3), box_hole(30, 40, 11, 5, 13, 17)
    other = np.where(hole[..., None], 255 - image, image)
    inpainter = inpainter_of(model)
    np.testing.assert_array_equal(
        inpainter.complete(image, hole, side), inpainter.complete(other, hole, side)
    )


def test_a_resized_hole_covers_all_that_was_hidden():
    image = np.full((40, 40, 1), 200, np.uint8)
    hole = box_hole(40, 40, 13, 9, 3, 5)
    completed = Inpainter(mean_of_visible, 1, 8).complete(image, hole, side=8)
    assert np.abs(completed.astype(int) - 200).max() <= 1


def test_large_images_are_filled_in_tiles():
    image = np.full((40, 90, 1), 60, np.uint8)
    hole = box_hole(40, 90, 30, 10, 4, 4)
    image[hole] = 250
    calls = []

    def call(x, mask):
        calls.append(x.shape)
        return mean_of_visible(x, mask)

    completed = Inpainter(call, 1, 16).complete(image, hole, tile=32)
    assert len(calls) > 3 and {shape[1:3] for shape in calls} == {(32, 32)}
    assert np.abs(completed.astype(int) - 60).max() <= 1


def test_without_hole_takes_the_nearest_visible_pixels():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    hole = box_hole(3, 4, 0, 0, 3, 3)
    expected = np.repeat(image[:, 3:], 4, axis=1)
    np.testing.assert_array_equal(without_hole(image, hole), expected)


def test_holes_are_shown_in_grey():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    holes = np.stack([box_hole(4, 4, 0, 0, 2, 2), box_hole(4, 4, 2, 2, 2, 2)])
    shown = masked(images, holes)
    assert (shown[holes] == 128).all() and (shown[~holes] == 0).all()
