"""Small labelled subsets, for semi-supervised models."""

from common.errors import UserError

import numpy as np


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
