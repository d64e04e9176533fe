"""The capability of a model with several generators: to draw with one of them."""

from dataclasses import dataclass, replace
from typing import ClassVar

from common.demo.panels import Choice, Field
from common.errors import UserError
from common.evaluation import reference_classifier
from common.evaluation.formatting import text_table
from common.inference.draw import Sampling
from common.inference.sampler import TRAINING_SEED, Sampler, sampler_of
from common.metrics.classifier_scores import class_shares
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation

COUNT = 1000  # images of each generator


@dataclass(frozen=True)
class GeneratorSampling(Sampling):
    """Images to generate.

    Args:
        generator: number, from 0, of the only generator to draw with; default all of them equally
            often, in random order; --grid then has a row for each, with the same noise in each
            column.
    """

    generator: int | None = None

    def applied(self, sampler: Sampler) -> Sampler:
        if self.generator is None:
            return sampler
        choices = sampler.latent.choices
        if not 0 <= self.generator < choices:
            raise UserError(f"--generator {self.generator}: give 0 to {choices - 1}")
        return replace(sampler, choice=self.generator)


class GeneratorChoice(Capability):
    """The last component of the noise chooses one of several generators.

    The model's `latent` has their number, `choices`.
    """

    option_groups: ClassVar[dict[type, type]] = {Sampling: GeneratorSampling}

    def fields(self, sampler: Sampler) -> list[Field]:
        numbers = tuple(map(str, range(sampler.latent.choices)))
        return [Choice("generator", "generator", choices=numbers, none="all generators")]

    def evaluate(self, evaluation: Evaluation):
        """Also counts the classes in 1,000 images of each generator, by the reference classifier.

        The shares of the classes are the rows of a table, one for each generator.
        """
        data, sampler = evaluation.data, sampler_of(evaluation.model)
        if reference_classifier.unavailable_reason(data) or not sampler.choices:
            return
        classifier, rows = reference_classifier.trained_classifier(data), []
        noise = sampler.noise(TRAINING_SEED, COUNT)
        for choice in sampler.choices:
            images = sampler.all(sampler.latent.choosing(noise, choice))
            predicted = classifier.logits(images).argmax(axis=1)
            rows.append(class_shares(predicted, data.classes).tolist())
        cells = [["generator", *data.class_names]]
        cells += [[str(i), *(f"{share:.1%}" for share in row)] for i, row in enumerate(rows)]
        evaluation.report["generators"] = {"count": COUNT, "shares": rows}
        evaluation.page.table(cells, "Classes by generator")
        print(text_table(cells))
