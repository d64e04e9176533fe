"""The task of generators of pairs of images, one of each domain, from the same noise."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.domains import JointDomains
from common.errors import UserError, at_least_one
from common.evaluation import generated_images, joint_pairs
from common.evaluation.formatting import text_table
from common.images.captions import titled
from common.images.grid import grid
from common.inference.draw import check_seed
from common.inference.sampler import TRAINING_SEED, sampler_of
from common.metrics.directions import better
from common.tasks import two_domains
from common.tasks.base import Checkpoint
from common.tasks.baselines import UNMEASURED
from common.tasks.evaluation import EvaluationOptions
from common.tasks.generation import Generation
from common.tasks.two_domains import DomainEvaluation

import numpy as np


class JointGeneration(Generation):
    """The verbs of a model that generates corresponding images of two domains.

    Args:
        model_class: the model. Its instances have `sampler`, whose images are those of both domains
            side by side, (B, S, 2 S, C), and the other attributes for `Generation`; `classify`, as
            for the capability `Classification`, for images of the target; and `only_classifies`,
            where `classify` is all that was trained.
        capabilities: what the model can do besides generating pairs.
    """

    data = JointDomains
    metrics: ClassVar[dict[str, int]] = joint_pairs.METRICS | better("target_accuracy")
    option_groups: ClassVar[dict[type, type]] = {EvaluationOptions: DomainEvaluation}

    # During training.

    def sample_grid(self, model: Adversarial, data: JointDomains) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid of 8 by 8 pairs with the current weights.

        A baseline generates nothing: its grid shows test images of both domains.
        """
        if not model.only_classifies:
            draw = super().sample_grid(model, data)
            return lambda: titled(draw(), "pairs of source and target")
        rows = two_domains.real_rows(data)
        return lambda: grid(rows, names=("source", "target"))

    def metrics_of(self, model: Adversarial, data: JointDomains) -> dict[str, int]:
        metrics = joint_pairs.metrics_of(data) if not model.only_classifies else {}
        if model.classify is not None and data.target.classes:
            metrics |= better("target_accuracy")
        if not metrics:
            reason = joint_pairs.unavailable(data) or UNMEASURED
            raise UserError(f"{reason}; leave --evaluate_every out")
        return metrics

    def measure(
        self, model: Adversarial, data: JointDomains, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that computes the metrics of `count` pairs from fixed noise.

        For a model with a classifier there is its accuracy on `count` training images of the
        target. A checkpoint that --keep_best selects by it depends on their labels.
        """
        measures = []
        if not model.only_classifies and joint_pairs.metrics_of(data):
            sampler, pairs = sampler_of(model), joint_pairs.PairMetrics(data)
            noise = sampler.noise(TRAINING_SEED, count)
            measures.append(lambda: pairs.measure(*separated(sampler.all(noise))))
        if model.classify is not None and data.target.classes:
            measures.append(two_domains.target_accuracy(model, data, count))
        return lambda: {name: value for each in measures for name, value in each().items()}

    # The command line.

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        count: int = 10000,
        seed: int = 0,
    ):
        """Evaluates pairs of images, and the images of each domain by themselves.

        Of the pairs it gives the share in which reference classifiers of both domains recognize the
        same class and, where the target is made from the source by a function, the share of equal
        pixels after that change; beside it the same for images of different noise. The images of
        each domain are compared with its test images. Then follows the accuracy of the model's
        classifier, if it has one, on images of the target. Prints the results, and writes them to
        the run's evaluation.json and, with images, to its evaluation/index.html. A baseline has its
        classifier only.

        Args:
            run: folder of the run.
            count: number of pairs, and maximum number of real images.
            seed: seed for the noise.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        evaluation = self.start_evaluation(run, checkpoint, options)
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        report = evaluation.report
        report |= {"dataset": data.name, "count": count, "seed": seed}
        if not model.only_classifies:
            sampler = sampler_of(model)
            pairs = sampler.all(sampler.noise(seed, count))
            a, b = separated(pairs)
            if joint_pairs.metrics_of(data):
                report["pairs"] = joint_pairs.PairMetrics(data).compare(a, b)
                table = joint_pairs.table(report["pairs"])
                print(text_table(table))
                page.table(table, "Pairs")
            for name, images, real in (("source", a, data.source), ("target", b, data.target)):
                print(f"images of the {name}:")
                results, table, note = generated_images.compare([images], None, real, "test", count)
                report[name] = results
                if table:
                    page.table(table, f"Images of the {name}")
                page.note(note)
            for number, pair in enumerate(pairs[: evaluation.show]):
                page.single(f"pair {number}", pair)
        two_domains.add_transductive_accuracy(evaluation)
        evaluation.data = data.target  # of which the capabilities are
        evaluation.finish()

    def input_examples(self, data: JointDomains) -> Iterable[np.ndarray]:
        return super().input_examples(data.target)


def separated(pairs: np.ndarray) -> list[np.ndarray]:
    """Images of the source and of the target from pairs side by side, uint8 (N, S, 2 S, C)."""
    return [np.ascontiguousarray(half) for half in np.split(pairs, 2, axis=2)]
