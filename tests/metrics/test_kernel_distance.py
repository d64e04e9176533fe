from itertools import product

from common.errors import UserError
from common.metrics import kernel_distance as module
from common.metrics.kernel_distance import kernel_distance, polynomial_mmd2

import numpy as np
import pytest


def direct(x, y):
    """The definition, pair by pair."""

    def k(a, b):
        return (float(np.dot(a, b)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("seed", range(3))
def test_mmd_equals_the_double_sums(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(7, 5)), rng.normal(0.5, 2, size=(11, 5))
    np.testing.assert_allclose(polynomial_mmd2(x, y), direct(x, y), rtol=1e-10)
    np.testing.assert_allclose(polynomial_mmd2(y, x), direct(x, y), rtol=1e-10)


def moments_distance(p, q):
    """MMD^2 between uniform distributions over two finite sets of numbers.

    E k = E (ab + 1)^3 is 1 + 3 m1 n1 + 3 m2 n2 + m3 n3 in the moments of a and b.
    """
    powers = np.arange(1, 4)[:, None]
    difference = np.mean(np.power(p, powers), axis=1) - np.mean(np.power(q, powers), axis=1)
    return np.sum([3, 3, 1] * difference**2)


@pytest.mark.parametrize(
    ("p", "q"), [((0.0, 1.0), (0.0, 2.0)), ((-1.0, 0.5), (1.0, 3.0)), ((1.0, 2.0), (1.0, 2.0))]
)
def test_the_estimate_is_unbiased(p, q):
    estimates = [
        polynomial_mmd2(np.reshape(x, (-1, 1)), np.reshape(y, (-1, 1)))
        for x in product(p, repeat=2)
        for y in product(q, repeat=3)
    ]
    np.testing.assert_allclose(np.mean(estimates), moments_distance(p, q), atol=1e-12)


def test_distance_is_near_zero_only_for_equal_distributions():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1600, 16))
    mean, deviation = kernel_distance(x, y, subsets=32, size=100)
    assert deviation > 0
    assert abs(mean) < 3 * deviation / np.sqrt(16)  # 16 of the subsets can be disjoint
    assert kernel_distance(x, y + 0.5, subsets=32, size=100)[0] > 10 * deviation


def test_mean_and_deviation_are_over_subsets_drawn_with_a_fixed_seed(monkeypatch):
    x, y = np.arange(10.0)[:, None], np.arange(50.0)[:, None]
    drawn = []

    def estimate(a, b):
        drawn.append((a[:, 0], b[:, 0]))
        return float(len(drawn))

    monkeypatch.setattr(module, "polynomial_mmd2", estimate)
    assert kernel_distance(x, y, subsets=4, size=5) == (2.5, np.std([1, 2, 3, 4]))
    assert all(len(set(a)) == len(set(b)) == 5 for a, b in drawn)
    assert len({tuple(b) for _, b in drawn}) == 4
    kernel_distance(x, y, subsets=4, size=5)
    np.testing.assert_equal(drawn[:4], drawn[4:])
    drawn.clear()
    kernel_distance(x, y, subsets=4, size=1000)  # the whole set would be the same subset each time
    assert {len(part) for pair in drawn for part in pair} == {5}


def test_float32_features_lose_no_precision():
    rng = np.random.default_rng(0)
    x, y = (100 + rng.normal(size=(2, 40, 3))).astype(np.float32)
    np.testing.assert_allclose(polynomial_mmd2(x, y), direct(*map(np.float64, (x, y))), rtol=1e-6)


def test_invalid_features_are_refused():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        polynomial_mmd2(x, x[:, :2])
    with pytest.raises(UserError, match="at least 2 images per set, not 4 and 1"):
        polynomial_mmd2(x, x[:1])
