"""Batches addressed by global step.

A stream is a pure function of (dataset, seed, step): each epoch visits the samples in a
permutation drawn from (seed, epoch), and the augmentation of a sample draws from (seed, its
number). A run resumed at step n gets exactly the batches that the uninterrupted run got.

Samples are numbered in the order in which training sees them: the batch of step s holds the
numbers s * batch_size to (s + 1) * batch_size - 1.
"""

import os
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

WORKERS = min(8, os.cpu_count() or 1)
LoadSample = Callable[[int], tuple[np.ndarray, ...]]
LoadBatch = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def to_unit(image: tf.Tensor) -> tf.Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape: `image_file.to_unit` in the graph."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def all_to_unit(*images: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """`to_unit` of each image: the `finish` of a stream of images."""
    return tuple(map(to_unit, images))


# The order of samples.


# Batches are loaded ahead, so two epochs of each of two domains are in use around their border.
@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of `count` samples in one epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def sample_index(number: int, count: int, batch_size: int, seed: int) -> int:
    """The index, in [0, count), of the sample with a number.

    An epoch is count // batch_size full batches; the samples at the end of its permutation that
    do not fill a batch are left out.
    """
    epoch, position = divmod(number, count // batch_size * batch_size)
    return int(permutation(count, seed, epoch)[position])


def batch_indices(numbers: np.ndarray, count: int, batch_size: int, seed: int) -> np.ndarray:
    """`sample_index` of samples of one batch, and so of one epoch: int (n,) -> int (n,)."""
    epochs, positions = np.divmod(numbers, count // batch_size * batch_size)
    return permutation(count, seed, int(epochs[0]))[positions]


def endless_indices(numbers: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`sample_index` in batches of one, which leave no sample out: int (n,) -> int (n,).

    So a batch may be larger than the dataset, and reach into the next epochs.
    """
    epochs, positions = np.divmod(numbers, count)
    indices = np.empty(len(numbers), int)
    for epoch in np.unique(epochs).tolist():
        part = epochs == epoch
        indices[part] = permutation(count, seed, epoch)[positions[part]]
    return indices


def shuffled(
    sample: Callable[[int, np.random.Generator], tuple[np.ndarray, ...]],
    count: int,
    batch_size: int,
    seed: int,
) -> LoadSample:
    """Shuffles and augments a dataset: turns sample(index, random) into load_sample(number).

    Args:
        sample: sample(index, random) -> arrays; must depend on nothing else.
        count: number of samples, at least `batch_size`.
        batch_size: samples per step.
        seed: seed for shuffling and augmentation.
    """

    def load_sample(number: int) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng([seed, 1, number])
        return sample(sample_index(number, count, batch_size, seed), random)

    return load_sample


# The stream.


def per_sample(load_sample: LoadSample) -> LoadBatch:
    """Turns load_sample(number) -> arrays of a sample into the `load_batch` of a stream."""

    def load_batch(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        samples = map(load_sample, numbers.tolist())
        return tuple(map(np.stack, zip(*samples, strict=True)))

    return load_batch


def stream(
    load_batch: LoadBatch,
    specs: list[tf.TensorSpec],
    batch_size: int,
    start: int,
    stop: int,
    rows: range | None = None,
    *,
    finish: Callable[..., tuple[tf.Tensor, ...]],
    chunk: int | None = None,
) -> tf.data.Dataset:
    """Batches for the steps in [start, stop), prefetched by threads.

    Args:
        load_batch: load_batch(numbers) -> arrays of the samples with these numbers, int (n,), in
            [step * batch_size, (step + 1) * batch_size); must depend on nothing else.
        specs: shape and type of each of these arrays, of one sample.
        batch_size: samples per step.
        start: first global step, counted from 0.
        stop: the step after the last.
        rows: the part of each batch that is loaded; default all.
        finish: function of a batch's tensors, in the graph, where floats are made at less cost
            than in Python: `all_to_unit` for images.
        chunk: number of samples that one call of `load_batch` loads, a divisor of the batch; calls
            run in parallel. Default: the whole batch, for arrays in memory; 1 for files.

    Returns:
        A dataset of what `finish` returns for tensors (batch_size or len(rows), *shape).
    """
    rows = rows or range(batch_size)
    chunk = chunk or len(rows)

    def load_chunk(first: np.ndarray) -> tuple[np.ndarray, ...]:
        step, row = divmod(int(first), len(rows))
        return load_batch(step * batch_size + np.asarray(rows[row : row + chunk]))

    def load_in_graph(first: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(load_chunk, [first], [spec.dtype for spec in specs])
        return tuple(
            tf.ensure_shape(array, (chunk, *spec.shape))
            for array, spec in zip(arrays, specs, strict=True)
        )

    def in_parallel(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
        return dataset.map(function, num_parallel_calls=WORKERS, deterministic=True)

    firsts = tf.data.Dataset.range(start * len(rows), stop * len(rows), chunk)
    batches = in_parallel(firsts, load_in_graph)
    if chunk < len(rows):
        batches = batches.rebatch(len(rows), drop_remainder=True)
    # Autotuning is off: it holds up the end of `fit` for as long as its own period.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = WORKERS  # apart from the thread of the step
    return in_parallel(batches, finish).prefetch(4).with_options(options)
