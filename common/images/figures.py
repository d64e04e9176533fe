"""Matplotlib figures as images, drawn off screen."""

import numpy as np


def new_figure(width: float, height: float):
    """An empty matplotlib figure of 100 width x 100 height pixels."""
    # Imported here: it takes a second, which only plots should cost.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure(figsize=(width, height), dpi=100, layout="constrained")).figure


def as_image(figure) -> np.ndarray:
    """Renders a figure of `new_figure`: uint8 (H, W, 3)."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]
