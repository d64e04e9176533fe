from common.metrics import parzen_window
from common.metrics.parzen_window import SIGMAS, best_sigma, log_likelihoods

import numpy as np
import pytest
from scipy.stats import multivariate_normal

RANDOM = np.random.default_rng(0)


def test_log_likelihoods_are_those_of_a_mixture_of_normal_distributions():
    x, samples = RANDOM.uniform(size=(7, 5)), RANDOM.uniform(size=(4, 5))
    sigmas = np.array([0.1, 0.7, 2.0])
    expected = [
        np.log(np.mean([multivariate_normal(mean, sigma**2).pdf(x) for mean in samples], axis=0))
        for sigma in sigmas
    ]
    found = log_likelihoods(x, samples, sigmas)
    assert found.shape == (3, 7) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_log_likelihood_at_a_lone_sample():
    """-D log(sigma sqrt(2 pi)), and half a nat less one sigma away; images may be float32."""
    x = np.full((2, 784), 0.5, np.float32)
    x[1, 0] += 0.2
    ((at, beside),) = log_likelihoods(x, x[:1], np.array([0.2]))
    assert at == pytest.approx(-784 * np.log(0.2 * np.sqrt(2 * np.pi)))
    assert at - beside == pytest.approx(0.5, rel=1e-5)


def test_densities_far_below_the_smallest_float_have_a_logarithm():
    found = log_likelihoods(np.ones((1, 784)), np.zeros((2, 784)), np.array([0.1]))
    expected = -784 / 0.02 - 784 / 2 * np.log(2 * np.pi * 0.01)
    np.testing.assert_allclose(found, [[expected]], rtol=1e-9)
    assert np.exp(found) == 0


@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_do_not_change_the_result(monkeypatch, chunk):
    x, samples = RANDOM.uniform(size=(7, 5)), RANDOM.uniform(size=(4, 5))
    expected = log_likelihoods(x, samples, SIGMAS)
    monkeypatch.setattr(parzen_window, "_CHUNK", chunk)
    np.testing.assert_allclose(log_likelihoods(x, samples, SIGMAS), expected)


def test_the_best_of_ten_widths_fits_the_validation_images():
    np.testing.assert_allclose(SIGMAS[[0, 3, 9]], [0.1, 10 ** (-2 / 3), 1])
    assert len(SIGMAS) == 10
    # Around one sample the likelihood is highest at the deviation of the images.
    for deviation in (0.02, SIGMAS[4], SIGMAS[7], 5.0):
        validation = 0.5 + deviation * RANDOM.normal(size=(50, 30))
        nearest = SIGMAS[np.abs(np.log(SIGMAS / deviation)).argmin()]
        assert best_sigma(validation, np.full((1, 30), 0.5)) == nearest
