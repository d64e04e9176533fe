"""Plots of two-dimensional codes: layout of the manifold, colours of the classes."""

from common.reports.latent_plots import SIDE, manifold, scatter

import numpy as np
import pytest


def test_manifold_axes_follow_the_codes():
    """The first column of a decoded image encodes z1, the last column z2."""

    def decode(z):
        x = np.empty((len(z), 2, 2, 1))
        x[..., 0, 0], x[..., 1, 0] = z[:, :1] * 10, z[:, 1:] * 20
        return x.astype(np.uint8)

    z = np.random.default_rng(0).uniform([0, 4], [10, 8], (4000, 2))
    shown = manifold(decode, z)[..., 0]
    assert shown.shape == (2 * SIDE, 2 * SIDE)
    np.testing.assert_allclose(
        shown[::2, ::2], np.tile(np.linspace(2.5, 97.5, SIDE), (SIDE, 1)), atol=2
    )
    upwards = np.linspace(158, 82, SIDE)[:, None]
    np.testing.assert_allclose(shown[::2, 1::2], np.tile(upwards, SIDE), atol=2)


@pytest.mark.parametrize("names", [[], [*"abc"], [str(i) for i in range(30)]])
def test_scatter_has_a_colour_for_each_class(names):
    random = np.random.default_rng(0)
    labels = np.arange(600) % max(1, len(names))
    shown = scatter(random.normal(size=(600, 2)), labels, random.normal(size=(600, 2)), names)
    assert shown.shape == (800, 800, 3) and shown.dtype == np.uint8
    colours, counts = np.unique(shown.reshape(-1, 3), axis=0, return_counts=True)
    vivid = (np.ptp(colours.astype(int), axis=1) > 90) & (counts > 50)
    assert vivid.sum() >= max(1, len(names))
