"""Random shifts within a training step."""

from common.nn.augmentation import shifted

import keras
import numpy as np
import pytest
import tensorflow as tf

X = np.random.default_rng(0).uniform(-1, 1, (300, 5, 4, 2)).astype("float32")


def moved(image, dy, dx):
    """The image shifted down and right, its border replicated."""
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    return image[rows][:, columns]


@pytest.mark.parametrize("jit", [None, True])
def test_each_image_is_shifted_by_itself_and_all_shifts_occur(jit):
    seed = keras.random.SeedGenerator(1)
    y = tf.function(lambda: shifted(tf.constant(X), 1, seed), jit_compile=jit)().numpy()
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    found = []
    for x, other in zip(X, y, strict=True):
        matching = [shift for shift in shifts if np.array_equal(moved(x, *shift), other)]
        assert len(matching) == 1
        found += matching
    assert set(found) == set(shifts)
    assert all(0.06 < found.count(shift) / len(X) < 0.17 for shift in shifts)


def test_no_shift_leaves_images_and_random_state_alone():
    seed = keras.random.SeedGenerator(2)
    before = seed.state.numpy()
    np.testing.assert_array_equal(shifted(tf.constant(X), 0, seed), X)
    np.testing.assert_array_equal(seed.state, before)
