"""A stream is a pure function of seed and step."""

from common.data.stream import (
    all_to_unit,
    batch_indices,
    endless_indices,
    per_sample,
    permutation,
    sample_index,
    shuffled,
    stream,
)
from common.images import image_file

import numpy as np
import pytest
import tensorflow as tf


def unchanged(*tensors):
    return tensors


def draw(index, random):
    return np.int64(index), random.integers(2**63, size=1)


SPECS = [tf.TensorSpec((), tf.int64), tf.TensorSpec((1,), tf.int64)]


def drawn(count=7, batch_size=2, seed=3, start=0, stop=12, chunk=1, rows=None):
    """(indices, random numbers) of every batch: (steps, batch_size) each."""
    load = per_sample(shuffled(draw, count, batch_size, seed))
    options = {"rows": rows, "finish": unchanged, "chunk": chunk}
    batches = stream(load, SPECS, batch_size, start, stop, **options)
    made = batch_size if rows is None else len(rows)
    assert [spec.shape for spec in batches.element_spec] == [(made,), (made, 1)]
    indices, numbers = zip(*batches.as_numpy_iterator(), strict=True)
    return np.stack(indices), np.stack(numbers)[..., 0]


def test_pixel_values_become_the_floats_of_numpy():
    """Bit by bit: the graph may not round differently from `image_file.to_unit`."""

    def levels(numbers):
        return np.stack([np.arange(256, dtype=np.uint8)] * 2), np.zeros((2, 3), np.uint8)

    specs = [tf.TensorSpec((256,), tf.uint8), tf.TensorSpec((3,), tf.uint8)]
    ((x, y),) = stream(levels, specs, 2, 0, 1, finish=all_to_unit).as_numpy_iterator()
    assert x.dtype == y.dtype == np.float32 and y.shape == (2, 3)
    np.testing.assert_array_equal(x, [image_file.to_unit(np.arange(256, dtype=np.uint8))] * 2)
    np.testing.assert_array_equal(y, np.full((2, 3), -1))


@pytest.mark.parametrize("start", [1, 3, 5, 11])  # an epoch is 3 steps
@pytest.mark.parametrize("chunk", [1, None])
def test_a_stream_that_starts_later_is_the_tail_of_the_whole(start, chunk):
    for whole, tail in zip(drawn(chunk=chunk), drawn(start=start, chunk=chunk), strict=True):
        np.testing.assert_array_equal(tail, whole[start:])


def test_an_epoch_visits_each_sample_once_and_each_epoch_in_its_own_order():
    indices, _ = drawn(count=8, batch_size=2, stop=12)
    epochs = indices.reshape(3, 8)
    np.testing.assert_array_equal(np.sort(epochs), [range(8)] * 3)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_are_full_and_within_an_epoch_when_they_do_not_divide_it():
    indices, _ = drawn(count=7, batch_size=3, stop=20)
    assert indices.shape == (20, 3)
    epochs = indices.reshape(10, 6)
    assert all(len(set(epoch)) == 6 for epoch in epochs)  # no sample twice
    assert set(epochs.ravel()) == set(range(7))  # another one is left out each time


def test_augmentation_differs_between_epochs_and_between_samples():
    indices, numbers = drawn(count=4, batch_size=1, stop=40)
    assert len(np.unique(numbers)) == 40
    assert all(len(np.unique(numbers[indices == index])) == 10 for index in range(4))


def test_the_seed_changes_order_and_augmentation():
    (order, numbers), (other_order, other_numbers) = drawn(seed=3), drawn(seed=4)
    assert (order != other_order).any()
    assert not np.isin(numbers, other_numbers).any()


def test_one_sample_is_an_epoch_of_its_own():
    indices, _ = drawn(count=1, batch_size=1, stop=5)
    np.testing.assert_array_equal(indices, np.zeros((5, 1)))


def test_the_index_follows_the_epochs_permutation():
    order = [permutation(5, 9, epoch) for epoch in (0, 1)]
    seen = [sample_index(number, count=5, batch_size=2, seed=9) for number in range(8)]
    np.testing.assert_array_equal(seen, [*order[0][:4], *order[1][:4]])


@pytest.mark.parametrize(("count", "batch_size"), [(5, 2), (10, 3), (4, 4), (1, 1)])
def test_the_indices_of_a_batch_are_those_of_its_samples(count, batch_size):
    for step in range(9):
        numbers = np.arange(step * batch_size, (step + 1) * batch_size)
        one_by_one = [sample_index(n, count, batch_size, seed=9) for n in numbers.tolist()]
        np.testing.assert_array_equal(batch_indices(numbers, count, batch_size, 9), one_by_one)


@pytest.mark.parametrize(("count", "batch_size"), [(7, 2), (8, 4), (5, 5), (1, 1), (9, 4)])
@pytest.mark.parametrize("rows", [None, range(1)])
def test_the_chunk_changes_nothing(count, batch_size, rows):
    one_by_one = drawn(count, batch_size, rows=rows)
    at_once = drawn(count, batch_size, rows=rows, chunk=None)
    for a, b in zip(one_by_one, at_once, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_call_loads_a_chunk():
    calls = []

    def load(numbers):
        calls.append(numbers.tolist())
        return (numbers,)

    for chunk, rows, expected in (
        (None, None, [[4, 5, 6, 7], [8, 9, 10, 11]]),
        (None, range(2, 4), [[6, 7], [10, 11]]),
        (2, None, [[4, 5], [6, 7], [8, 9], [10, 11]]),
        (1, range(2, 4), [[6], [7], [10], [11]]),
    ):
        calls.clear()
        list(stream(load, SPECS[:1], 4, 1, 3, rows, finish=unchanged, chunk=chunk))
        assert sorted(calls) == expected


@pytest.mark.parametrize("rows", [range(0, 2), range(2, 4)])
@pytest.mark.parametrize("chunk", [1, None])
def test_a_part_of_the_rows(rows, chunk):
    whole = drawn(10, 4, chunk=chunk)
    part = drawn(10, 4, chunk=chunk, rows=rows)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[:, rows.start : rows.stop], b)


def test_arrays_of_another_shape_are_an_error():
    specs = [tf.TensorSpec((), tf.float32)]
    batches = stream(lambda n: (np.zeros(3, np.float32),), specs, 2, 0, 1, finish=unchanged)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(batches)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_endless_indices_are_those_of_batches_of_one(count):
    numbers = np.arange(4, 29)
    expected = [sample_index(number, count, 1, 7) for number in numbers.tolist()]
    np.testing.assert_array_equal(endless_indices(numbers, count, 7), expected)
