from benchmarks.gaussian_mixtures import Mixture, grid
from benchmarks.modes import mode_scores

import numpy as np
import pytest

FOUR = Mixture(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 0.1)


def test_by_hand():
    samples = [[0.0, 0.29], [1.0, 0.0], [0.71, 0.0], [0.5, 0.5]]  # the last one is in no mode
    scores = mode_scores(np.array(samples), FOUR)
    assert scores["modes"] == 2 and scores["good"] == 0.75
    shares = np.array([1, 2]) / 3
    assert scores["kl"] == pytest.approx((shares * np.log(shares / 0.25)).sum())
    assert mode_scores(np.array(samples), FOUR, least=2) == scores | {"modes": 1}


def test_the_mixture_itself_and_one_mode_alone():
    own = mode_scores(grid().points(0, 20_000), grid())
    assert own["modes"] == 25 and own["kl"] < 0.01
    assert own["good"] == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # Rayleigh: within 3 std
    alone = mode_scores(np.zeros((5, 2)), FOUR)
    assert alone == {"modes": 1, "good": 1.0, "kl": pytest.approx(np.log(4))}


def test_no_good_sample():
    assert mode_scores(np.full((3, 2), 9.0), FOUR) == {"modes": 0, "good": 0.0, "kl": float("inf")}
