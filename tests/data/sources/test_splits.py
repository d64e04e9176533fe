"""What is held out, by lot."""

from common.data.sources.splits import shares

import numpy as np


def test_every_number_is_in_one_share_in_order():
    parts = shares(50, 3, 5, 7)
    assert [len(part) for part in parts] == [38, 5, 7]
    assert all((np.diff(part) > 0).all() for part in parts)
    assert sorted(np.concatenate(parts)) == list(range(50))


def test_a_share_is_a_function_of_the_seed_whatever_comes_after_it():
    rest, first = shares(50, 3, 5)
    np.testing.assert_array_equal(first, shares(50, 3, 5, 7)[1])
    np.testing.assert_array_equal(first, np.sort(np.random.default_rng(3).permutation(50)[:5]))
    assert not np.array_equal(first, shares(50, 4, 5)[1]) and len(rest) == 45


def test_without_shares_all_is_left():
    (rest,) = shares(4, 0)
    assert rest.tolist() == [0, 1, 2, 3]
