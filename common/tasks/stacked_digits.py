"""The capability of being measured by its coverage of the modes of stacked digits."""

from common.data.labelled import LabelledImages
from common.data.stacked import DIGITS
from common.evaluation import stacked_modes
from common.inference.draw import with_progress_bar
from common.inference.sampler import TRAINING_SEED, sampler_of
from common.signatures import given
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation


class StackedDigits(Capability):
    """The modes of stacked digits, 1,000 with ten classes, are counted if the data are such."""

    def evaluate(self, evaluation: Evaluation):
        """On stacked_mnist, also counts the modes of 26,000 images.

        A mode is a digit in each of the three channels, as the reference classifier of MNIST
        recognizes them. Beside the number of modes is the Kullback-Leibler divergence from the
        distribution of the data, and the same for real images.
        """
        data = evaluation.data
        if not stacked_modes.is_stacked(data):
            return
        options = evaluation.run.config()["options"] | given(evaluation.options)
        digits = LabelledImages(
            options["seed"], DIGITS[data.name], options.get("data_dir"), data.image_size
        )
        sampler, count = sampler_of(evaluation.model), stacked_modes.COUNT
        drawn = with_progress_bar(sampler.draw(sampler.noise(TRAINING_SEED, count)), count)
        results = stacked_modes.compare(drawn, data, digits)
        evaluation.report["stacked_modes"] = results
        evaluation.page.table(stacked_modes.table(results["rows"]), "Modes of stacked digits")
