"""What a run has logged and measured over its steps, as an image."""

from collections.abc import Collection
from math import ceil

from common.images import figures
from common.io import records
from common.training.run_folder import Run

import numpy as np
from scipy.ndimage import uniform_filter1d

NOT_DRAWN = {"step", "epoch", "images_per_second", "data_wait_seconds"}
PANELS = 3  # beside each other
SMOOTHED = 0.05  # of the rows, whose mean is drawn over the rows themselves


def curves(run: Run, left_out: Collection[str] = ()) -> np.ndarray | None:
    """A panel for each column of metrics.csv and measurements.csv, each row a point.

    Args:
        run: the run.
        left_out: columns that are not worth a panel.

    Returns:
        uint8 (H, 1200, 3); None if nothing has two rows, and so a line.
    """
    panels = []
    for path in (run.metrics_file, run.measurements_file):
        columns = records.read_columns(path)
        for name, values in columns.items():
            known = np.isfinite(values)
            if name not in NOT_DRAWN | set(left_out) and known.sum() > 1:
                panels.append((name, columns["step"][known], values[known]))
    if not panels:
        return None

    rows = ceil(len(panels) / PANELS)
    figure = figures.new_figure(12, 2.5 * rows)
    for place, (name, steps, values) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, PANELS, place, title=name)
        axes.plot(steps, values, color="C0", alpha=0.3)
        axes.plot(steps, uniform_filter1d(values, ceil(SMOOTHED * len(values))), color="C0")
    return figures.as_image(figure)
