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

Sample = Callable[[int, np.random.Generator], tuple[np.ndarray, ...]]


@lru_cache(maxsize=2)  # batches are loaded ahead, so two epochs are in use around their border
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of `count` samples in one epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def sample_index(number: int, count: int, batch_size: int, seed: int) -> int:
    """Which of `count` samples is the `number`-th that training sees, counted from 0.

    An epoch is count // batch_size whole batches; the permutation's rest waits for the next one.
    """
    epoch, position = divmod(number, count // batch_size * batch_size)
    return int(permutation(count, seed, epoch)[position])


def stream(
    sample: Sample,
    shapes: list[tuple[int, ...]],
    count: int,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
) -> tf.data.Dataset:
    """Batches for the steps from `start` to before `stop`, loaded ahead by threads.

    Args:
        sample: sample(index, random) -> float32 arrays; must depend on nothing else.
        shapes: the shapes of these arrays.
        count: number of samples, at least `batch_size`.
        batch_size: samples a step.
        seed: of shuffling and augmentation.
        start: first global step, counted from 0.
        stop: the step after the last.

    Returns:
        A data set of tuples of float32 (batch_size, *shape), in the same order every time.
    """

    def load(number: np.int64) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng([seed, 1, int(number)])
        return sample(sample_index(int(number), count, batch_size, seed), random)

    def load_in_graph(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(load, [number], [tf.float32] * len(shapes))
        return tuple(tf.ensure_shape(a, s) for a, s in zip(arrays, shapes, strict=True))

    # Autotuning is off: it holds up the end of `fit` for as long as its own period.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        tf.data.Dataset.range(start * batch_size, stop * batch_size)
        .map(load_in_graph, num_parallel_calls=min(8, os.cpu_count() or 1), deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(4)
        .with_options(options)
    )
