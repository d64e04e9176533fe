from common.metrics.ranking import area_under_curve

import numpy as np
import pytest


def test_the_area_is_the_share_of_pairs_in_order_and_ties_count_half():
    random = np.random.default_rng(0)
    high, low = random.integers(2, 12, 40), random.integers(0, 10, 70)
    expected = np.mean([(h > w) + (h == w) / 2 for h in high for w in low])
    assert 0.5 < expected < 1
    assert area_under_curve(high, low) == pytest.approx(expected, abs=1e-12)
    assert area_under_curve(low, high) == pytest.approx(1 - expected, abs=1e-12)


@pytest.mark.parametrize(
    ("high", "low", "area"),
    [([2, 3], [0, 1], 1), ([0, 1], [2, 3, 4], 0), ([1, 1], [1, 1, 1], 0.5), ([1, 3], [2], 0.5)],
)
def test_sets_of_known_order(high, low, area):
    assert area_under_curve(np.array(high, float), np.array(low, float)) == area


def test_the_area_under_the_curve_of_rates():
    """The integral of the true positive rate over the false positive rate, by the trapezoids."""
    random = np.random.default_rng(1)
    high, low = random.normal(0.7, 1, 200), random.normal(0, 1.5, 300)
    thresholds = np.sort(np.concatenate([[np.inf], high, low, [-np.inf]]))[::-1]
    true, false = (np.array([(x >= t).mean() for t in thresholds]) for x in (high, low))
    curve = np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2)
    assert area_under_curve(high, low) == pytest.approx(curve, abs=1e-9)


def test_the_area_of_many_float32_scores_is_exact():
    """The i-th of `high` exceeds the first i + 1 of `low`: n (n + 1) / 2 of n^2 pairs."""
    count = 10_000
    low = 2 * np.arange(count, dtype=np.float32)
    area = area_under_curve(low + 1, low)
    assert area == pytest.approx((count + 1) / (2 * count), abs=1e-9)
