"""Codes in the plane, as images."""

from collections.abc import Callable

from common.images import figures
from common.images.grid import grid

import numpy as np

SIDE = 20  # images on a side of a manifold
COVERED = 0.95  # of the codes, in each direction, by a manifold


def scatter(z: np.ndarray, labels: np.ndarray, prior: np.ndarray, names: list[str]) -> np.ndarray:
    """Codes as points, a colour for each class, and the prior in grey behind them.

    Args:
        z: codes, (N, 2).
        labels: their classes, int (N,).
        prior: codes of the prior, (M, 2).
        names: of the classes; none if there are none.

    Returns:
        uint8 (800, 800, 3).
    """
    from matplotlib import colormaps  # here for the reason that `plots` has

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
    """What a grid of codes over most of the plane that is in use decodes to.

    Args:
        decode: codes, float32 (N, 2), to images, uint8 (N, S, S, C).
        z: codes that are in use, (N, 2).

    Returns:
        uint8 (H, W, C): z1 grows to the right, z2 upwards.
    """
    ends = np.quantile(z, [(1 - COVERED) / 2, (1 + COVERED) / 2], axis=0)
    across, up = np.linspace(*ends, SIDE).T
    codes = np.stack(np.meshgrid(across, up[::-1]), axis=-1)  # (SIDE, SIDE, 2)
    shown = decode(codes.reshape(-1, 2).astype(np.float32))
    return grid([shown[i : i + SIDE] for i in range(0, len(shown), SIDE)], padding=0)
