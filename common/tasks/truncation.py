"""The capability of truncated sampling: better images of less variety."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from common.demo.panels import Field, Number
from common.errors import UserError
from common.evaluation import generated_images, reference_classifier
from common.evaluation.formatting import text_table
from common.inference.draw import Sampling
from common.inference.endpoints import labels_in_turn
from common.inference.sample_grid import MAX_ROWS, sample_grid
from common.inference.sampler import Sampler, sampler_of
from common.inference.truncation import draw_truncations, truncated
from common.metrics import classifier_scores
from common.metrics.directions import marked
from common.nn import latent
from common.players import kept
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation

import numpy as np

THRESHOLDS = (1.0, 0.5)  # of evaluate
NONE = "none"
REMEDY = "give a number above 0, or several as in 0.5,1,2"
COLUMNS = {
    "fid": ("fid", "{:.2f}"),
    "precision": ("precision", "{:.3f}"),
    "recall": ("recall", "{:.3f}"),
    "inception_score": ("inception", "{:.2f}"),
    "accuracy": ("accuracy", "{:.2%}"),
    "worst_class": ("worst", "{:.2%}"),
    "confidence": ("confidence", "{:.2%}"),
    "variance": ("variance", "{:.2f}"),
}


@dataclass(frozen=True)
class TruncatedSampling(Sampling):
    """Images to generate.

    Args:
        truncation: threshold T of the noise, more than 0: the smaller, the better and the more
            alike are the images; default none. Several, as in 0.5,1,2, write truncation.png, with a
            grid for each of them side by side, from the same noise.
        truncation_mode: resample draws components of more than T again; scale does so with 2 for T
            and multiplies the result by T.
    """

    truncation: str | None = None
    truncation_mode: Literal["resample", "scale"] = "resample"

    def __post_init__(self):
        super().__post_init__()
        if not all(0 < t < math.inf for t in self.thresholds):
            raise UserError(f"--truncation {self.truncation}: {REMEDY}")
        if self.truncation_mode != "resample" and not self.thresholds:
            raise UserError(f"--truncation_mode {self.truncation_mode}: needs --truncation")
        if len(self.thresholds) > 1 and self.grid:
            raise UserError("--grid: several truncations are grids already; leave one of them out")

    @property
    def thresholds(self) -> list[float]:
        try:
            return [float(t) for t in self.truncation.split(",")] if self.truncation else []
        except ValueError:
            raise UserError(f"--truncation {self.truncation}: {REMEDY}") from None

    @property
    def truncations(self) -> list[latent.Truncation]:
        return [latent.Truncation(t, self.truncation_mode) for t in self.thresholds]

    @property
    def form(self) -> str | None:
        return "truncation" if len(self.thresholds) > 1 else super().form

    def applied(self, sampler: Sampler) -> Sampler:
        return truncated(sampler, *self.truncations) if len(self.thresholds) == 1 else sampler

    @property
    def draw(self) -> Callable[..., str]:
        if len(self.thresholds) < 2:
            return super().draw
        return partial(draw_truncations, truncations=self.truncations)


class Truncation(Capability):
    """The noise of the generator can be truncated.

    Its `latent` is that of the noise; moving statistics are estimated for each truncation.
    """

    option_groups: ClassVar[dict[type, type]] = {Sampling: TruncatedSampling}

    def fields(self, sampler: Sampler) -> list[Field]:
        return [Number("truncation", "truncation")]

    def evaluate(self, evaluation: Evaluation):
        """Also compares images of truncated noise, with thresholds of 1 and 0.5.

        Beside the metrics there are the reference classifier's mean confidence, the probability of
        the class that it predicts, and the variance within a class relative to images without
        truncation.
        """
        model, data = evaluation.model, evaluation.data
        if reference_classifier.unavailable_reason(data) or not model.classes:
            return
        sampler, report = sampler_of(model, data.class_names), evaluation.report
        comparison = Comparison(data, report["count"], report["seed"], report["split"])
        rows = {NONE: comparison.row(sampler)}
        shown = {NONE: comparison.grid(sampler, evaluation.show)}
        with kept(sampler.network.non_trainable_variables):
            for threshold in THRESHOLDS:
                each = truncated(sampler, latent.Truncation(threshold))
                rows[str(threshold)] = comparison.row(each)
                shown[str(threshold)] = comparison.grid(each, evaluation.show)
        evaluation.report["truncation"] = {"mode": "resample", "rows": rows}
        cells = [["truncation", *(marked(key, title) for key, (title, _) in COLUMNS.items())]]
        for name, row in rows.items():
            cells.append([name, *(form.format(row[key]) for key, (_, form) in COLUMNS.items())])
        evaluation.page.table(cells, "Truncated noise")
        if evaluation.show:
            evaluation.page.row("Truncated noise", shown)
        print(text_table(cells))


class Comparison:
    """Measures samplers from the same seed: the first one is what the variance is relative to.

    Args:
        data, count, split: as of `ReferenceSet`; count images are generated.
        seed: seed for the noise.
    """

    def __init__(self, data: Any, count: int, seed: int, split: str):
        self.reference = generated_images.ReferenceSet(data, count, split)
        self.count, self.seed, self.classes = count, seed, data.classes
        self.labels = labels_in_turn(range(data.classes), count)
        self._first: np.ndarray | None = None

    def row(self, sampler: Sampler) -> dict[str, float]:
        """The metrics of `ReferenceSet.measure`, `confidence` and `variance`."""
        images = sampler.all(sampler.noise(self.seed, self.count), self.labels)
        probabilities = reference_classifier.probabilities(self.reference.classifier.logits(images))
        variances = classifier_scores.class_variances(images, self.labels, self.classes)
        if self._first is None:
            self._first = variances
        ratios = classifier_scores.variance_ratios(variances, self._first)
        return self.reference.measure(images, self.labels) | {
            "confidence": float(probabilities.max(axis=1).mean()),
            "variance": classifier_scores.mean_and_min(ratios)[0],
        }

    def grid(self, sampler: Sampler, count: int) -> np.ndarray | None:
        """A `sample_grid` of at least `count` images, with a row for each of the first classes."""
        class_ids = list(range(min(self.classes, MAX_ROWS)))
        columns = -(-count // len(class_ids))
        return sample_grid(sampler, sampler.noise(self.seed, columns), class_ids) if count else None
