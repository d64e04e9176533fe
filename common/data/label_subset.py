"""Small labelled subsets, for semi-supervised models."""

from typing import NamedTuple

from common.distributed.collectives import replica_count, sharded_random
from common.errors import UserError
from common.images import image_file

import keras
import numpy as np
import tensorflow as tf


class FewLabels(NamedTuple):
    """The labelled images of a semi-supervised model, in memory.

    Attributes:
        x: images, float32 (N, S, S, C) in [-1, 1]; None before the dataset is known.
        y: their classes, int32 (N,).
    """

    x: tf.Tensor | None = None
    y: tf.Tensor | None = None

    def draw(
        self, count: int, generator: keras.random.SeedGenerator
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """A batch of `count` images drawn with replacement, or all N if the batch has as many.

        Args:
            count: number of images; with several replicas, of each one's shard.
            generator: the random state, which is advanced.
        """
        if self.x is None:
            raise ValueError("prepare(data) comes before the first step")
        available = self.x.shape[0]
        if available <= replica_count() * count:
            return self.x, self.y
        chosen = sharded_random(keras.random.randint, (count,), 0, available, seed=generator)
        return tf.gather(self.x, chosen), tf.gather(self.y, chosen)


def few_labels(data, count: int) -> FewLabels:
    """The `balanced_subset` of a dataset as tensors; arguments and errors as there.

    Raises:
        UserError: also if there would be no label of a class.
    """
    if count < data.classes:
        raise UserError(f"--labels {count}: give {data.classes} or more: one of each class")
    x, y = balanced_subset(data, count)
    return FewLabels(tf.constant(image_file.to_unit(x)), tf.constant(y))


def halves(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first and the last half of a batch (B, ...), which overlap by one if B is odd."""
    half = (x.shape[0] + 1) // 2
    return x[:half], x[-half:]


def balanced_subset(data, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a class-balanced subset of the training images, fixed by the dataset's seed.

    It has the first images of each class in the shuffled order of `data.arrays`. If `count` is not
    a multiple of the number of classes, the first classes have one more.

    Args:
        data: a labelled dataset with `arrays`, `classes`, `class_names` and `training_count`.
        count: number of images, at least one per class.

    Returns:
        x uint8 (count, S, S, C) and y int32 (count,), in the order of `data.arrays`.

    Raises:
        UserError: a class has too few images.
    """
    wanted = [count // data.classes + (i < count % data.classes) for i in range(data.classes)]
    looked_at = 4 * count  # rarely does a class need more
    while True:
        x, y = data.arrays("train", min(looked_at, data.training_count))
        firsts = [np.flatnonzero(y == i)[:n] for i, n in enumerate(wanted)]
        chosen = np.sort(np.concatenate(firsts))
        if len(chosen) == count:
            return x[chosen], y[chosen]
        if looked_at >= data.training_count:
            scarce = min(range(data.classes), key=lambda i: len(firsts[i]) - wanted[i])
            raise UserError(
                f"--labels {count}: needs {wanted[scarce]} training images of class "
                f"{data.class_names[scarce]}, which has {len(firsts[scarce])}; give fewer"
            )
        looked_at *= 4
