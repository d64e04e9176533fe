"""What a user does with a generator whose discriminator's features serve a classifier."""

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.evaluation import generated_images
from common.images import image_file
from common.inference.sampler import looking
from common.metrics.representation import linear_accuracy
from common.reports.result_page import ResultPage
from common.tasks.generation import Generation
from common.training.run_folder import Run

LABELS = 1000  # training images that the linear classifier learns from


class RepresentingGeneration(Generation):
    """The verbs of `Generation`, of which evaluate also measures the discriminator's features.

    Args:
        model_class: the model. Beyond what `Generation` asks for, its instances have `features`, a
            graph of float32 (B, S, S, C) in [-1, 1] -> float32 (B, F).
    """

    whole = True

    def evaluate(self, run: str, /, **options):
        """Measures a run's images, beside real ones, and what its discriminator has learnt.

        A model that knows classes is asked for each of them equally often. Where the data have no
        labels, and the images are RGB, there is only their Keras-Inception FID, if its weights
        can be had. A linear classifier learns 1,000 labelled training images from the
        discriminator's features, and from their pixels beside it; both are measured on test
        images, 10,000 at most. Also written to the run's evaluation.json, and with images to
        its evaluation/index.html.

        Args:
            run: the run's folder.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        super().evaluate(run, **options)

    def evaluate_further(
        self, run: Run, model: Adversarial, data: LabelledImages, page: ResultPage, show: int
    ) -> dict[str, dict]:
        if data.classes < 2:
            return {}
        features = looking(model, model.features)
        learnt, tested = data.arrays("train", LABELS), data.arrays("test", generated_images.COUNT)

        def accuracy(described):
            return linear_accuracy(*((described(x), labels) for x, labels in (learnt, tested)))

        result = {
            "labels": len(learnt[0]),
            "count": len(tested[0]),
            "accuracy": accuracy(features),
            "accuracy_of_pixels": accuracy(lambda x: image_file.to_unit(x).reshape(len(x), -1)),
        }
        said = (
            f"a linear classifier of the discriminator's features, by {result['labels']} labels: "
            f"right on {result['accuracy']:.2%} of {result['count']} real test images "
            f"(of pixels: {result['accuracy_of_pixels']:.2%})"
        )
        print(said)
        page.note(said)
        return {"features": result}
