from common.errors import UserError
from common.metrics import precision_recall
from common.metrics.precision_recall import neighbour_scores, squared_radii

import numpy as np
import pytest
from scipy.spatial.distance import cdist


def brute_force(real, fake, k):
    """The definitions, from the matrix of all distances."""
    across = cdist(fake, real)
    real_radii = np.sort(cdist(real, real), axis=1)[:, k]  # column 0 is the point itself
    fake_radii = np.sort(cdist(fake, fake), axis=1)[:, k]
    return {
        "precision": np.mean([np.any(row <= real_radii) for row in across]),
        "recall": np.mean([np.any(column <= fake_radii) for column in across.T]),
        "density": np.mean([np.sum(row < real_radii) for row in across]) / k,
        "coverage": np.mean([across[:, i].min() < real_radii[i] for i in range(len(real))]),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("block", [1, 100, 2**23])
def test_scores_equal_brute_force_for_any_block_size(monkeypatch, k, block):
    monkeypatch.setattr(precision_recall, "BLOCK", block)
    rng = np.random.default_rng(k)
    real, fake = rng.normal(size=(60, 4)), rng.normal(0.7, 0.6, size=(41, 4))
    expected = brute_force(real, fake, k)
    assert min(expected.values()) > 0.05
    assert neighbour_scores(real, fake, k) == pytest.approx(expected)
    assert neighbour_scores(fake, real, k) == pytest.approx(brute_force(fake, real, k))
    known = squared_radii(real, k)
    assert neighbour_scores(real, fake, k, known) == pytest.approx(expected)
    np.testing.assert_allclose(np.sqrt(known), np.sort(cdist(real, real), axis=1)[:, k])


def test_equal_sets_score_one():
    points = np.random.default_rng(0).integers(-50, 50, (200, 6))  # exact in floating point
    scores = neighbour_scores(points, points)
    assert scores == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_distant_clusters_score_zero():
    rng = np.random.default_rng(0)
    scores = neighbour_scores(rng.normal(size=(50, 3)), 100 + rng.normal(size=(50, 3)))
    assert scores == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_a_missing_mode_lowers_recall_and_coverage_a_spurious_one_precision_and_density():
    rng = np.random.default_rng(0)
    first, second = rng.integers(-50, 50, (2, 40, 6))
    both = np.concatenate([first, 1000 + second])
    missing = neighbour_scores(both, first)
    assert missing == {"precision": 1, "recall": 0.5, "density": 1, "coverage": 0.5}
    spurious = neighbour_scores(first, both)
    assert spurious == {"precision": 0.5, "recall": 1, "density": 0.5, "coverage": 1}


def test_mode_collapse_has_precision_but_no_recall():
    real = np.random.default_rng(0).normal(size=(100, 3))
    scores = neighbour_scores(real, np.tile(real[:1], (100, 1)))
    assert scores["precision"] == 1
    assert scores["recall"] <= 0.01 and scores["coverage"] < 0.1


def test_an_outlier_inflates_precision_but_not_density():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(size=(200, 2)), [[1000.0, 0]]])
    fake = 500 + rng.normal(size=(100, 2))
    scores = neighbour_scores(real, fake)
    assert scores["precision"] == 1 and scores["density"] == pytest.approx(1 / 3)
    assert scores["coverage"] == pytest.approx(1 / 201)


def test_distances_are_accurate_far_from_the_origin():
    points = np.random.default_rng(0).normal(1000, 1e-2, (50, 128)).astype(np.float32)
    expected = np.sort(cdist(points, points, "sqeuclidean"), axis=1)[:, 3]
    np.testing.assert_allclose(squared_radii(points), expected, rtol=1e-4)


def test_invalid_features_are_refused():
    points = np.zeros((3, 2))
    with pytest.raises(UserError, match="at least 4 images, not 3"):
        squared_radii(points)
    with pytest.raises(UserError, match="at least 4 images, not 3"):
        neighbour_scores(np.zeros((9, 2)), points)
    with pytest.raises(ValueError, match="one size"):
        neighbour_scores(points, points[:, :1])
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        squared_radii(points[0])
