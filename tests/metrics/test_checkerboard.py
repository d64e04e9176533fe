from common.metrics.checkerboard import checkerboard, power_spectrum

import numpy as np
import pytest
import scipy.fft
from scipy import ndimage, signal

NOISE = np.random.default_rng(0).normal(size=(40, 64, 48, 3))


def test_the_power_spectrum_of_scipy():
    window = signal.windows.hann(64, sym=False)[:, None] * signal.windows.hann(48, sym=False)
    expected = 0
    for image in NOISE[:2]:
        for channel in range(3):
            x = image[..., channel] - image[..., channel].mean()
            expected = expected + np.abs(scipy.fft.fft2(x * window)) ** 2
    np.testing.assert_allclose(power_spectrum(NOISE[:2]), expected, rtol=1e-10)
    np.testing.assert_allclose(power_spectrum(NOISE[0]) + power_spectrum(NOISE[1]), expected)


def test_noise_and_blurred_noise_have_no_pattern():
    assert checkerboard(power_spectrum(NOISE)) == pytest.approx(1, abs=0.05)
    blurred = ndimage.gaussian_filter(NOISE, 1, axes=(1, 2), mode="wrap")
    assert checkerboard(power_spectrum(blurred)) < 1


@pytest.mark.parametrize(
    "pattern",
    [
        lambda i, j: (i + j) % 2,
        lambda i, j: i % 2 + j % 2 + i // 2 % 2 + j // 2 % 2,
    ],
    ids=["period 2", "periods 2 and 4"],
)
def test_a_pattern_stands_out_in_proportion_to_its_energy(pattern):
    i, j = np.mgrid[:64, :48]
    added = pattern(i, j)[..., None] - 0.5
    weak, strong = (checkerboard(power_spectrum(NOISE + a * added)) for a in (0.3, 0.6))
    assert 1.2 < weak < strong


def test_zeros_between_pixels_are_a_pattern_and_interpolation_is_none():
    """What a transposed convolution may do, and what a resized map cannot."""
    small = NOISE[:, :32, :24]
    spread = np.zeros_like(NOISE)
    spread[:, ::2, ::2] = small - small.min()
    resized = ndimage.zoom(small, (1, 2, 2, 1), order=1)
    assert checkerboard(power_spectrum(spread)) > 5
    assert checkerboard(power_spectrum(resized)) < 1


@pytest.mark.parametrize("shape", [(16, 32), (32, 34)])
def test_no_number_for_sides_that_are_too_small_or_no_multiples(shape):
    assert np.isnan(checkerboard(np.ones(shape)))
    assert np.isnan(checkerboard(np.zeros((32, 32))))
