"""Counters of a model or a layer."""

import keras


def add_counter(owner: keras.Layer, name: str | None = None) -> keras.Variable:
    """Adds a variable that counts from 0: an int64 scalar, part of the owner's state.

    TensorFlow keeps int32 variables off the GPU, where XLA cannot reach them.
    """
    return owner.add_weight((), "zeros", dtype="int64", trainable=False, name=name)
