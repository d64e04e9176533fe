"""Class-balanced subsets of the training images."""

from common.data import label_subset
from common.data.label_subset import FewLabels, balanced_subset, few_labels, halves
from common.errors import UserError

import keras
import numpy as np
import pytest
import tensorflow as tf


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


def few(count, classes=3):
    x = tf.reshape(tf.range(count, dtype=tf.float32), (count, 1, 1, 1))
    return FewLabels(x, tf.range(count) % classes)


def test_few_labels_are_those_of_the_subset():
    labelled = few_labels(Data(), 5)
    x, y = balanced_subset(Data(), 5)
    np.testing.assert_allclose(labelled.x, x / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(labelled.y, y)


def test_there_is_a_label_of_each_class():
    with pytest.raises(UserError, match="--labels 2: give 3 or more: one of each class"):
        few_labels(Data(), 2)


def test_more_labels_than_images_are_refused():
    with pytest.raises(UserError, match=r"--labels 201: needs 67 .*; give fewer"):
        few_labels(Data(), 201)


@pytest.mark.parametrize("count", [5, 9])
def test_a_batch_as_large_as_the_subset_has_all_of_it(count):
    labelled, seed = few(5), keras.random.SeedGenerator(0)
    before = seed.state.numpy()
    x, y = labelled.draw(count, seed)
    assert x is labelled.x and y is labelled.y
    np.testing.assert_array_equal(seed.state, before)


def test_a_smaller_batch_is_drawn_with_its_labels():
    labelled, seed = few(7), keras.random.SeedGenerator(0)
    drawn = [labelled.draw(3, seed) for _ in range(200)]
    numbers = np.concatenate([np.ravel(x) for x, _ in drawn]).astype(int)
    np.testing.assert_array_equal(np.concatenate([y for _, y in drawn]), numbers % 3)
    np.testing.assert_allclose(np.bincount(numbers) / 600, 1 / 7, atol=0.06)


def test_replicas_with_all_of_the_subset_together_take_all_of_it_each(monkeypatch):
    monkeypatch.setattr(label_subset, "replica_count", lambda: 2)
    labelled = few(6)
    assert labelled.draw(3, keras.random.SeedGenerator(0))[0] is labelled.x
    assert labelled.draw(2, keras.random.SeedGenerator(0))[0].shape[0] == 2


def test_images_are_drawn_only_once_they_are_known():
    with pytest.raises(ValueError, match="prepare"):
        FewLabels().draw(1, keras.random.SeedGenerator(0))


@pytest.mark.parametrize(
    ("count", "first", "last"), [(4, [0, 1], [2, 3]), (5, [0, 1, 2], [2, 3, 4]), (1, [0], [0])]
)
def test_halves_of_a_batch(count, first, last):
    assert [half.numpy().tolist() for half in halves(tf.range(count))] == [first, last]
