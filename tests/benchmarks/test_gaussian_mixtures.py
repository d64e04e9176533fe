"""Samples of Gaussian mixtures, and the modes that samples cover."""

from benchmarks.gaussian_mixtures import (
    Mixture,
    concentration,
    grid,
    histogram_kl,
    line,
    mode_scores,
    relation_scores,
    ring,
)

import numpy as np
import pytest

FOUR = Mixture(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 0.1)


@pytest.mark.parametrize("mixture, modes, extent", [(ring(), 8, 2.0), (grid(), 25, 4.0)])
def test_points_are_distributed_around_the_centres(mixture, modes, extent):
    assert mixture.centres.shape == (modes, 2)
    assert mixture.extent == pytest.approx(extent)
    points = mixture.points(3, 20_000)
    assert points.shape == (20_000, 2) and points.dtype == np.float32
    offsets = points[:, None] - mixture.centres
    nearest = np.linalg.norm(offsets, axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=modes) / len(points)
    np.testing.assert_allclose(shares, 1 / modes, atol=0.02)
    deviations = offsets[np.arange(len(points)), nearest]
    np.testing.assert_allclose(deviations.std(axis=0), mixture.std, rtol=0.03)
    np.testing.assert_array_equal(points, mixture.points(3, 20_000))
    assert (points != mixture.points(4, 20_000)).any()


def test_mode_scores_by_hand():
    samples = [[0.0, 0.29], [1.0, 0.0], [0.71, 0.0], [0.5, 0.5]]  # the last one is in no mode
    scores = mode_scores(np.array(samples), FOUR)
    assert scores["modes"] == 2 and scores["good"] == 0.75
    shares = np.array([1, 2]) / 3
    assert scores["kl"] == pytest.approx((shares * np.log(shares / 0.25)).sum())
    assert mode_scores(np.array(samples), FOUR, least=2) == scores | {"modes": 1}


def test_mode_scores_of_the_mixture_and_of_a_single_mode():
    own = mode_scores(grid().points(0, 20_000), grid())
    assert own["modes"] == 25 and own["kl"] < 0.01
    assert own["good"] == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # Rayleigh: within 3 std
    single = mode_scores(np.zeros((5, 2)), FOUR)
    assert single == {"modes": 1, "good": 1.0, "kl": pytest.approx(np.log(4))}


def test_mode_scores_without_good_samples():
    assert mode_scores(np.full((3, 2), 9.0), FOUR) == {"modes": 0, "good": 0.0, "kl": float("inf")}


def test_points_on_a_line_have_their_own_deviations():
    mixture = line()
    points = mixture.points(0, 50_000)
    assert points.shape == (50_000, 1) and mixture.unit == 1.0 and ring().unit == 2.0
    nearest = np.abs(points - mixture.centres.T).argmin(axis=1)
    for k, (centre, std) in enumerate(zip([10, 20, 60, 80, 110], [3, 3, 2, 2, 1], strict=True)):
        own = points[nearest == k]
        assert own.mean() == pytest.approx(centre, abs=0.5)
        assert own.std() == pytest.approx(std, rel=0.1)
    # 10 and 20 are close: half of what is between them is cut off.
    scores = mode_scores(points, mixture)
    assert scores["modes"] == 5 and scores["good"] > 0.99
    assert mode_scores(np.array([[106.5], [84.0]]), mixture)["good"] == 0.5  # 3.5 and 2 deviations


def test_the_divergence_of_histograms_by_hand():
    data = np.array([[0.1], [0.2], [5.1], [5.2]])
    samples = np.array([[0.3], [0.4], [0.45], [5.3]])
    expected = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert histogram_kl(samples, data) == pytest.approx(expected)
    assert histogram_kl(np.array([[0.3], [50.0]]), data) == pytest.approx(0)  # 50 is in no bin
    same = line().points(0, 200_000), line().points(1, 200_000)
    assert histogram_kl(*same) < 0.01


def test_the_concentration_of_each_generator():
    samples = np.array([[0.0, 0], [0.0, 0], [1.0, 0], [0, 1.0], [1.0, 1], [1.0, 1]])
    makers = np.array([0, 0, 0, 0, 2, 2])
    assert concentration(samples, makers, FOUR) == [0.75, 1.0]


def test_relations_of_translators_that_are_known():
    """A rotation of the five modes meets every second one of ten, a constant a single one."""
    five, ten = ring(5, std=0.02), ring(10, std=0.02)
    turn = 2 * np.pi / 10
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    scores = relation_scores(lambda x: x @ rotation.T, five, ten, 0)
    assert scores["modes"] == 5 and scores["good"] == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert relation_scores(lambda x: 0 * x + ten.centres[3], five, ten, 0) == {
        "modes": 1,
        "good": 1.0,
    }
    assert relation_scores(lambda x: 1.5 * x, five, ten, 0) == {"modes": 5, "good": 0.0}
