"""Class-balanced subsets of the training images."""

from common.data.label_subset import balanced_subset
from common.errors import UserError

import numpy as np
import pytest


class Data:
    """200 numbered images of two common classes and a rare one, in a fixed order."""

    classes, class_names, training_count = 3, ("a", "b", "rare"), 200

    def __init__(self):
        self.asked = []

    def arrays(self, split, count):
        assert split == "train" and count <= self.training_count
        self.asked.append(count)
        y = np.array([2 if i in (90, 150) else i % 2 for i in range(count)], "int32")
        return np.arange(count, dtype="uint8").reshape(-1, 1, 1, 1), y


def test_the_first_images_of_each_class_in_the_order_of_the_dataset():
    data = Data()
    x, y = balanced_subset(data, 5)
    assert y.tolist() == [0, 1, 0, 1, 2]  # 5 images of 3 classes: the first two have one more
    assert x.ravel().tolist() == [0, 1, 2, 3, 90]
    assert data.asked == [20, 80, 200]  # no more than needed


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(UserError, match=r"--labels 9: needs 3 .* class rare, which has 2"):
        balanced_subset(Data(), 9)
