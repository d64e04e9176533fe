"""Masks of images with a hole."""

from common.nn.masks import composite, with_square_holes

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize(("side", "hole"), [(9, 4), (5, 1), (6, 6)])
def test_each_mask_has_one_square_hole_anywhere_inside(side, hole):
    masks = with_square_holes(600, side, hole, keras.random.SeedGenerator(1)).numpy()
    assert masks.shape == (600, side, side, 1) and masks.dtype == np.float32
    assert set(np.unique(masks)) <= {0.0, 1.0}
    corners = set()
    for m in masks[..., 0]:
        rows, columns = np.nonzero(m == 0)
        top, left = rows.min(), columns.min()
        expected = np.ones((side, side))
        expected[top : top + hole, left : left + hole] = 0
        np.testing.assert_array_equal(m, expected)
        corners.add((top, left))
    places = side - hole + 1
    assert corners == {(top, left) for top in range(places) for left in range(places)}


def test_all_places_are_equally_probable():
    masks = with_square_holes(4000, 4, 2, keras.random.SeedGenerator(2)).numpy()[..., 0]
    tops, lefts = (np.argmin(masks.min(axis=axis), axis=1) for axis in (2, 1))
    shares = np.histogram2d(tops, lefts, bins=3)[0] / 4000
    np.testing.assert_allclose(shares, 1 / 9, atol=0.02)


def test_holes_come_from_the_state_of_the_seed():
    seed = keras.random.SeedGenerator(3)
    state = seed.state.numpy()
    first, second = (with_square_holes(8, 9, 3, seed).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    seed.state.assign(state)
    np.testing.assert_array_equal(with_square_holes(8, 9, 3, seed), first)


def test_xla_draws_holes_too():
    seed = keras.random.SeedGenerator(4)
    drawn = tf.function(lambda: with_square_holes(3, 8, 4, seed), jit_compile=True)().numpy()
    assert (drawn.sum(axis=(1, 2, 3)) == 48).all()


def test_a_composite_has_the_visible_pixels_of_one_image_and_the_hole_of_the_other():
    random = np.random.default_rng(0)
    x, filled = random.uniform(-1, 1, (2, 3, 5, 5, 2)).astype("float32")
    m = with_square_holes(3, 5, 2, keras.random.SeedGenerator(0)).numpy()
    expected = np.where(m == 1, x, filled)
    np.testing.assert_array_equal(composite(m, x, filled), expected)
