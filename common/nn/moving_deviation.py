"""The standard deviation of a value over the last steps, as a part of a training step."""

from common.nn.counter import add_counter

import keras
from keras import ops


class MovingDeviation(keras.layers.Layer):
    """Standard deviation of the last values that the layer was called with.

    The values are variables, so checkpoints include them, and a resumed run logs what an
    uninterrupted one does.

    Args:
        size: number of values, 1 or more; until there are so many, all of them count.
    """

    def __init__(self, size: int, **options):
        super().__init__(dtype="float32", **options)
        self.values = self.add_weight((size,), "zeros", trainable=False, name="values")
        self.count = add_counter(self, "count")
        self.built = True

    def call(self, value):
        """Takes a value, a float scalar; returns the deviation, a float scalar, 0 for the first."""
        size = self.values.shape[0]
        self.values.assign(ops.concatenate([ops.reshape(value, (1,)), self.values[:-1]]))
        self.count.assign(ops.minimum(self.count + 1, size))
        known = ops.cast(ops.arange(size, dtype="int64") < self.count, "float32")
        count = ops.sum(known)
        mean = ops.sum(known * self.values) / count
        return ops.sqrt(ops.sum(known * ops.square(self.values - mean)) / count)
