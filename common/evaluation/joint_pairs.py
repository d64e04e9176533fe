"""Evaluation of pairs of images, one of each domain, generated from the same noise."""

from common.data.domains import LabelledDomains
from common.evaluation import reference_classifier
from common.metrics.agreement import label_agreement, pixel_agreement
from common.metrics.directions import better, marked

import numpy as np

METRICS = better("label_agreement", "pixel_agreement")
NAMES = {"label_agreement": "same class", "pixel_agreement": "same pixels"}


def metrics_of(data: LabelledDomains) -> dict[str, int]:
    """The metrics that are defined for these domains, with their signs.

    Classes are compared by a reference classifier of each domain, so both need labels; pixels need
    a known change from the source to the target.
    """
    known = {"label_agreement": not unavailable(data), "pixel_agreement": data.change is not None}
    return {name: sign for name, sign in METRICS.items() if known[name]}


def unavailable(data: LabelledDomains) -> str:
    """One line that says why classes cannot be compared; empty if they can."""
    reasons = map(reference_classifier.unavailable_reason, (data.source, data.target))
    return next(filter(None, reasons), "")


class PairMetrics:
    """Computes the metrics of any number of sets of pairs.

    The reference classifiers, which may have to be trained, are loaded by the constructor.

    Args:
        data: both domains.
    """

    def __init__(self, data: LabelledDomains):
        self._change = data.change
        domains = () if unavailable(data) else (data.source, data.target)
        self._classifiers = [*map(reference_classifier.trained_classifier, domains)]

    def measure(self, a: np.ndarray, b: np.ndarray) -> dict[str, float]:
        """Metrics of images a of the source and b of the target, uint8 (N, S, S, C) each.

        `label_agreement` is the share of pairs in which the reference classifiers of both domains
        recognize the same class; `pixel_agreement` the share of equal pixels after the change of a
        to the target, both binarized.
        """
        scores = {}
        if self._classifiers:
            pairs = zip(self._classifiers, (a, b), strict=True)
            predicted = [classifier.logits(x).argmax(axis=1) for classifier, x in pairs]
            scores["label_agreement"] = label_agreement(*predicted)
        if self._change is not None:
            scores["pixel_agreement"] = pixel_agreement(self._change(a), b)
        return scores

    def compare(self, a: np.ndarray, b: np.ndarray) -> dict[str, dict[str, float]]:
        """The metrics of the pairs, and of as many pairs with other noise in b than in a."""
        return {"pairs": self.measure(a, b), "by chance": self.measure(a, np.roll(b, 1, axis=0))}


def table(results: dict[str, dict[str, float]]) -> list[list[str]]:
    """The results of `PairMetrics.compare` as cells: a header, and a row for each set of pairs."""
    names = [*results["pairs"]]
    rows = [["", *(marked(name, NAMES[name]) for name in names)]]
    return rows + [[key, *(f"{row[name]:.2%}" for name in names)] for key, row in results.items()]
