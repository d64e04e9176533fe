"""Modes of stacked digits, by hand."""

from common.metrics.stacked import stacked_modes

import numpy as np
import pytest


def test_modes_and_divergence_by_hand():
    predicted = [[0, 0, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1]]
    found = stacked_modes(predicted, np.array([0.75, 0.25]))
    expected = 0.5 * np.log(0.5 / 0.75**3)
    expected += 0.25 * np.log(0.25 / (0.25 * 0.75 * 0.25)) + 0.25 * np.log(0.25 / 0.25**3)
    assert found == {"modes": 3, "kl": pytest.approx(expected)}


def test_samples_of_the_data_have_all_modes_and_the_divergence_of_their_number():
    shares = np.linspace(0.08, 0.12, 10)
    shares /= shares.sum()
    random = np.random.default_rng(0)
    found = stacked_modes(random.choice(10, (26_000, 3), p=shares), shares)
    assert found["modes"] == 1000 and found["kl"] == pytest.approx(1000 / 52_000, rel=0.1)


def test_the_order_of_the_channels_counts():
    orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2]]
    assert stacked_modes(orders, np.full(10, 0.1))["modes"] == 3
