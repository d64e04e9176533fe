"""The history pool against a list that is told the same decisions."""

from common.nn.image_pool import HistoryPool

import numpy as np
import pytest
import tensorflow as tf

SIZE, STEPS, BATCH = 4, 12, 3


def images(step):
    """Three images (2, 2, 1), each of a value of its own."""
    return np.repeat(3 * step + np.arange(3, dtype="float32"), 4).reshape(3, 2, 2, 1)


def plain(batches, swaps, slots):
    """The rule as the paper's authors state it, one image after the other."""
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
def test_it_does_what_a_list_does(jit):
    """Four is no multiple of three, so the pool fills in the middle of a batch."""
    random = np.random.default_rng(0)
    swaps = random.random((STEPS, BATCH)) < 0.5
    slots = random.integers(0, SIZE, (STEPS, BATCH))
    pool = HistoryPool(SIZE, (2, 2, 1))
    step = tf.function(pool.exchange, jit_compile=jit, autograph=False)
    made = np.concatenate([step(images(n), swaps[n], slots[n]) for n in range(STEPS)])
    returned, kept = plain([images(n) for n in range(STEPS)], swaps, slots)
    np.testing.assert_array_equal(made, returned)
    np.testing.assert_array_equal(pool.images, kept)
    assert int(pool.count) == SIZE
    assert (returned != np.concatenate([images(n) for n in range(STEPS)])).any()


@pytest.fixture(scope="module")
def drawn():
    """A pool of ten after many images 0, 1, 2, ...: what it gave back for each."""
    pool = HistoryPool(10, (1, 1, 1))
    step = tf.function(pool, autograph=False)
    batches = np.arange(2000, dtype="float32").reshape(-1, 20, 1, 1, 1)
    return np.ravel([step(tf.constant(batch)) for batch in batches])


def test_a_full_pool_answers_with_an_old_image_half_of_the_time(drawn):
    asked = np.arange(len(drawn))
    np.testing.assert_array_equal(drawn[:10], asked[:10])
    old = drawn[10:] != asked[10:]
    assert old.mean() == pytest.approx(0.5, abs=0.05)
    # A stored image waits for its slot: with probability 1/2 x 1/10 at each step, 20 on average.
    assert (asked[10:] - drawn[10:])[old].mean() == pytest.approx(20, rel=0.15)
    assert len(set(drawn[10:][old])) == old.sum()  # each comes back once


def test_images_of_one_batch_are_decided_each_by_itself():
    pool = HistoryPool(2, (1, 1, 1))
    full = tf.constant([1.0, 2.0], shape=(2, 1, 1, 1))
    pool(full)
    mixed = 0
    for n in range(20):
        x = tf.constant([10.0 + n, 100.0 + n], shape=(2, 1, 1, 1))
        new = np.ravel(pool(x)) == np.ravel(x)
        mixed += new[0] != new[1]
    assert mixed > 3


def test_its_lots_are_state():
    """With the variables put back the same images come out again."""
    pool = HistoryPool(3, (1, 1, 1))
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
        pool = HistoryPool(size, (1, 1, 1))
        x = tf.ones((2, 1, 1, 1))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(pool(x))
        assert tape.gradient(y, x) is None


def test_a_pool_of_no_size_returns_what_it_gets():
    x = images(0)
    np.testing.assert_array_equal(HistoryPool(0, (2, 2, 1))(x), x)
