"""Latent distributions whose last component chooses a generator."""

from common.nn.latent import Latent

import numpy as np
import pytest


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
