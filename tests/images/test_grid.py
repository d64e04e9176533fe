"""Grids of images."""

from common.images.grid import grid, square_grid

import numpy as np
import pytest

BLACK, GRAYSCALE = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 1), 9, np.uint8)


def test_images_of_both_kinds_are_padded_with_white():
    made = grid([[BLACK, GRAYSCALE], [GRAYSCALE]], padding=1)
    assert made.shape == (7, 9, 3) and made.dtype == np.uint8
    np.testing.assert_array_equal(made[1:3, 1:4], BLACK)
    np.testing.assert_array_equal(made[1:3, 5:8], np.full((2, 3, 3), 9))
    assert (made[4:6, 5:8] == 255).all() and (made[0] == 255).all() and (made[:, 4] == 255).all()


def test_grayscale_images_give_one_channel():
    assert grid([[GRAYSCALE]], padding=0).shape == (2, 3, 1)


def test_images_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="one size"):
        grid([[BLACK, np.zeros((4, 4, 3), np.uint8)]])


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3), (9, 3, 3), (10, 3, 4)]
)
def test_a_square_grid(count, rows, columns):
    shape = square_grid([GRAYSCALE] * count).shape
    assert shape == (4 * rows + 2, 5 * columns + 2, 1)


def test_names_and_captions_are_written_beside_the_unchanged_grid():
    images = [[np.full((28, 28, 1), 99, np.uint8)] * 3] * 2
    plain = grid(images)
    made = grid(images, names=("ankle boot", "bag"), captions=("a", "b", "c"))
    top, left = (big - small for big, small in zip(made.shape[:2], plain.shape[:2], strict=True))
    np.testing.assert_array_equal(made[top:, left:], plain)
    for row in range(2):  # dark text beside each row, and above each column
        assert made[top + 30 * row : top + 30 * (row + 1), :left].min() < 100
    for column in range(3):
        assert made[:top, left + 30 * column : left + 30 * (column + 1)].min() < 100
    assert (made[:top, :left] == 255).all()
    np.testing.assert_array_equal(made, grid(images, names=("ankle boot", "bag"), captions="abc"))


def test_a_caption_that_is_wider_than_its_column_turns_all_upright():
    images = [[np.zeros((20, 20, 3), np.uint8)] * 2]
    low, high = (len(grid(images, captions=each)) for each in (("a", "b"), ("a", "and back")))
    assert high > low + 20


def test_a_long_name_is_wrapped_within_its_row():
    images = [[np.zeros((28, 28, 1), np.uint8)]] * 2
    made = grid(images, names=("a name that goes on and on and on and on", "x"))
    assert made.shape[0] == grid(images).shape[0] and made.shape[1] < 200


def test_there_is_no_text_beside_images_that_are_too_small_for_it():
    images = [[np.zeros((8, 8, 1), np.uint8)] * 2] * 2
    np.testing.assert_array_equal(grid(images, names="ab", captions="cd"), grid(images))
