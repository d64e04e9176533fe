"""Latent distributions: components that choose a generator, truncation."""

from common.nn.latent import Latent, Truncation

import numpy as np
import pytest
from scipy.stats import kstest, truncnorm


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_last_component_chooses_all_equally_often(distribution):
    latent = Latent(3, distribution, choices=5)
    noise = latent.of_seed(0, 20_000)
    chosen = np.asarray(latent.chosen(noise))
    np.testing.assert_allclose(np.bincount(chosen, minlength=5) / 20_000, 0.2, atol=0.01)
    order = np.argsort(noise[:, -1].numpy())
    assert (np.diff(chosen[order]) >= 0).all()
    for choice in range(5):
        own = latent.choosing(noise.numpy(), choice)
        assert own.dtype == np.float32 and (np.asarray(latent.chosen(own)) == choice).all()
        np.testing.assert_array_equal(own[:, :-1], noise[:, :-1])


def test_the_ends_of_the_range_choose_the_first_and_the_last():
    noise = np.array([[-1.0], [1.0], [9.0], [-9.0]], "float32")
    for distribution in ("normal", "uniform"):
        chosen = Latent(1, distribution, choices=3).chosen(9 * noise)
        assert np.asarray(chosen).tolist() == [0, 2, 2, 0]
    assert np.asarray(Latent(1, "uniform", 3).chosen(noise[:2])).tolist() == [0, 2]


@pytest.mark.parametrize("t", [0.3, 1.0, 2.5])
def test_truncated_noise_has_the_distribution_of_redrawn_components(t):
    latent = Latent(50)
    noise = latent.array_of_seed(0, 400)
    resampled = latent.truncated(noise, Truncation(t))
    assert resampled.dtype == np.float32 and np.abs(resampled).max() <= t
    assert kstest(resampled.ravel(), truncnorm(-t, t).cdf).pvalue > 0.01
    scaled = latent.truncated(noise, Truncation(t, "scale"))
    assert kstest(scaled.ravel() / t, truncnorm(-2, 2).cdf).pvalue > 0.01


def test_truncated_noise_keeps_its_order_and_tends_to_the_noise():
    latent = Latent(3)
    noise = latent.array_of_seed(1, 100)
    order = np.argsort(noise.ravel())
    for mode in ("resample", "scale"):
        truncated = latent.truncated(noise, Truncation(0.5, mode))
        assert (np.diff(truncated.ravel()[order]) >= 0).all()
    np.testing.assert_allclose(latent.truncated(noise, Truncation(9.0)), noise, atol=1e-5)
    far = np.full((1, 3), 6.0, np.float32)
    np.testing.assert_allclose(latent.truncated(far, Truncation(0.5)), 0.5, rtol=1e-5)


def test_uniform_noise_becomes_narrower():
    latent = Latent(3, "uniform")
    noise = latent.array_of_seed(1, 5)
    for mode in ("resample", "scale"):
        narrow = latent.truncated(noise, Truncation(0.5, mode))
        np.testing.assert_array_equal(narrow, noise / 2)
        np.testing.assert_array_equal(latent.truncated(noise, Truncation(2.0, mode)), noise)
