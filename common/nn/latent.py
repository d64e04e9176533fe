"""Noise that a generator starts from."""

from typing import Literal, NamedTuple

from common.distributed.collectives import sharded_random

import keras
import tensorflow as tf


class Latent(NamedTuple):
    """Independent components, N(0, 1) or U(-1, 1).

    Attributes:
        size: components of a vector z.
        distribution: of each component.
    """

    size: int
    distribution: Literal["normal", "uniform"] = "normal"

    def draw(self, count: int, generator: keras.random.SeedGenerator) -> tf.Tensor:
        """z (count, size), float32, for training: the generator's state moves on."""
        shape, options = (count, self.size), {"dtype": "float32", "seed": generator}
        if self.distribution == "normal":
            return sharded_random(keras.random.normal, shape, **options)
        return sharded_random(keras.random.uniform, shape, -1.0, 1.0, **options)

    def of_seed(self, seed: int | tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
        """z (count, size), float32, for sampling: a function of the seed, in plain TensorFlow.

        The same in a SavedModel as here; the first vectors do not depend on how many are asked for.
        """
        shape, pair = (count, self.size), (seed, 0)
        if self.distribution == "normal":
            return tf.random.stateless_normal(shape, pair)
        return tf.random.stateless_uniform(shape, pair, -1.0, 1.0)
