"""Batches addressed by global step.

A stream is a pure function of (data set, seed, step): each epoch visits the samples in a
permutation drawn from (seed, epoch), and a sample's augmentation draws from (seed, its running
number). A run resumed at step n gets exactly the batches that the uninterrupted run got.
"""

import os
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

WORKERS = min(8, os.cpu_count() or 1)
Sample = Callable[[int, np.random.Generator], tuple[np.ndarray, ...]]
Load = Callable[[np.ndarray], tuple[np.ndarray, ...]]
Finish = Callable[..., tuple[tf.Tensor, ...]]


def to_unit_in_graph(image: tf.Tensor) -> tf.Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape: as that of `images`, in the graph."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def all_to_unit(*arrays: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """A `Finish` for images: each array `to_unit_in_graph`."""
    return tuple(map(to_unit_in_graph, arrays))


# Batches are loaded ahead, so two epochs of each of two domains are in use around their border.
@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of `count` samples in one epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def sample_index(number: int, count: int, batch_size: int, seed: int) -> int:
    """Which of `count` samples is the `number`-th that training sees, counted from 0.

    An epoch is count // batch_size whole batches; the permutation's rest waits for the next one.
    """
    epoch, position = divmod(number, count // batch_size * batch_size)
    return int(permutation(count, seed, epoch)[position])


def batch_indices(step: int, count: int, batch_size: int, seed: int) -> np.ndarray:
    """The samples of one step, (batch_size,): `sample_index` of each of them."""
    epoch, position = divmod(step * batch_size, count // batch_size * batch_size)
    return permutation(count, seed, epoch)[position : position + batch_size]


def stream(
    sample: Sample,
    shapes: list[tuple[int, ...]],
    count: int,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    rows: range | None = None,
    finish: Finish = all_to_unit,
) -> tf.data.Dataset:
    """Batches for the steps from `start` to before `stop`, loaded ahead by threads.

    Args:
        sample: sample(index, random) -> uint8 arrays; must depend on nothing else.
        shapes: the shapes of these arrays.
        count: number of samples, at least `batch_size`.
        batch_size: samples a step.
        seed: of shuffling and augmentation.
        start: first global step, counted from 0.
        stop: the step after the last.
        rows: which samples of each batch are made; default all.
        finish: what becomes of a batch of these arrays in the graph, where floats are made with
            less work than in Python; default `all_to_unit`.

    Returns:
        A data set of tuples of (batch_size or len(rows), *shape), float32 unless `finish` says
        otherwise, in the same order every time.
    """

    def load(number: int) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng([seed, 1, number])
        return sample(sample_index(number, count, batch_size, seed), random)

    return numbered(load, shapes, batch_size, start, stop, rows, finish)


def numbered(
    load: Callable[[int], tuple[np.ndarray, ...]],
    shapes: list[tuple[int, ...]],
    batch_size: int,
    start: int,
    stop: int,
    rows: range | None = None,
    finish: Finish = all_to_unit,
) -> tf.data.Dataset:
    """As `stream`, of samples that are a function load(number) of their running number alone."""

    rows = rows or range(batch_size)

    def load_one(made: np.ndarray) -> tuple[np.ndarray, ...]:
        step, row = divmod(int(made), len(rows))
        return load(step * batch_size + rows[row])

    def load_in_graph(made: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(load_one, [made], [tf.uint8] * len(shapes))
        return tuple(tf.ensure_shape(a, s) for a, s in zip(arrays, shapes, strict=True))

    made = tf.data.Dataset.range(start * len(rows), stop * len(rows))
    batched = _mapped(made, load_in_graph).batch(len(rows), drop_remainder=True)
    return _ahead(_mapped(batched, finish))


def batches(
    load: Load,
    specs: list[tf.TensorSpec],
    count: int,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    rows: range | None = None,
) -> tf.data.Dataset:
    """Like `stream`, of the same samples in the same order, but a batch at a time.

    For samples that lie in an array: to gather a batch takes no longer there than a few samples do
    one by one. Samples are not augmented.

    Args:
        load: load(indices) -> arrays of a batch; must depend on nothing else. indices is
            an int array (batch_size,), or (len(rows),).
        specs: the shapes and types of these arrays.
        count, batch_size, seed, start, stop, rows: as in `stream`.

    Returns:
        A data set of tuples of tensors as of `specs`.
    """

    rows = rows or range(batch_size)

    def load_rows(step: np.ndarray) -> tuple[np.ndarray, ...]:
        return load(batch_indices(int(step), count, batch_size, seed)[rows.start : rows.stop])

    def load_in_graph(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(load_rows, [step], [spec.dtype for spec in specs])
        return tuple(tf.ensure_shape(a, s.shape) for a, s in zip(arrays, specs, strict=True))

    return _ahead(_mapped(tf.data.Dataset.range(start, stop), load_in_graph))


def _mapped(numbers: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    return numbers.map(function, num_parallel_calls=WORKERS, deterministic=True)


def _ahead(batched: tf.data.Dataset) -> tf.data.Dataset:
    # Autotuning is off: it holds up the end of `fit` for as long as its own period.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = WORKERS  # apart from the thread of the step
    return batched.prefetch(4).with_options(options)
