"""Latent distributions of generators."""

from typing import Literal, NamedTuple

from common.distributed.collectives import sharded_random

import keras
import tensorflow as tf


class Latent(NamedTuple):
    """A latent distribution with independent components, N(0, 1) or U(-1, 1).

    Attributes:
        size: number of components of a latent vector z.
        distribution: distribution of each component.
    """

    size: int
    distribution: Literal["normal", "uniform"] = "normal"

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
