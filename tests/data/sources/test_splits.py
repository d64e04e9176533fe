"""Random splits, and hashes that tell splits apart."""

from common.data.sources.splits import fingerprint, random_split

import numpy as np


def test_every_index_is_in_one_part_in_order():
    parts = random_split(50, 3, 5, 7)
    assert [len(part) for part in parts] == [38, 5, 7]
    assert all((np.diff(part) > 0).all() for part in parts)
    assert sorted(np.concatenate(parts)) == list(range(50))


def test_a_part_depends_on_the_seed_but_not_on_later_parts():
    rest, first = random_split(50, 3, 5)
    np.testing.assert_array_equal(first, random_split(50, 3, 5, 7)[1])
    np.testing.assert_array_equal(first, np.sort(np.random.default_rng(3).permutation(50)[:5]))
    assert not np.array_equal(first, random_split(50, 4, 5)[1]) and len(rest) == 45


def test_without_parts_every_index_remains():
    (rest,) = random_split(4, 0)
    assert rest.tolist() == [0, 1, 2, 3]


def test_a_fingerprint_depends_on_the_names_and_their_order():
    splits = {"a": ["x", "y"], "b": ["y", "x"], "c": ["x", "y"], "d": ["xy"]}
    made = fingerprint(splits, "images")
    assert made["a"].startswith("2 images, ") and len(made["a"]) == len("2 images, ") + 16
    assert made["a"] == made["c"] and len(set(made.values())) == 3
