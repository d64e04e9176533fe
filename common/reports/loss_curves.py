"""Curves of a run's losses and measurements over its training steps, as one image."""

from collections.abc import Collection
from math import ceil
from pathlib import Path

from common.images import figures
from common.io import records
from common.metrics.directions import marked

import numpy as np
from scipy.ndimage import uniform_filter1d

NOT_DRAWN = {"step", "epoch", "images_per_second", "data_wait_seconds"}
COLUMNS = 3  # panels per row
WINDOW = 0.05  # of the moving average drawn over the raw curve, as a share of the curve's length


def curves(
    metrics_file: Path, measurements_file: Path, left_out: Collection[str] = ()
) -> np.ndarray | None:
    """One panel for each column of the two CSV files, plotted against their column "step".

    Args:
        metrics_file: losses; may be missing.
        measurements_file: metrics measured during training; may be missing.
        left_out: names of columns without a panel.

    Returns:
        uint8 (H, 1200, 3); None if no column has two finite values.
    """
    panels = []
    for path in (metrics_file, measurements_file):
        columns = records.read_columns(path)
        for name, values in columns.items():
            known = np.isfinite(values)
            if name not in NOT_DRAWN | set(left_out) and known.sum() > 1:
                panels.append((name, columns["step"][known], values[known]))
    if not panels:
        return None

    rows = ceil(len(panels) / COLUMNS)
    figure = figures.new_figure(12, 2.5 * rows)
    for place, (name, steps, values) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place, title=marked(name))
        axes.plot(steps, values, color="C0", alpha=0.3)
        axes.plot(steps, uniform_filter1d(values, ceil(WINDOW * len(values))), color="C0")
    return figures.as_image(figure)
