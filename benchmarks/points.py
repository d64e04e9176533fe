"""Networks for points, and their training, for benchmarks on mixtures of Gaussians."""

from common.adversarial import Adversarial
from common.data.stream import batch_indices, stream

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense

TRAINING_POINTS = 100_000


def perceptron(inputs: int, outputs: int, hidden: int = 2) -> tuple[keras.KerasTensor, ...]:
    """Input, output and last hidden layer of a multilayer perceptron."""
    x = h = keras.Input((inputs,))
    for _ in range(hidden):
        h = hidden_layer(h)
    return x, Dense(outputs)(h), h


def hidden_layer(h: keras.KerasTensor) -> keras.KerasTensor:
    """A layer of 128 units."""
    return Dense(128, activation="leaky_relu")(h)


def train(
    model: Adversarial, arrays: tuple[np.ndarray, ...], steps: int, batch_size: int, seed: int
):
    """Trains on batches of arrays of equal length, in an order of their own each."""

    def load(numbers):
        return tuple(
            array[batch_indices(numbers, len(array), batch_size, seed + number)]
            for number, array in enumerate(arrays)
        )

    specs = [tf.TensorSpec(array.shape[1:], array.dtype) for array in arrays]
    batches = iter(stream(load, specs, batch_size, 0, steps, finish=lambda *batch: batch))
    model.make_train_function()
    for _ in range(steps):
        model.train_function(batches)


def unlabelled(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points, and zeros in place of labels, for models whose batches have both."""
    return points, np.zeros(len(points), np.int32)
