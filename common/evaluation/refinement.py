"""Evaluation of refined coarse images: does the class stay, and are the details as strong as real?

Real images are reduced to a level of a pyramid and refined again. The label is kept where the
reference classifier recognizes the image's class in the result. The band is what a refined image
has beyond its coarse image enlarged, |x - u(...u(I_k))|, in relation to that of real images: 0 for
the enlarged image, 1 for details that are as strong as real ones.
"""

from typing import NamedTuple

from common.evaluation import reference_classifier
from common.images.image_file import to_unit
from common.metrics.directions import marked
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance

import numpy as np

# Columns of the table: header, and format of a value.
COLUMNS = {
    "label_kept": ("label kept", "{:.2%}"),
    "band": ("band", "{:.3f}"),
    "fid": ("fid", "{:.2f}"),
    "count": ("images", "{}"),
}


class Refined(NamedTuple):
    """Images and what they come from.

    Attributes:
        images: uint8 (N, S, S, C).
        enlarged: their coarse images, enlarged without bands, uint8 (N, S, S, C).
        labels: classes that they are to show, int (N,); None if none were asked for.
    """

    images: np.ndarray
    enlarged: np.ndarray
    labels: np.ndarray | None


class RefinementMetrics:
    """Computes the metrics of refined images.

    The reference classifier, which may have to be trained, is loaded by the constructor. Without
    one (see `reference_classifier.unavailable_reason`), there is the band alone.

    Args:
        data: labelled images.
        x: real images, uint8 (N, S, S, C), with which the refined ones are compared.
    """

    def __init__(self, data: reference_classifier.LabelledData, x: np.ndarray):
        self._x = x
        self._classifier = None
        if not reference_classifier.unavailable_reason(data):
            self._classifier = reference_classifier.trained_classifier(data)
            self._statistics = mean_and_covariance(self._classifier.features(x))

    def measure(self, refined: Refined, real_enlarged: np.ndarray) -> dict[str, float]:
        """The metrics of refined images.

        Args:
            refined: the images.
            real_enlarged: the real images' coarse ones of the same level, enlarged.

        Returns:
            `label_kept`, the share of images recognized as their class; `fid`, the Frechet distance
            to the real images on the classifier's features; `band`, the mean |band| over that of
            the real images; and `count`.
        """
        scores = {}
        if self._classifier is not None:
            features, logits = self._classifier.features_and_logits(refined.images)
            if refined.labels is not None:
                scores["label_kept"] = float(np.mean(logits.argmax(axis=1) == refined.labels))
            scores["fid"] = frechet_distance(*self._statistics, *mean_and_covariance(features))
        strength = mean_band(refined.images, refined.enlarged)
        scores["band"] = strength / mean_band(self._x, real_enlarged)
        return scores | {"count": len(refined.images)}


def mean_band(images: np.ndarray, enlarged: np.ndarray) -> float:
    """Mean absolute difference of uint8 images (N, S, S, C) in units of [-1, 1]."""
    return float(np.mean(np.abs(to_unit(images) - to_unit(enlarged))))


def table(results: dict[str, dict[str, float]]) -> list[list[str]]:
    """Results of `RefinementMetrics.measure` by name as cells: a header, and a row for each."""
    columns = {k: v for k, v in COLUMNS.items() if any(k in row for row in results.values())}
    cells = [["", *(marked(name, header) for name, (header, _) in columns.items())]]
    for name, row in results.items():
        cells.append(
            [name, *(f.format(row[k]) if k in row else "-" for k, (_, f) in columns.items())]
        )
    return cells
