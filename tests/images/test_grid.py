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
