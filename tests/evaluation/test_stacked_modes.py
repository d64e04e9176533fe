"""Modes of stacked digits: each channel is classified by itself."""

from types import SimpleNamespace

from common.evaluation import stacked_modes

import numpy as np
import pytest


class Digits:
    """Constant images, whose value is their class."""

    classes = 10

    def arrays(self, split, count=None):
        labels = np.arange(100, dtype=np.uint8) % 10
        return labels[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8), labels


def stacks(triples):
    return np.asarray(triples, np.uint8)[:, None, None] * np.ones((1, 4, 4, 1), np.uint8)


class Stacks:
    name = "stacked_mnist"

    def arrays(self, split, count):
        assert split == "train"
        return stacks([[n % 10, n // 10 % 10, 0] for n in range(count)]), None


def test_the_modes_of_samples_and_of_real_stacks(monkeypatch, capsys):
    def logits(x):
        assert x.shape[1:] == (4, 4, 1)
        return np.eye(10)[x[:, 0, 0, 0]]

    classifier = SimpleNamespace(logits=logits, accuracy=0.5)
    monkeypatch.setattr(stacked_modes, "trained_classifier", lambda digits: classifier)
    drawn = [stacks([[1, 2, 3], [1, 2, 3]]), stacks([[3, 2, 1]])]
    found = stacked_modes.compare(iter(drawn), Stacks(), Digits())
    assert found["count"] == 3 and found["classifier_accuracy"] == 0.5
    own, real = found["rows"]["model"], found["rows"]["real (floor)"]
    kl = 2 / 3 * np.log(2 / 3 * 1000) + 1 / 3 * np.log(1000 / 3)
    assert own == {"modes": 2, "kl": pytest.approx(kl)}
    assert real == {"modes": 3, "kl": pytest.approx(np.log(1000 / 3))}
    assert "modes" in capsys.readouterr().out


def test_only_stacks_are_stacked():
    assert stacked_modes.is_stacked(Stacks())
    assert not stacked_modes.is_stacked(SimpleNamespace(name="mnist"))
