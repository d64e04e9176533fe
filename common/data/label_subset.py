"""The few images that have a label, for models that learn from mostly unlabelled ones."""

from common.errors import UserError

import numpy as np


def first_of_each_class(data, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Training images with their classes: a function of the data set and its seed.

    Of each class the first ones in the set's seeded order, of all classes equally many; where
    `count` is no multiple of the classes, the first classes have one more.

    Args:
        data: a labelled data set with `arrays`, `classes`, `class_names` and `training_count`.
        count: images, at least one for each class.

    Returns:
        x uint8 (count, S, S, C) and y int32 (count,), in the set's order.

    Raises:
        UserError: a class has too few images.
    """
    shares = [count // data.classes + (i < count % data.classes) for i in range(data.classes)]
    looked_at = 4 * count  # classes are seldom so rare that more have to be read
    while True:
        x, y = data.arrays("train", min(looked_at, data.training_count))
        firsts = [np.flatnonzero(y == i)[:share] for i, share in enumerate(shares)]
        chosen = np.sort(np.concatenate(firsts))
        if len(chosen) == count:
            return x[chosen], y[chosen]
        if looked_at >= data.training_count:
            scarce = min(range(data.classes), key=lambda i: len(firsts[i]) - shares[i])
            raise UserError(
                f"--labels {count}: takes {shares[scarce]} training images of class "
                f"{data.class_names[scarce]}, which has {len(firsts[scarce])}; give fewer"
            )
        looked_at *= 4
