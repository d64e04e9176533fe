"""What a user does with a generator whose discriminator tells classes: images in, classes out."""

from inspect import signature
from pathlib import Path

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.errors import UserError
from common.evaluation import generated_images
from common.images import image_file, listing
from common.inference.sampler import BATCH_SIZE, Endpoint, images_of, looking
from common.io import records
from common.reports import result_page
from common.reports.result_page import THUMBNAIL, ResultPage
from common.tasks.generation import Generation, class_names
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

SHOWN = 20  # rows that are printed; the file has them all


class ClassifyingGeneration(Generation):
    """The verbs of `Generation`, of which predict and evaluate also use the classifier.

    Args:
        model_class: the model. Beyond what `Generation` asks for, its instances have
            `classify`, a graph of float32 (B, S, S, C) in [-1, 1] -> probabilities (B, classes).
    """

    whole = True

    def predict(self, run: str, inputs: list[str] | None = None, /, *, output: str, **options):
        """Makes images from noise, or says which classes given images show.

        With images, OUTPUT/predictions.csv gets the most probable class of each and its
        probability. They should look like the training data: digits white on black, if those are.

        Args:
            run: a run's folder; from noise also that of one version of an exported SavedModel.
            inputs: images, or folders of images, of any size: they are cropped to a square
                around their centre and resized. Without any, images are made from noise.
            output: folder for what is made.

        Example:
            {program} predict RUN --output DIR --count 100 --label 0
            {program} predict RUN image.png FOLDER --output DIR
        """
        if not inputs:
            return super().predict(run, output=output, **options)
        defaults = signature(Generation.predict).parameters
        for option, value in options.items():
            if option != "best" and value != defaults[option].default:
                raise UserError(
                    f"--{option}: is for images from noise; leave it out to classify {inputs[0]}"
                )
        if tf.saved_model.contains_saved_model(run):
            raise UserError(f"{run}: a SavedModel only makes images; classify with the run")
        opened = Run.open(run, self.name)
        model = self.load(opened, options["best"])
        names = class_names(opened) or [str(label) for label in range(model.classes)]
        sources = listing.image_files(inputs)
        classify = looking(model, model.classify)
        rows = []
        title = f"{self.name}: {len(sources)} images classified"
        page = ResultPage(title, {"run": run}, side=THUMBNAIL)
        for first in range(0, len(sources), BATCH_SIZE):
            some = sources[first : first + BATCH_SIZE]
            x = [
                image_file.square(image_file.read(file, model.channels), model.image_size)
                for file in some
            ]
            for file, p, shown in zip(some, classify(np.stack(x)), x, strict=True):
                rows.append((str(file), names[p.argmax()], f"{p.max():.4f}"))
                page.single(f"{names[p.argmax()]} ({p.max():.4f}): {file.name}", shown)
        records.write_rows(Path(output) / "predictions.csv", ("file", "class", "probability"), rows)
        page.write(Path(output) / result_page.NAME)
        for file, name, probability in rows[:SHOWN]:
            print(f"{file}: {name} ({probability})")
        print(f"{len(rows)} images classified in {Path(output) / 'predictions.csv'}")

    def evaluate(self, run: str, /, **options):
        """Measures a run's images, beside real ones, and its classifier on real test images.

        A model that knows classes is asked for each of them equally often. The classifier is
        measured on real test images, 10,000 at most, whatever the samples are compared with. Also
        written to the run's evaluation.json, and with images to its evaluation/index.html.

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
        x, labels = data.arrays("test", generated_images.COUNT)
        right = looking(model, model.classify)(x).argmax(axis=1) == labels
        of_classes = [float(right[labels == label].mean()) for label in np.unique(labels)]
        result = {
            "count": len(x),
            "accuracy": float(right.mean()),
            "worst_class": min(of_classes),
        }
        said = (
            f"the model's own classifier: right on {result['accuracy']:.2%} of {len(x)} real test "
            f"images, on {result['worst_class']:.2%} of its worst class"
        )
        print(said)
        page.note(said)
        return {"classifier": result}

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_classify: image, float32 (B, S, S, C), to probability (B, classes)."""

        def classify(image):
            return {"probability": model.classify(image)}

        return {"serving_classify": (classify, [images_of(model)])}
