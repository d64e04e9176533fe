"""Laplacian pyramids: halving, doubling, and bands that give an image back."""

from common.errors import UserError
from common.nn import pyramid

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image


def noise(side, channels=1):
    shape = (2, side, side, channels)
    return np.random.default_rng(side).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(
    ("image_size", "sides"),
    [
        (10, (5, 10)),
        (16, (8, 16)),
        (28, (7, 14, 28)),
        (32, (8, 16, 32)),
        (64, (8, 16, 32, 64)),
        (96, (6, 12, 24, 48, 96)),
    ],
)
def test_sides_are_halved_while_they_are_even_and_above_8(image_size, sides):
    assert pyramid.sides(image_size) == sides


@pytest.mark.parametrize("image_size", [1, 7, 8, 9, 18, 27, 44])
def test_other_sides_are_refused(image_size):
    with pytest.raises(UserError, match=f"--image_size {image_size}: give 5 to 8 times"):
        pyramid.sides(image_size)


def test_down_is_the_mean_of_2x2_pixels():
    """Decimation without averaging would take one of the four."""
    x = noise(14, 3)
    expected = x.reshape(2, 7, 2, 7, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(pyramid.down(tf.constant(x)), expected, atol=1e-6)
    by_pillow = [Image.fromarray(one[..., 0]).resize((7, 7), Image.Resampling.BOX) for one in x]
    np.testing.assert_allclose(expected[..., 0], np.stack(by_pillow), atol=1e-6)


def test_up_is_bilinear_interpolation():
    x = noise(7)
    by_pillow = [
        Image.fromarray(one[..., 0]).resize((14, 14), Image.Resampling.BILINEAR) for one in x
    ]
    np.testing.assert_allclose(pyramid.up(tf.constant(x))[..., 0], np.stack(by_pillow), atol=1e-6)
    # At the corner and beside it, as the docstring has it.
    a, b, c, d = x[0, 0, 0], x[0, 0, 1], x[0, 1, 0], x[0, 1, 1]
    enlarged = pyramid.up(tf.constant(x))[0]
    np.testing.assert_allclose(enlarged[0, 0], a, atol=1e-6)
    np.testing.assert_allclose(enlarged[1, 1], (9 * a + 3 * b + 3 * c + d) / 16, atol=1e-6)


def test_reduced_and_enlarged_repeat_them():
    x = tf.constant(noise(28))
    np.testing.assert_array_equal(pyramid.reduced(x, 7), pyramid.down(pyramid.down(x)))
    np.testing.assert_array_equal(pyramid.enlarged(x, 112), pyramid.up(pyramid.up(x)))
    assert pyramid.reduced(x, 28) is x and pyramid.enlarged(x, 28) is x


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (20, 1)])
def test_the_coarsest_image_and_the_bands_give_an_image_back(side, channels):
    x = tf.constant(noise(side, channels))
    sides = pyramid.sides(side)
    levels = {s: pyramid.reduced(x, s) for s in sides}
    bands = {s: levels[s] - pyramid.up(pyramid.down(levels[s])) for s in sides[1:]}
    again = levels[sides[0]]
    for s in sides[1:]:
        again = pyramid.up(again) + bands[s]
    np.testing.assert_allclose(again, x, atol=5e-7)  # rounding of float32
    nearest = levels[sides[0]]
    for s in sides[1:]:  # with another u it is another image
        nearest = tf.repeat(tf.repeat(nearest, 2, axis=1), 2, axis=2) + bands[s]
    assert np.abs(nearest - x).max() > 0.1
