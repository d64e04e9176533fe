"""Stacked digits: which digits are in the channels."""

from common.data.labelled import LabelledImages

import numpy as np
import pytest


@pytest.fixture
def mnist(tmp_path):
    """A small mnist.npz, whose digits are constant images of different values."""
    x = np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    y = np.arange(200) % 10
    train, test = {"x_train": x[:150], "y_train": y[:150]}, {"x_test": x[150:], "y_test": y[150:]}
    np.savez(tmp_path / "mnist.npz", **train, **test)
    return str(tmp_path)


def test_a_stack_has_a_digit_of_its_split_in_each_channel(mnist):
    data = LabelledImages(5, "stacked_mnist", mnist)
    assert data.channels == 3 and data.image_size == 8 and data.classes == 0
    for split, count, values in (("train", 150, range(150)), ("test", 50, range(150, 200))):
        x, _ = data.arrays(split)
        assert x.shape == (count, 8, 8, 3) and x.dtype == np.uint8
        triples = x[:, 0, 0]
        assert (x == triples[:, None, None]).all() and set(triples.ravel()) <= set(values)
        assert len({tuple(each) for each in triples}) > 0.95 * count
        assert np.abs(np.corrcoef(triples.T.astype(float)) - np.eye(3)).max() < 0.5


def test_stacks_do_not_depend_on_the_seed_and_batches_are_of_them(mnist):
    one, other = (LabelledImages(seed, "stacked_mnist", mnist) for seed in (1, 2))
    assert one.fingerprint() == other.fingerprint()
    stacks = [{x.tobytes() for x in data.arrays("train")[0]} for data in (one, other)]
    assert stacks[0] == stacks[1]
    (x, _) = next(one.stream(6, 0, 1).as_numpy_iterator())
    assert {((each + 1) * 127.5).round().astype(np.uint8).tobytes() for each in x} <= stacks[0]


def test_generated_digits_are_stacked_without_a_file():
    data = LabelledImages(0, "stacked_digits", image_size=28)
    x, _ = data.arrays("train", 3)
    assert x.shape == (3, 28, 28, 3) and x.max() == 255
