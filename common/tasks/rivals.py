"""The capability of being compared with another run by the discriminators of both."""

import math
from dataclasses import dataclass
from typing import ClassVar

from common.adversarial import Adversarial
from common.errors import UserError
from common.evaluation import generated_images
from common.inference.sampler import TRAINING_SEED, batched_on_images, sampler_of
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation, EvaluationOptions
from common.tasks.generation import SampleEvaluation
from common.training.trained_weights import open_run

import numpy as np


@dataclass(frozen=True)
class RivalEvaluation(SampleEvaluation):
    """Data, result page and rival.

    Args:
        against: folder of another run of the model, to compare with by the discriminators of both.
    """

    against: str | None = None


class Rivals(Capability):
    """Generative multi-adversarial metric, GMAM (Durugkar et al. 2017, equation 8).

    The model's instances have `logits`, a graph of float32 (B, S, S, C) in [-1, 1] -> (B, N), what
    N discriminators say of each image; and `value`, a function of such logits of real and of
    generated images -> what the generator minimizes, a scalar below 0.
    """

    all_networks = True
    option_groups: ClassVar[dict[type, type]] = {EvaluationOptions: RivalEvaluation}

    def evaluate(self, evaluation: Evaluation):
        """With --against RUN, compares the generator with that of the other run.

        Each run's discriminators judge 10,000 images of both generators, beside as many test
        images. GMAM is positive if this run's generator deceives both more than the other one does.
        """
        against = evaluation.options.against
        if against is None:
            return
        task = evaluation.task
        rival = task.load(open_run(against, task.name), evaluation.checkpoint)
        own, data = evaluation.model, evaluation.data
        for option in ("image_size", "channels"):
            if getattr(rival, option) != getattr(own, option):
                raise UserError(
                    f"--against {against}: --{option} is {getattr(rival, option)} there and "
                    f"{getattr(own, option)} here; give a run on the same images"
                )
        real, _ = data.arrays("test", generated_images.COUNT)
        fakes = [samples(model) for model in (rival, own)]
        values = [values_of(model, real, fakes) for model in (rival, own)]
        result = {"against": against, "gmam": gmam(values), "values": values}
        evaluation.add(
            "rivals",
            result,
            f"GMAM against {against}: {result['gmam']:.3f} (above 0: this run's generator is "
            "better)",
        )


def samples(model: Adversarial) -> np.ndarray:
    sampler = sampler_of(model)
    return sampler.all(sampler.noise(TRAINING_SEED, generated_images.COUNT))


def values_of(model: Adversarial, real: np.ndarray, fakes: list[np.ndarray]) -> list[float]:
    """The value of a model's discriminators for each set of images, uint8 (N, S, S, C)."""
    logits = batched_on_images(model, model.logits)
    of_real = logits(real)
    return [float(model.value(of_real, logits(fake))) for fake in fakes]


def gmam(values: list[list[float]]) -> float:
    """log( F_a(b) / F_a(a) ) - log( F_b(a) / F_b(b) ): above 0 if b is better.

    Args:
        values: F_i(j), below 0, of the discriminators of run i for the images of run j, at [i][j].
    """
    (aa, ab), (ba, bb) = values
    return math.log(ab / aa) - math.log(ba / bb)
