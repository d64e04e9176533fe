"""Mode coverage on stacked digits: each channel is classified by itself.

The task of Metz et al. 2017 (arXiv:1611.02163) with the 26,000 samples of later papers, such as
Srivastava et al. 2017 (arXiv:1705.07761).
"""

from collections.abc import Iterable

from common.data.stacked import DIGITS
from common.evaluation.formatting import text_table
from common.evaluation.reference_classifier import LabelledData, trained_classifier
from common.metrics.classifier_scores import class_shares
from common.metrics.directions import marked
from common.metrics.stacked import stacked_modes

import numpy as np

COUNT = 26_000


def is_stacked(data: LabelledData) -> bool:
    """Whether these are stacked digits."""
    return data.name in DIGITS


def compare(drawn: Iterable[np.ndarray], data: LabelledData, digits: LabelledData) -> dict:
    """Counts the modes of samples and of as many real stacks, and prints a table.

    Args:
        drawn: samples in batches, uint8 (B, S, S, 3) each; consumed once.
        data: the stacked digits.
        digits: the digits that are stacked, with labels.

    Returns:
        {"count", "classifier_accuracy", "rows": {"model": {"modes", "kl"}, "real (floor)": ...}}.
    """
    classifier = trained_classifier(digits)
    shares = class_shares(digits.arrays("train")[1], digits.classes)

    def classes_of(stacks: np.ndarray) -> np.ndarray:
        channels = (np.ascontiguousarray(stacks[..., [channel]]) for channel in range(3))
        return np.stack([classifier.logits(x).argmax(axis=1) for x in channels], axis=1)

    predicted = np.concatenate([classes_of(batch) for batch in drawn])
    real = classes_of(data.arrays("train", len(predicted))[0])
    rows = {
        "model": stacked_modes(predicted, shares),
        "real (floor)": stacked_modes(real, shares),
    }
    print(text_table(table(rows)))
    return {
        "count": len(predicted),
        "classifier_accuracy": classifier.accuracy,
        "rows": rows,
    }


def table(rows: dict[str, dict]) -> list[list[str]]:
    """The rows of `compare` as cells, below a header."""
    cells = [[name, str(row["modes"]), f"{row['kl']:.3f}"] for name, row in rows.items()]
    return [["", marked("modes"), marked("kl")], *cells]
