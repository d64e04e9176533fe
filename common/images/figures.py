"""Matplotlib's figures as images."""

import numpy as np


def new_figure(width: float, height: float):
    """An empty matplotlib figure of 100 width x 100 height pixels."""
    # Here, because it takes a second that no other verb should wait for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure(figsize=(width, height), dpi=100, layout="constrained")).figure


def as_image(figure) -> np.ndarray:
    """uint8 (H, W, 3) of a figure that `new_figure` made."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]
