"""Checkerboard patterns of generated images, measured in their spectrum."""

import numpy as np

PERIODS = 4  # pixels; the pattern of two layers that double the sides


def checkerboard_energy(images):
    """Energy of the patterns that repeat every two or four pixels.

    Networks that double the sides of maps by transposed convolutions leave such patterns (Odena et
    al., Deconvolution and Checkerboard Artifacts, Distill 2016). Edges have energy there too, so
    divide the number by that of real images: more than 1 is a pattern, less than 1 is blur.

    Args:
        images: float (..., H, W, C) in [-1, 1], sides multiples of 4.

    Returns:
        float64 (...): the mean over channels of the power at all frequencies that are multiples of
        a quarter of the sampling rate, but for the mean colour; for a pattern of period 2 or 4 its
        variance.

    Raises:
        ValueError: a side is not a multiple of 4.
    """
    x = np.asarray(images, np.float64)
    height, width = x.shape[-3:-1]
    if height % PERIODS or width % PERIODS:
        raise ValueError(f"sides must be multiples of {PERIODS}, not {height}x{width}")
    # The mean of all 4x4 tiles keeps those frequencies, and only those.
    tiles = x.reshape(*x.shape[:-3], height // PERIODS, PERIODS, width // PERIODS, PERIODS, -1)
    return tiles.mean(axis=(-5, -3)).var(axis=(-3, -2)).mean(axis=-1)
