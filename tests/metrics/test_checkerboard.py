from common.metrics.checkerboard import checkerboard_energy

import numpy as np
import pytest


def test_the_energy_is_that_of_the_spectrum_at_periods_of_two_and_four_pixels():
    x = np.random.default_rng(0).normal(size=(2, 16, 32, 3))
    power = np.square(np.abs(np.fft.fft2(x, axes=(1, 2)))) / (16 * 32) ** 2
    quarters = power[:, ::4, ::8]
    expected = (quarters.sum(axis=(1, 2)) - quarters[:, 0, 0]).mean(axis=-1)
    np.testing.assert_allclose(checkerboard_energy(x), expected, rtol=1e-10)


def test_patterns_of_known_energy():
    i, j = np.mgrid[:16, :16]
    chess = np.where((i + j) % 2, 0.5, -0.5)[..., None]
    stripes = np.where(i // 2 % 2, 0.3, -0.3)[..., None]
    period_of_eight = np.where(i // 4 % 2, 0.3, -0.3)[..., None]
    energies = checkerboard_energy(np.stack([chess, stripes, period_of_eight, 0 * chess + 0.7]))
    np.testing.assert_allclose(energies, [0.25, 0.09, 0, 0], atol=1e-12)


def test_sides_must_be_multiples_of_the_period():
    with pytest.raises(ValueError, match="not 16x18"):
        checkerboard_energy(np.zeros((16, 18, 1)))
