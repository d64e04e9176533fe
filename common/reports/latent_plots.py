"""Plots of two-dimensional latent codes."""

from collections.abc import Callable

from common.images import figures
from common.images.grid import grid

import numpy as np

SIDE = 20  # images per row and column of a manifold
COVERED = 0.95  # share of the codes that a manifold covers in each dimension


def scatter(z: np.ndarray, labels: np.ndarray, prior: np.ndarray, names: list[str]) -> np.ndarray:
    """Scatter plot of codes, coloured by class, over samples from the prior in grey.

    Args:
        z: codes (N, 2).
        labels: classes of the codes, int (N,).
        prior: samples from the prior, (M, 2).
        names: class names; empty for unlabelled data.

    Returns:
        uint8 (800, 800, 3).
    """
    from matplotlib import colormaps  # here: a slow import that only this plot needs

    figure = figures.new_figure(8, 8)
    axes = figure.add_subplot(aspect="equal", xlabel="z1", ylabel="z2")
    axes.scatter(*prior.T, s=3, color="0.85", label="prior")
    colours = (
        colormaps["tab10"].colors
        if len(names) <= 10
        else colormaps["hsv"](np.linspace(0, 1, len(names), endpoint=False))
    )
    for label, name in enumerate(names or ["codes"]):
        axes.scatter(*z[labels == label].T, s=3, color=colours[label], label=name)
    if len(names) <= 20:
        axes.legend(markerscale=4, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figures.as_image(figure)


def manifold(decode: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
    """Decoded images of a regular grid over the central range of the codes.

    Args:
        decode: maps codes, float32 (N, 2), to images, uint8 (N, S, S, C).
        z: codes whose range the grid covers, (N, 2).

    Returns:
        uint8 (H, W, C); z1 increases to the right, z2 upwards.
    """
    ends = np.quantile(z, [(1 - COVERED) / 2, (1 + COVERED) / 2], axis=0)
    across, up = np.linspace(*ends, SIDE).T
    codes = np.stack(np.meshgrid(across, up[::-1]), axis=-1)  # (SIDE, SIDE, 2)
    shown = decode(codes.reshape(-1, 2).astype(np.float32))
    return grid([shown[i : i + SIDE] for i in range(0, len(shown), SIDE)], padding=0)
