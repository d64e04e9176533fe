from common.errors import UserError
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance

import numpy as np
import pytest
from scipy.linalg import sqrtm


def gaussian(seed, dimension=12, rank=12):
    """A random mean, and a random covariance of the given rank."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(dimension, rank))
    return rng.normal(size=dimension), factor @ factor.T


@pytest.mark.parametrize("seed", range(3))
def test_distance_equals_the_formula_with_matrix_square_root(seed):
    (m1, c1), (m2, c2) = gaussian(seed), gaussian(seed + 10)
    expected = np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    np.testing.assert_allclose(frechet_distance(m1, c1, m2, c2), expected, rtol=1e-9)
    np.testing.assert_allclose(frechet_distance(m2, c2, m1, c1), expected, rtol=1e-9)


def test_distance_of_diagonal_covariances():
    rng = np.random.default_rng(0)
    m1, m2 = rng.normal(size=(2, 9))
    s1, s2 = rng.uniform(0, 3, size=(2, 9))  # standard deviations
    s1[:3] = 0
    expected = np.sum((m1 - m2) ** 2) + np.sum((s1 - s2) ** 2)
    got = frechet_distance(m1, np.diag(s1**2), m2, np.diag(s2**2))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("rank", [12, 4])
def test_distance_of_a_gaussian_to_itself_is_zero_and_never_negative(rank):
    mean, cov = gaussian(0, rank=rank)
    assert 0 <= frechet_distance(mean, cov, mean, cov) < 1e-5
    np.testing.assert_allclose(frechet_distance(mean, cov, mean + 1, cov), 12, atol=1e-5)


def test_distance_of_disjoint_singular_covariances_is_the_sum_of_traces():
    c1, c2 = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 0])
    assert frechet_distance(np.zeros(3), c1, np.zeros(3), c2) == pytest.approx(13)


def test_distance_refuses_inconsistent_shapes():
    mean, cov = gaussian(0)
    with pytest.raises(ValueError, match="covariances"):
        frechet_distance(mean, cov, mean[:-1], cov)
    with pytest.raises(ValueError, match="covariances"):
        frechet_distance(mean, np.diag(cov), mean, cov)


def test_mean_and_covariance_equal_numpy_in_float64():
    features = np.random.default_rng(0).normal(1000, 1, (50, 7)).astype(np.float32)
    mean, cov = mean_and_covariance(features)
    assert mean.dtype == cov.dtype == np.float64
    np.testing.assert_allclose(mean, features.astype(np.float64).mean(0))
    np.testing.assert_allclose(cov, np.cov(features, rowvar=False, dtype=np.float64), rtol=1e-9)
    assert mean_and_covariance(features[:, :1])[1].shape == (1, 1)


def test_too_few_or_non_finite_features_are_refused():
    features = np.zeros((4, 3))
    with pytest.raises(UserError, match="at least 2 images per set, not 1"):
        mean_and_covariance(features[:1])
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        mean_and_covariance(features[0])
    for value in (np.nan, np.inf):
        features[2, 1] = value
        with pytest.raises(UserError, match="finite"):
            mean_and_covariance(features)
