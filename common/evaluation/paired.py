"""What a paired translator must beat, and the table that says whether it does.

The trivial predictors ignore the input (`mean_image`), or see one pixel of it (`label_colour`).
A predictor is a callable x (H, W, Cin) -> y_hat (H, W, Cout). Pairs are iterables of (x, y), float
images in [-1, 1], that are walked once and never held in memory.
"""

from common.errors import UserError
from common.evaluation.formatting import text_table
from common.metrics.image_quality import l1, psnr, ssim

import numpy as np
from scipy.ndimage import distance_transform_edt

METRICS = {"l1": l1, "psnr": psnr, "ssim": ssim}
FORMATS = {"l1": ".4f", "psnr": ".2f", "ssim": ".4f", "pairs": "d"}


def mean_image(pairs):
    """The best constant in the mean square: the mean target of the training pairs.

    Args:
        pairs: training pairs (x, y), all y of one shape (H, W, Cout).

    Returns:
        The predictor, which gives the same float64 image for every x.

    Raises:
        UserError: there are no pairs.
        ValueError: the targets differ in shape.
    """
    total, count = None, 0
    for _, y in pairs:
        y = np.asarray(y, np.float64)
        if total is None:
            total = np.zeros_like(y)
        if y.shape != total.shape:
            raise ValueError(f"targets of one shape are needed, not {total.shape} and {y.shape}")
        total += y
        count += 1
    if not count:
        raise UserError("no training pairs: the mean image cannot be computed")
    mean = total / count
    return lambda x: mean


def label_colour(pairs, levels=16):
    """Pixel by pixel, the mean target colour that the training pairs show for the input's colour.

    The input's colours are rounded to a grid, because JPEG and resizing smear those of a label map.
    A colour that training never showed takes the nearest one that it did.

    Args:
        pairs: training pairs (x, y), (H, W, Cin) and (H, W, Cout); Cin is 3 or so, as the table
            has levels^Cin cells.
        levels: grid points in each channel of the input, from -1 to 1. With 16 the colours of the
            CMP facades, multiples of 85 grey levels, lie on the grid; 8 and 32 predict worse there.

    Returns:
        The predictor, for inputs of any H and W.

    Raises:
        UserError: there are no pairs.
        ValueError: x and y differ in H or W.
    """
    counts = sums = None
    for x, y in pairs:
        x, y = np.asarray(x), np.asarray(y)
        if x.shape[:2] != y.shape[:2]:
            raise ValueError(f"x and y of one size are needed, not {x.shape} and {y.shape}")
        if counts is None:
            grid = (levels,) * x.shape[-1]
            counts = np.zeros(levels ** x.shape[-1])
            sums = np.zeros((counts.size, y.shape[-1]))
        cells = np.ravel_multi_index(_grid_points(x, levels), grid).ravel()
        counts += np.bincount(cells, minlength=counts.size)
        for channel in range(y.shape[-1]):
            sums[:, channel] += np.bincount(cells, y[..., channel].ravel(), counts.size)
    if counts is None:
        raise UserError("no training pairs: the mean colours of the labels cannot be computed")
    means = (sums / np.maximum(counts, 1)[:, np.newaxis]).reshape(*grid, -1)
    # The distance transform leads each unseen cell to the nearest seen one.
    unseen = (counts == 0).reshape(grid)
    nearest = distance_transform_edt(unseen, return_distances=False, return_indices=True)
    table = means[tuple(nearest)]  # (levels, ..., levels, Cout)
    return lambda x: table[_grid_points(np.asarray(x), levels)]


def _grid_points(x, levels):
    """Nearest grid point of each pixel of x (H, W, Cin): an index tuple of Cin arrays (H, W)."""
    points = np.rint((np.clip(x, -1, 1) + 1) / 2 * (levels - 1)).astype(int)
    return tuple(np.moveaxis(points, -1, 0))


def evaluate_pairs(predict, pairs, baselines):
    """Scores of a translator and its baselines on the same held-out pairs.

    Args:
        predict: the translator, a predictor.
        pairs: held-out pairs (x, y).
        baselines: {name: predictor}.

    Returns:
        {"model": {"l1": ..., "psnr": ..., "ssim": ..., "pairs": N}, baseline: {...}, ...}: means
        over the N pairs of what `image_quality` gives for each (of decibels, for psnr).

    Raises:
        UserError: there are no pairs, or images are too small for SSIM.
        ValueError: a prediction has not the target's shape.
    """
    predictors = {"model": predict, **baselines}
    totals = {name: dict.fromkeys(METRICS, 0.0) for name in predictors}
    count = 0
    for x, y in pairs:
        for name, predictor in predictors.items():
            y_hat = predictor(x)
            for metric, measure in METRICS.items():
                totals[name][metric] += float(measure(y_hat, y))
        count += 1
    if not count:
        raise UserError("no held-out pairs: there is nothing to evaluate on")
    return {
        name: {metric: total / count for metric, total in row.items()} | {"pairs": count}
        for name, row in totals.items()
    }


def table(results: dict) -> list[list[str]]:
    """The scores of `evaluate_pairs`: a head, then a row for each predictor."""
    return [
        ["", *FORMATS],
        *(
            [name, *(format(scores[column], form) for column, form in FORMATS.items())]
            for name, scores in results.items()
        ),
    ]


def format_table(results: dict) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))
