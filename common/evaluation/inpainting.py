"""Evaluation of in-painting: the error in the hole, and whether the image keeps its class.

The model is compared with fillings that ignore the image: the mean training image and the median
colour of the training images, which is the background of digits.
"""

from collections.abc import Callable

from common.evaluation.formatting import text_table
from common.evaluation.reference_classifier import ReferenceClassifier
from common.images import image_file
from common.metrics.directions import better, marked
from common.metrics.image_quality import l1_in

import numpy as np

CHUNK = 256  # images that are converted to floats at a time
METRICS = better("hole_l1", "class_kept")  # of `scores`
COLUMNS = {
    "hole_l1": ("L1 in the hole", "{:.4f}"),
    "class_kept": ("class kept", "{:.2%}"),
    "worst_class": ("worst class", "{:.2%}"),
    "count": ("images", "{}"),
}
MODEL, ORIGINAL = "model", "original image"

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]  # images and holes -> completed images


def baselines(x: np.ndarray) -> dict[str, Fill]:
    """Returns fillings by name, learned from training images, uint8 (N, S, S, C)."""
    mean = np.rint(x.mean(axis=0, dtype=np.float64)).astype(np.uint8)
    median = np.median(x, axis=(0, 1, 2)).astype(np.uint8)

    def filled_with(values: np.ndarray) -> Fill:
        return lambda images, holes: np.where(holes[..., None], values, images)

    return {"mean image": filled_with(mean), "median colour": filled_with(median)}


def scores(
    completed: np.ndarray,
    x: np.ndarray,
    holes: np.ndarray,
    labels: np.ndarray,
    classifier: ReferenceClassifier | None,
) -> dict[str, float]:
    """Compares completed images with the originals.

    Args:
        completed, x: uint8 (N, S, S, C).
        holes: bool (N, S, S), True where the image was filled.
        labels: true classes, int (N,).
        classifier: classifier of the dataset; None if there is none.

    Returns:
        `hole_l1`, the mean absolute difference in the hole, in units of [-1, 1]; with a classifier
        `class_kept`, the share of completed images that it predicts as their true class, and
        `worst_class`, its minimum over classes; and `count`.
    """
    errors = np.empty(len(x))
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        pair = image_file.to_unit(completed[part]), image_file.to_unit(x[part])
        errors[part] = l1_in(*pair, holes[part])
    result = {"hole_l1": float(errors.mean())}
    if classifier is not None:
        kept = classifier.logits(completed).argmax(axis=1) == labels
        result["class_kept"] = float(kept.mean())
        result["worst_class"] = min(float(kept[labels == k].mean()) for k in np.unique(labels))
    return result | {"count": len(x)}


def compare(
    fill: Fill,
    x: np.ndarray,
    holes: np.ndarray,
    labels: np.ndarray,
    training_images: np.ndarray,
    classifier: ReferenceClassifier | None,
) -> dict[str, dict[str, float]]:
    """The `scores` of a model, of the baselines and of the originals, by name.

    Args:
        fill: the model.
        x, holes, labels, classifier: as for `scores`.
        training_images: images for the baselines, uint8 (M, S, S, C).
    """
    fillings = {MODEL: fill, **baselines(training_images), ORIGINAL: lambda images, holes: images}
    return {
        name: scores(each(x, holes), x, holes, labels, classifier)
        for name, each in fillings.items()
    }


def table(results: dict) -> list[list[str]]:
    """The results of `compare` as cells: a header, then a row for each filling."""
    columns = [name for name in COLUMNS if name in results[MODEL]]
    header = ["", *(marked(name, COLUMNS[name][0]) for name in columns)]
    return [header] + [
        [name, *(COLUMNS[column][1].format(row[column]) for column in columns)]
        for name, row in results.items()
    ]


def format_table(results: dict) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))
