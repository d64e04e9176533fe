"""The stream is a pure function of seed and step."""

from common.data import stream as stream_module
from common.data.stream import batch_indices, permutation, sample_index, stream
from common.images import image_file

import numpy as np
import pytest
import tensorflow as tf


def draw(index, random):
    return np.uint8([index]), random.integers(256, size=(1, 8), dtype=np.uint8)


def batches(count=7, batch_size=2, seed=3, start=0, stop=12):
    """(indices, jitter) of every batch: (steps, batch_size) each."""
    as_they_are = {"finish": lambda *arrays: arrays}
    made = stream(draw, [(1,), (1, 8)], count, batch_size, seed, start, stop, **as_they_are)
    x, y = zip(*made.as_numpy_iterator(), strict=True)
    assert all(a.shape == (batch_size, 1) and a.dtype == np.uint8 for a in x)
    assert all(b.shape == (batch_size, 1, 8) and b.dtype == np.uint8 for b in y)
    return np.stack(x)[..., 0].astype(int), np.stack(y)[:, :, 0].view(np.uint64)[..., 0]


def test_grey_levels_become_the_floats_of_numpy():
    """Bit by bit: what runs in the graph may not round otherwise than what `images` does."""

    def levels(index, random):
        return np.arange(256, dtype=np.uint8), np.zeros(3, np.uint8)

    ((x, y),) = stream(levels, [(256,), (3,)], 2, 2, 0, 0, 1).as_numpy_iterator()
    assert x.dtype == y.dtype == np.float32 and y.shape == (2, 3)
    np.testing.assert_array_equal(x, [image_file.to_unit(np.arange(256, dtype=np.uint8))] * 2)
    np.testing.assert_array_equal(y, np.full((2, 3), -1))


@pytest.mark.parametrize("start", [1, 3, 5, 11])  # an epoch is 3 steps
def test_from_any_step_it_is_the_tail_of_the_whole(start):
    for whole, tail in zip(batches(), batches(start=start), strict=True):
        np.testing.assert_array_equal(tail, whole[start:])


def test_an_epoch_visits_each_sample_once_and_each_epoch_in_its_own_order():
    indices, _ = batches(count=8, batch_size=2, stop=12)
    epochs = indices.reshape(3, 8)
    np.testing.assert_array_equal(np.sort(epochs), [range(8)] * 3)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_stay_whole_and_within_an_epoch_when_they_do_not_divide_it():
    indices, _ = batches(count=7, batch_size=3, stop=20)
    assert indices.shape == (20, 3)
    epochs = indices.reshape(10, 6)
    assert all(len(set(epoch)) == 6 for epoch in epochs)  # no sample twice
    assert set(epochs.ravel()) == set(range(7))  # who waits changes


def test_jitter_does_not_freeze_and_is_no_neighbours():
    indices, jitter = batches(count=4, batch_size=1, stop=40)
    assert len(np.unique(jitter)) == 40
    assert all(len(np.unique(jitter[indices == index])) == 10 for index in range(4))


def test_the_seed_moves_order_and_jitter():
    (order, jitter), (other_order, other_jitter) = batches(seed=3), batches(seed=4)
    assert (order != other_order).any()
    assert not np.isin(jitter, other_jitter).any()


def test_one_sample_is_an_epoch_of_its_own():
    indices, _ = batches(count=1, batch_size=1, stop=5)
    np.testing.assert_array_equal(indices, np.zeros((5, 1)))


def test_the_index_follows_the_epochs_permutation():
    order = [permutation(5, 9, epoch) for epoch in (0, 1)]
    seen = [sample_index(number, count=5, batch_size=2, seed=9) for number in range(8)]
    np.testing.assert_array_equal(seen, [*order[0][:4], *order[1][:4]])


def whole_batches(count=7, batch_size=2, seed=3, start=0, stop=12):
    """(indices, squares) of every batch that is loaded whole: (steps, batch_size) each."""
    specs = [tf.TensorSpec((batch_size,), tf.int64), tf.TensorSpec((batch_size, 1), tf.float32)]
    arguments = count, batch_size, seed, start, stop
    made = stream_module.batches(
        lambda i: (i.astype(np.int64), np.float32(i[:, None] ** 2)), specs, *arguments
    )
    assert [spec.shape for spec in made.element_spec] == [spec.shape for spec in specs]
    indices, squares = zip(*made.as_numpy_iterator(), strict=True)
    return np.stack(indices), np.stack(squares)[..., 0]


@pytest.mark.parametrize("count, batch_size", [(7, 2), (8, 4), (5, 5), (1, 1), (9, 4)])
def test_whole_batches_hold_the_samples_of_the_stream(count, batch_size):
    one_by_one, _ = batches(count, batch_size)
    at_once, squares = whole_batches(count, batch_size)
    np.testing.assert_array_equal(at_once, one_by_one)
    np.testing.assert_array_equal(squares, one_by_one**2)


@pytest.mark.parametrize("start", [1, 3, 11])
def test_whole_batches_from_any_step_are_the_tail_of_the_whole(start):
    for whole, tail in zip(whole_batches(), whole_batches(start=start), strict=True):
        np.testing.assert_array_equal(tail, whole[start:])


def test_a_batchs_indices_are_those_of_its_samples_one_by_one():
    for count, batch_size in ((5, 2), (10, 3), (4, 4)):
        for step in range(9):
            numbers = range(step * batch_size, (step + 1) * batch_size)
            one_by_one = [sample_index(number, count, batch_size, seed=9) for number in numbers]
            at_once = batch_indices(step, count, batch_size, seed=9)
            np.testing.assert_array_equal(at_once, one_by_one)


def test_a_whole_batch_of_another_shape_is_an_error():
    specs = [tf.TensorSpec((2,), tf.float32)]
    made = stream_module.batches(lambda i: (np.zeros(3, np.float32),), specs, 4, 2, 0, 0, 1)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(made)
