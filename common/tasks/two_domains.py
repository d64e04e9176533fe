"""What the tasks of two domains share: baselines, and measures of the target's classifier."""

from collections.abc import Callable
from dataclasses import dataclass

from common.adversarial import Adversarial
from common.data.domains import LabelledDomains
from common.evaluation import generated_images
from common.inference.sampler import batched_on_images
from common.tasks.evaluation import Evaluation, EvaluationOptions

import numpy as np

COLUMNS = 10  # of a sample grid


@dataclass(frozen=True)
class DomainEvaluation(EvaluationOptions):
    """Data and result page.

    Args:
        photos: new location of the run's photographs, if they were moved.
    """

    photos: str | None = None


def real_rows(data: LabelledDomains) -> list[np.ndarray]:
    """Test images of the source and of the target for a grid, uint8 (N, S, S, C) each."""
    rows = [domain.arrays("test", COLUMNS)[0] for domain in (data.source, data.target)]
    return [row[: min(map(len, rows))] for row in rows]


def target_accuracy(
    model: Adversarial, data: LabelledDomains, count: int
) -> Callable[[], dict[str, float]]:
    """Returns a function that computes the accuracy on `count` training images of the target.

    Training does not use their labels, unless it is that of the baseline on the target.
    """
    x, labels = data.target.arrays("train", count)
    classify = batched_on_images(model, model.classify)
    return lambda: {"target_accuracy": float(np.mean(classify(x).argmax(axis=1) == labels))}


def add_transductive_accuracy(evaluation: Evaluation):
    """Adds the accuracy on the target's training images, whose labels training has not used.

    Some papers give this number, on the images that the model was adapted to. That of new images
    is the one of the capability `Classification`.
    """
    model, target = evaluation.model, evaluation.data.target
    if model.classify is None or not target.classes or model.baseline == "target":
        return
    count = min(generated_images.COUNT, target.training_count)
    accuracy = target_accuracy(model, evaluation.data, count)()["target_accuracy"]
    evaluation.add(
        "transductive",
        {"count": count, "accuracy": accuracy},
        f"the model's classifier: {accuracy:.2%} accuracy on {count} training images of the "
        "target, without their labels in training",
    )
