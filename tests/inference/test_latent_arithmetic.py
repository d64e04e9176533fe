"""Latent arithmetic: expressions, and sums against NumPy."""

from common.errors import UserError
from common.inference.latent_arithmetic import Term, combined, parse

import numpy as np
import pytest


def test_expressions_are_parsed():
    assert parse("3,17,25-4,9,12+1,2,6") == [
        Term(1, [3, 17, 25]),
        Term(-1, [4, 9, 12]),
        Term(1, [1, 2, 6]),
    ]
    assert parse(" +7 - 7") == [Term(1, [7]), Term(-1, [7])]
    assert parse("0") == [Term(1, [0])]


INVALID = ["", "a", "1,", "1--2", "1+", ",1", "-1", "1.5", "1*2", "3 17", "1,2 3", "10000"]


@pytest.mark.parametrize("wrong", [*INVALID, pytest.param("9" * 5000, id="endless")])
def test_invalid_expressions_are_refused(wrong):
    with pytest.raises(UserError, match="--arithmetic"):
        parse(wrong)


def test_means_and_their_sum():
    noise = np.random.default_rng(0).normal(size=(9, 4))
    means, total = combined(noise, parse("8,0-1+2,3,4"))
    expected = [(noise[8] + noise[0]) / 2, noise[1], (noise[2] + noise[3] + noise[4]) / 3]
    np.testing.assert_allclose(means, expected)
    np.testing.assert_allclose(total, expected[0] - expected[1] + expected[2])
