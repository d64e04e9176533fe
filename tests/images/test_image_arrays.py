"""Operations on images as arrays: value range, size, crop, mirror."""

from common.images import image_file
from tests.helpers.image_files import noise

import numpy as np
import pytest


def test_unit_range_round_trip():
    levels = np.arange(256, dtype=np.uint8)
    unit = image_file.to_unit(levels)
    assert unit.dtype == np.float32 and unit[0] == -1 and unit[-1] == 1
    np.testing.assert_array_equal(image_file.to_uint8(unit), levels)
    np.testing.assert_array_equal(image_file.to_uint8([-7, -1, 0.998, 9.0]), [0, 0, 255, 255])


@pytest.mark.parametrize("channels", [1, 3])
def test_resize(channels):
    image = noise(40, 60, 0, channels)
    assert image_file.resize(image, 10, 17).shape == (10, 17, channels)
    np.testing.assert_array_equal(image_file.resize(image, 40, 60), image)
    flat = np.full((9, 9, channels), 77, np.uint8)
    np.testing.assert_array_equal(image_file.resize(flat, 30, 5), np.full((30, 5, channels), 77))


def test_resize_antialiases():
    # a one-pixel checkerboard has no detail left at a quarter of its size
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    inner = image_file.resize(checks, 16, 16)[2:-2, 2:-2].astype(int)
    assert np.abs(inner - 127.5).max() < 3


def test_a_square_is_cropped_from_the_centre():
    image = np.zeros((4, 10, 1), np.uint8)
    image[:, 3:7] = 200
    np.testing.assert_array_equal(image_file.square(image, 4), np.full((4, 4, 1), 200))
    np.testing.assert_array_equal(
        image_file.square(image.transpose(1, 0, 2), 2), np.full((2, 2, 1), 200)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mirrored_image(channels):
    image = np.random.default_rng(0).integers(256, size=(4, 5, channels), dtype=np.uint8)
    mirrored = image_file.mirrored(image[1:])
    np.testing.assert_array_equal(mirrored, np.fliplr(image[1:]))
    assert mirrored.flags.c_contiguous
