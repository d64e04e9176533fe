"""Evaluation of paired image translation: metrics of a model and of trivial baselines.

The baselines ignore the input (`mean_image`) or use a single pixel of it (`label_colour`). A
predictor is a callable x (H, W, Cin) -> y_hat (H, W, Cout). Pairs are iterables of (x, y), float
images in [-1, 1], which are consumed once and never kept in memory together.
"""

from common.errors import UserError
from common.evaluation.formatting import text_table
from common.metrics.checkerboard import checkerboard, power_spectrum
from common.metrics.directions import marked
from common.metrics.image_quality import l1, psnr, ssim

import numpy as np
from scipy.ndimage import distance_transform_edt

METRICS = {"l1": l1, "psnr": psnr, "ssim": ssim}
FORMATS = {"l1": ".4f", "psnr": ".2f", "ssim": ".4f", "checkerboard": ".2f", "pairs": "d"}


def mean_image(pairs):
    """Returns the constant predictor with the least mean squared error: the mean training target.

    Args:
        pairs: training pairs (x, y), all y of one shape (H, W, Cout).

    Returns:
        A predictor of the same float64 image for every x.

    Raises:
        UserError: there are no pairs.
        ValueError: the shapes of the targets differ.
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
    """Returns a per-pixel predictor: the mean training target colour of each input colour.

    Input colours are rounded to a grid, because JPEG and resizing blur those of a label map. A
    colour absent from training is replaced by the nearest one present.

    Args:
        pairs: training pairs (x, y), (H, W, Cin) and (H, W, Cout). Cin must be small, such as 3:
            the table has levels^Cin cells.
        levels: number of grid points per input channel, from -1 to 1. With 16 the colours of the
            CMP facades, multiples of 85 grey levels, are on the grid; 8 and 32 predict worse there.

    Returns:
        A predictor for inputs of any H and W.

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
    # The distance transform gives the nearest seen cell of each unseen one.
    unseen = (counts == 0).reshape(grid)
    nearest = distance_transform_edt(unseen, return_distances=False, return_indices=True)
    table = means[tuple(nearest)]  # (levels, ..., levels, Cout)
    return lambda x: table[_grid_points(np.asarray(x), levels)]


def _grid_points(x, levels):
    """Indices of the grid point nearest to each pixel of x (H, W, Cin): Cin arrays (H, W)."""
    points = np.rint((np.clip(x, -1, 1) + 1) / 2 * (levels - 1)).astype(int)
    return tuple(np.moveaxis(points, -1, 0))


def evaluate_pairs(predict, pairs, baselines):
    """Scores of a model and of baselines on the same held-out pairs.

    Args:
        predict: predictor of the model.
        pairs: held-out pairs (x, y).
        baselines: {name: predictor}.

    Returns:
        {"model": {"l1": ..., "psnr": ..., "ssim": ..., "checkerboard": ..., "pairs": N}, baseline:
        {...}, ...}: means over the N pairs of the metrics in `image_quality` (for psnr the mean of
        decibels), and the `checkerboard` number of all predictions divided by that of all targets.

    Raises:
        UserError: there are no pairs, or images are too small for SSIM.
        ValueError: a prediction and its target differ in shape.
    """
    predictors = {"model": predict, **baselines}
    totals = {name: dict.fromkeys(METRICS, 0.0) for name in predictors}
    spectra = dict.fromkeys(predictors, 0.0)
    count, target_spectrum = 0, 0.0
    for x, y in pairs:
        for name, predictor in predictors.items():
            y_hat = predictor(x)
            for metric, measure in METRICS.items():
                totals[name][metric] += float(measure(y_hat, y))
            spectra[name] += power_spectrum(y_hat)
        target_spectrum += power_spectrum(y)
        count += 1
    if not count:
        raise UserError("no held-out pairs: there is nothing to evaluate on")
    patterns = checkerboard(target_spectrum)
    return {
        name: {metric: total / count for metric, total in row.items()}
        | {"checkerboard": checkerboard(spectra[name]) / patterns, "pairs": count}
        for name, row in totals.items()
    }


def table(results: dict) -> list[list[str]]:
    """The scores of `evaluate_pairs` as cells: a header, then a row for each predictor."""
    return [
        ["", *map(marked, FORMATS)],
        *(
            [name, *(format(scores[column], form) for column, form in FORMATS.items())]
            for name, scores in results.items()
        ),
    ]


def format_table(results: dict) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))
