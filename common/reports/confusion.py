"""Images of a classifier's errors."""

from common.images import figures

import numpy as np

MOST_WRITTEN = 20  # classes up to which numbers and names are written


def confusion(labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> np.ndarray:
    """Confusion matrix: a row for each true class, a column for each predicted one.

    The shade of a field is the share of its row, and its number the count of images. Without
    errors the diagonal alone is dark.

    Args:
        labels: true classes, int (N,).
        predicted: predicted classes, int (N,).
        names: names of the K classes.

    Returns:
        uint8 (800, 800, 3).
    """
    K = len(names)
    counts = np.bincount(K * labels + predicted, minlength=K * K).reshape(K, K)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = figures.new_figure(8, 8)
    axes = figure.add_subplot(xlabel="predicted class", ylabel="true class")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if K <= MOST_WRITTEN:
        axes.set_xticks(range(K), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(K), names)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, count, ha="center", va="center", color=colour)
    return figures.as_image(figure)
