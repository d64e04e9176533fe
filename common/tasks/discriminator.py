"""Capabilities of a discriminator by itself: a classifier, and features for one."""

from itertools import islice
from typing import ClassVar

from common.adversarial import Adversarial
from common.demo.panels import Panel, Upload
from common.errors import UserError
from common.evaluation import generated_images
from common.images import image_file
from common.inference.endpoints import Endpoint
from common.inference.input_files import InputFiles
from common.inference.sampler import BATCH_SIZE, batched_on_images, image_spec
from common.io import records
from common.metrics.representation import linear_accuracy
from common.reports.confusion import confusion
from common.reports.result_page import ResultPage
from common.serving.saved_model import CLASSIFY
from common.tasks.capability import Capability, class_names, read_image
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

PRINTED = 20  # predictions; the file has all of them
LABELLED = 1000  # training images for the linear probe


class Classification(Capability):
    """The model classifies images.

    Its instances have `classify`, a graph of float32 (B, S, S, C) in [-1, 1] -> probabilities
    (B, K) of the K classes of the run's data; None for a model that was trained without labels.
    """

    all_networks = True
    image_options: ClassVar[tuple[str, ...]] = ()
    verb = "classify"

    def predict(self, run: Run, model: Adversarial, files: InputFiles, page: ResultPage) -> str:
        """With INPUTS, classifies these images.

        OUTPUT/predictions.csv has the most probable class of each image and its probability. The
        images should look like the training data, such as white digits on black.

        Args:
            inputs: images of any size, or folders of images, to classify; each is cropped to a
                square around its centre and resized. Default: generate images from noise.

        Example:
            {program} predict RUN image.png FOLDER --output DIR
        """
        if model.classify is None:
            raise UserError(
                f"{run.folder}: has no classifier, since it was trained without labels; train one "
                "with them"
            )
        names = class_names(run)
        classify = batched_on_images(model, model.classify)
        rows = []
        images = ((file, x) for file, _, x in files.each(lambda file, _: read_image(file, model)))
        while batch := dict(islice(images, BATCH_SIZE)):
            x = np.stack(list(batch.values()))
            for file, p, image in zip(batch, classify(x), x, strict=True):
                best = int(p.argmax())
                name, probability = names[best] if names else str(best), f"{p[best]:.4f}"
                rows.append((str(file), name, probability))
                page.single(f"{name} ({probability}): {files.name(file)}", image)
        table = files.folder / "predictions.csv"
        records.write_rows(table, ("file", "class", "probability"), rows)
        page.title += f": {len(rows)} images classified"
        for file, name, probability in rows[:PRINTED]:
            print(f"{file}: {name} ({probability})")
        return f"{len(rows)} images classified in {table}"

    def panels(self, model: Adversarial, examples: tuple[np.ndarray, ...]) -> list[Panel]:
        if model.classify is None:
            return []
        return [Panel("Classify", "Classify", "class", Upload(examples=examples))]

    def evaluate(self, evaluation: Evaluation):
        """Also evaluates the model's classifier on real test images, 10,000 at most.

        The page has its confusion matrix.
        """
        model, data = evaluation.model, evaluation.data
        if model.classify is None or not data.classes:
            return
        x, labels = data.arrays("test", generated_images.COUNT)
        predicted = batched_on_images(model, model.classify)(x).argmax(axis=1)
        correct = predicted == labels
        result = {
            "count": len(x),
            "accuracy": float(correct.mean()),
            "worst_class": min(float(correct[labels == k].mean()) for k in np.unique(labels)),
        }
        evaluation.add(
            "classifier",
            result,
            f"the model's classifier: {result['accuracy']:.2%} accuracy on {len(x)} real test "
            f"images, {result['worst_class']:.2%} on the worst class",
        )
        if evaluation.show:
            drawn = confusion(labels, predicted, evaluation.data.class_names)
            evaluation.page.chart("Confusion matrix of the model's classifier", drawn)

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_classify: image, float32 (B, S, S, C), to probability (B, K)."""
        if model.classify is None:
            return {}

        def classify(image):
            return {"probability": model.classify(image)}

        return {CLASSIFY: (classify, [image_spec(model)])}


class LinearProbe(Capability):
    """The discriminator's features serve a linear classifier.

    The model's instances have `features`, a graph of float32 (B, S, S, C) in [-1, 1] -> float32
    (B, F).
    """

    all_networks = True

    def evaluate(self, evaluation: Evaluation):
        """Also evaluates a linear probe of the discriminator's features, if the data have labels.

        Linear classifiers of the features, and of the pixels for comparison, are fitted to 1,000
        training images and tested on real test images, 10,000 at most.
        """
        model, data = evaluation.model, evaluation.data
        if data.classes < 2:
            return
        train, test = data.arrays("train", LABELLED), data.arrays("test", generated_images.COUNT)

        def accuracy(features):
            return linear_accuracy(*((features(x), labels) for x, labels in (train, test)))

        result = {
            "labels": len(train[0]),
            "count": len(test[0]),
            "accuracy": accuracy(batched_on_images(model, model.features)),
            "accuracy_of_pixels": accuracy(lambda x: image_file.to_unit(x).reshape(len(x), -1)),
        }
        evaluation.add(
            "features",
            result,
            f"linear probe of the discriminator's features, {result['labels']} labels: "
            f"{result['accuracy']:.2%} accuracy on {result['count']} real test images "
            f"({result['accuracy_of_pixels']:.2%} with pixels)",
        )
