"""Checkerboard patterns of generated images, measured in their spectrum."""

import numpy as np

PERIODS = (2, 4)  # pixels: patterns of the last layer that doubles the sides, and of the last two
NEAR, FAR = 1.5, 5.5  # cycles per image; the window spreads a peak over one on either side


def power_spectrum(images):
    """Sum of the power spectra of images, whose mean colours are taken out first.

    Args:
        images: float (..., H, W, C).

    Returns:
        float64 (H, W). A Hann window keeps the borders from adding frequencies.
    """
    x = np.asarray(images, np.float64)
    x = x.reshape(-1, *x.shape[-3:])
    height, width = x.shape[1:3]
    window = np.outer(np.hanning(height + 1)[:-1], np.hanning(width + 1)[:-1])[..., None]
    x = (x - x.mean(axis=(1, 2), keepdims=True)) * window
    return np.square(np.abs(np.fft.fft2(x, axes=(1, 2)))).sum(axis=(0, 3))


def checkerboard(power):
    """Power of patterns that repeat every two or four pixels, relative to similar frequencies.

    Networks that double the sides of maps by transposed convolutions leave such patterns (Odena et
    al., Deconvolution and Checkerboard Artifacts, Distill 2016): peaks of the spectrum, which is
    smooth for photographs.

    Args:
        power: float (H, W), the `power_spectrum` of many images.

    Returns:
        The geometric mean over patterns of two and four pixels, of columns and of rows, of the
        power at their frequency divided by that at frequencies beside it: about 1 without patterns.
        NaN where there is no power, and for sides below 32 or not multiples of 4.
    """
    power = np.asarray(power)
    if min(power.shape) < 32 or power.shape[0] % 4 or power.shape[1] % 4:
        return float("nan")
    by_column, by_row = power.sum(axis=0), power.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        peaks = [_peak(line, period) for line in (by_column, by_row) for period in PERIODS]
        return float(np.exp(np.mean(np.log(peaks))))


def _peak(line, period):
    """Power at the frequency of a period divided by the mean of those beside it."""
    apart = np.abs(np.arange(len(line)) - len(line) // period)
    return line[apart < NEAR].mean() / line[(apart > NEAR) & (apart < FAR)].mean()
