"""Latent distributions of generators."""

import math
from typing import Literal, NamedTuple

from common.distributed.collectives import sharded_random

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from scipy.special import ndtr, ndtri

CUT = 2.0  # where "scale" cuts the normal distribution


class Truncation(NamedTuple):
    """Noise closer to its mean, for better images of less variety (Brock et al. 2019, section 3.1).

    Attributes:
        threshold: T, more than 0.
        mode: "resample" redraws components of more than T until none is left, as in the paper;
            "scale" does so with 2 for T and multiplies the result by T, as the authors' published
            generators take it.
    """

    threshold: float
    mode: Literal["resample", "scale"] = "resample"


class Latent(NamedTuple):
    """A latent distribution with independent components, N(0, 1) or U(-1, 1).

    Attributes:
        size: number of components of a latent vector z.
        distribution: distribution of each component.
        choices: number of generators, of which the last component chooses one; 1 where it is a
            component as the others.
    """

    size: int
    distribution: Literal["normal", "uniform"] = "normal"
    choices: int = 1

    def draw(self, count: int, generator: keras.random.SeedGenerator) -> tf.Tensor:
        """Draws z (count, size), float32, for training; advances the generator's state."""
        shape, options = (count, self.size), {"dtype": "float32", "seed": generator}
        if self.distribution == "normal":
            return sharded_random(keras.random.normal, shape, **options)
        return sharded_random(keras.random.uniform, shape, -1.0, 1.0, **options)

    def of_seed(self, seed: int | tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
        """Draws z (count, size), float32, for sampling, as a function of the seed.

        It is plain TensorFlow, with the same result in a SavedModel. The first vectors do not
        depend on `count`.
        """
        shape, pair = (count, self.size), (seed, 0)
        if self.distribution == "normal":
            return tf.random.stateless_normal(shape, pair)
        return tf.random.stateless_uniform(shape, pair, -1.0, 1.0)

    def array_of_seed(self, seed: int, count: int) -> np.ndarray:
        """z (count, size), float32, a function of the seed; a larger count only adds vectors."""
        return self.of_seed(tf.constant(seed, tf.int64), count).numpy()

    def chosen(self, noise):
        """Which generator noise (B, size) chooses, all with equal probability: int (B,)."""
        last = noise[:, -1]
        normal = self.distribution == "normal"
        share = 0.5 + 0.5 * (ops.erf(last / math.sqrt(2.0)) if normal else last)  # in (0, 1)
        return ops.clip(ops.cast(self.choices * share, "int32"), 0, self.choices - 1)

    def choosing(self, noise: np.ndarray, choice: int) -> np.ndarray:
        """Noise float32 (N, size) with a last component that chooses this generator, from 0."""
        share = (choice + 0.5) / self.choices
        last = ndtri(share) if self.distribution == "normal" else 2.0 * share - 1.0
        return np.concatenate([noise[:, :-1], np.full_like(noise[:, -1:], last)], axis=1)

    def truncated(self, noise: np.ndarray, truncation: Truncation) -> np.ndarray:
        """Noise (N, size) with the distribution of truncated noise: float32 (N, size).

        A component keeps its rank, its share of smaller values, instead of being drawn again: the
        distribution is the same, and a vector changes gradually with the threshold. Both modes make
        U(-1, 1) narrower by the factor T.
        """
        t, mode = truncation
        if self.distribution == "uniform":
            return (min(t, 1.0) * noise).astype(np.float32)
        cut = t if mode == "resample" else CUT
        below = ndtr(-cut)  # share of the components below -cut
        rank = below + (1.0 - 2.0 * below) * ndtr(noise.astype(np.float64))
        return ((1.0 if mode == "resample" else t) * ndtri(rank)).astype(np.float32)
