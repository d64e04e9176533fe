"""Random augmentation of images within a training step."""

from common.distributed.collectives import sharded_random

import keras
import tensorflow as tf
from keras import ops


def shifted(x: tf.Tensor, most: int, seed: keras.random.SeedGenerator) -> tf.Tensor:
    """Shifts each image by up to `most` pixels along each axis; its border is replicated.

    Args:
        x: images, float (B, H, W, C).
        most: pixels, 0 or more; all shifts up to it are equally probable.
        seed: the source of the shifts.
    """
    if not most:
        return x
    shifts = sharded_random(keras.random.randint, (x.shape[0], 2), -most, most + 1, seed=seed)
    for axis in (1, 2):
        side = x.shape[axis]
        source = ops.arange(side, dtype="int32")[None] - shifts[:, axis - 1 : axis]  # (B, side)
        x = tf.gather(x, ops.clip(source, 0, side - 1), axis=axis, batch_dims=1)
    return x
