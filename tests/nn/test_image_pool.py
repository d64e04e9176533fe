"""The image pool, compared with a list that is given the same random choices."""

from common.nn.image_pool import ImagePool

import numpy as np
import pytest
import tensorflow as tf

SIZE, STEPS, BATCH = 4, 12, 3


def images(step):
    """Three images (2, 2, 1) of unique values."""
    return np.repeat(3 * step + np.arange(3, dtype="float32"), 4).reshape(3, 2, 2, 1)


def pool_by_list(batches, swaps, slots):
    """The authors' algorithm, one image after the other."""
    pool, returned = [], []
    for x, swap, slot in zip(batches, swaps, slots, strict=True):
        for one, s, k in zip(x, swap, slot, strict=True):
            if len(pool) < SIZE:
                pool.append(one)
                returned.append(one)
            elif s:
                returned.append(pool[k])
                pool[k] = one
            else:
                returned.append(one)
    return np.stack(returned), np.stack(pool)


@pytest.mark.parametrize("jit", [None, True], ids=["graph", "xla"])
def test_the_pool_equals_a_list(jit):
    """Four is not a multiple of three, so the pool fills up in the middle of a batch."""
    random = np.random.default_rng(0)
    swaps = random.random((STEPS, BATCH)) < 0.5
    slots = random.integers(0, SIZE, (STEPS, BATCH))
    pool = ImagePool(SIZE, (2, 2, 1))
    step = tf.function(pool.exchange, jit_compile=jit, autograph=False)
    made = np.concatenate([step(images(n), swaps[n], slots[n]) for n in range(STEPS)])
    returned, kept = pool_by_list([images(n) for n in range(STEPS)], swaps, slots)
    np.testing.assert_array_equal(made, returned)
    np.testing.assert_array_equal(pool.images, kept)
    assert int(pool.count) == SIZE
    assert (returned != np.concatenate([images(n) for n in range(STEPS)])).any()


@pytest.fixture(scope="module")
def drawn():
    """The images that a pool of ten returned for the images 0, 1, 2, ..."""
    pool = ImagePool(10, (1, 1, 1))
    step = tf.function(pool, autograph=False)
    batches = np.arange(2000, dtype="float32").reshape(-1, 20, 1, 1, 1)
    return np.ravel([step(tf.constant(batch)) for batch in batches])


def test_a_full_pool_returns_an_old_image_half_of_the_time(drawn):
    asked = np.arange(len(drawn))
    np.testing.assert_array_equal(drawn[:10], asked[:10])
    old = drawn[10:] != asked[10:]
    assert old.mean() == pytest.approx(0.5, abs=0.05)
    # A stored image is returned with probability 1/2 x 1/10 at each step: after 20 on average.
    assert (asked[10:] - drawn[10:])[old].mean() == pytest.approx(20, rel=0.15)
    assert len(set(drawn[10:][old])) == old.sum()  # each is returned once


def test_images_of_a_batch_are_exchanged_independently():
    pool = ImagePool(2, (1, 1, 1))
    full = tf.constant([1.0, 2.0], shape=(2, 1, 1, 1))
    pool(full)
    mixed = 0
    for n in range(20):
        x = tf.constant([10.0 + n, 100.0 + n], shape=(2, 1, 1, 1))
        new = np.ravel(pool(x)) == np.ravel(x)
        mixed += new[0] != new[1]
    assert mixed > 3


def test_the_random_choices_are_state():
    """With restored variables the same images are returned again."""
    pool = ImagePool(3, (1, 1, 1))
    x = [tf.fill((2, 1, 1, 1), float(n)) for n in range(12)]
    for one in x[:4]:
        pool(one)
    before = [v.numpy() for v in pool.variables]
    first = [pool(one).numpy() for one in x[4:]]
    for variable, value in zip(pool.variables, before, strict=True):
        variable.assign(value)
    np.testing.assert_array_equal([pool(one).numpy() for one in x[4:]], first)


def test_no_gradient_flows_back():
    for size in (0, 2):
        pool = ImagePool(size, (1, 1, 1))
        x = tf.ones((2, 1, 1, 1))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(pool(x))
        assert tape.gradient(y, x) is None


def test_a_pool_of_size_zero_returns_its_input():
    x = images(0)
    np.testing.assert_array_equal(ImagePool(0, (2, 2, 1))(x), x)
