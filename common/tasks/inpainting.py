"""The task of models that fill holes in images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.demo import panels as demo_panels
from common.demo.panels import Panel
from common.errors import UserError, at_least_one
from common.evaluation import generated_images, inpainting, reference_classifier
from common.images.grid import grid, square_grid
from common.inference.draw import check_seed
from common.inference.image_to_image import Size, convert_files
from common.inference.inpainting import (
    Hole,
    Inpainter,
    inpainter_of,
    masked,
    working_side,
    write_completed,
)
from common.inference.input_files import InputFiles, InputOptions
from common.inference.sampler import BATCH_SIZE, TRAINING_SEED
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving import saved_model
from common.serving.inpainter import export_inpainter, load_inpainter
from common.signatures import given
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.baselines import UNMEASURED, refuse_baseline
from common.tasks.capability import class_names, classifier_panels, process
from common.tasks.evaluation import Evaluation, EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import keras
import numpy as np

COLUMNS = 10  # of the sample grid


class InPainting(Task):
    """The verbs of a model that fills holes in images.

    Args:
        model_class: the model. Its instances have `sampler` ([images, masks] to completed images,
            of any size; a mask is 1 on the visible pixels), `masks` (a function of a number and a
            SeedGenerator that gives masks like those of training), `image_size` and `channels`.
        capabilities: what the model can do besides filling holes.
    """

    data = LabelledImages
    metrics: ClassVar[dict[str, int]] = inpainting.METRICS

    def docstrings(self, verb: str) -> list[str]:
        """Those of the base; `predict` is about images to complete and classifies with a flag."""
        return [self.predict.__doc__] if verb == "predict" else super().docstrings(verb)

    # During training.

    def sample_grid(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        Its three rows are test images with a hole, the same ones completed, and the originals. A
        baseline completes nothing: its grid has the originals alone.
        """
        x, _ = data.arrays("test", COLUMNS)
        if model.only_classifies:
            return lambda: grid([x], names=("original",))
        holes, fill = holes_of(model, len(x), TRAINING_SEED), inpainter_of(model).complete_all
        names = "masked", "completed", "original"
        return lambda: grid([masked(x, holes), fill(x, holes), x], names=names)

    def metrics_of(self, model: Adversarial, data: LabelledImages) -> dict[str, int]:
        if model.only_classifies:
            raise UserError(f"{UNMEASURED}; leave --evaluate_every out")
        known = not reference_classifier.unavailable_reason(data)
        return {k: sign for k, sign in self.metrics.items() if known or k != "class_kept"}

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that evaluates the model on the first `count` training images."""
        x, labels = data.arrays("train", count)
        holes, fill = holes_of(model, len(x), TRAINING_SEED), inpainter_of(model).complete_all
        classifier, names = classifier_of(data), self.metrics_of(model, data)

        def measured() -> dict[str, float]:
            scores = inpainting.scores(fill(x, holes), x, holes, labels, classifier)
            return {name: scores[name] for name in names}

        return measured

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str],
        /,
        checkpoint: Checkpoint,
        output: str,
        files: InputOptions,
        hole: Hole,
        size: Size | None = None,
        tile: int = 512,
        classify: bool = False,
    ):
        """Fills a hole in images of any size; the other pixels stay as they are.

        Each completed image is written to OUTPUT as PNG, under its own name.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the completed images.
            size: shorter side in pixels at which holes are filled, or "original" for that of the
                image; default the side of the training images. The result has the size of the
                image.
            tile: side in pixels of the overlapping tiles that larger images are split into.
            classify: classify the images, as they are, instead of completing them; OUTPUT has
                predictions.csv with the most probable class of each and its probability.

        Example:
            {program} predict RUN image.png --output DIR --box 7,7,14,14
            {program} predict RUN FOLDER MORE.jpg --output DIR --mask mask.png
            {program} predict RUN/export/{model}/1 image.png --output DIR
            {program} predict RUN FOLDER --output DIR --classify
        """
        at_least_one(tile=tile)
        self.check_run(run, checkpoint)
        images = InputFiles(inputs, output, files)
        if classify:
            return self._classify(run, images, checkpoint, hole)
        hole.check()
        inpainter = self.inpainter(run, checkpoint)
        side = working_side(size, inpainter)
        if hole == Hole():
            print("the centre of each image is filled: give --box or --mask for another part")
        page = ResultPage(self.name, {"run": run, "size": side, **vars(hole)}, side=THUMBNAIL)
        write = partial(write_completed, inpainter, hole, side, tile)
        convert_files(write, images, page, "completed")

    def _classify(self, run: str, files: InputFiles, checkpoint: Checkpoint, hole: Hole):
        """Hands the images to the capability that classifies."""
        if hole != Hole():
            raise UserError("--classify: takes images as they are; leave --box and --mask out")
        if saved_model.contains(run):
            raise UserError(f"{run}: a SavedModel only fills holes; classify with the run")
        opened = open_run(run, self.name)
        model = self.load(opened, checkpoint)
        takers = [each for each in self.capabilities if each.image_options is not None]
        if not takers or model.classify is None:
            raise UserError(f"--classify: {run} has no classifier; train with --labels, as in 100")
        page = ResultPage(self.name, {"run": run}, side=THUMBNAIL)
        process(takers, opened, model, files, page)

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        count: int = 10000,
        seed: int = 0,
        split: Literal["train", "test"] = "test",
    ):
        """Evaluates completed held-out images, each with a hole like those of training.

        The error is the mean absolute difference in the hole, in units of [-1, 1]. With labels, a
        reference classifier of the dataset tells how many completed images keep their true class.
        Both are compared with holes filled with the mean training image and with the median colour
        of the training images. Prints the results, and writes them to the run's evaluation.json
        and, with images, to its evaluation/index.html. A baseline has its classifier only.

        Args:
            run: folder of the run.
            count: maximum number of images.
            seed: seed for the places of the holes.
            split: split of the images.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        evaluation = self.start_evaluation(run, checkpoint, options)
        evaluation.report |= {"dataset": evaluation.data.name, "split": split, "seed": seed}
        if not evaluation.model.only_classifies:
            self._compare_completed(evaluation, split, count, seed)
        evaluation.finish()

    def _compare_completed(self, evaluation: Evaluation, split: str, count: int, seed: int):
        """Adds the comparison of completed images with the originals."""
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        x, labels = data.arrays(split, count)
        training_images, _ = data.arrays("train", generated_images.COUNT)
        holes, fill, classifier = (
            holes_of(model, len(x), seed),
            inpainter_of(model).complete_all,
            classifier_of(data),
        )
        results = inpainting.compare(fill, x, holes, labels, training_images, classifier)
        print(f"{len(x)} {split} images of {data.name}, a hole in each")
        print(inpainting.format_table(results))
        if classifier is not None:
            page.note(f"reference classifier: test accuracy {classifier.accuracy:.2%}")
        evaluation.report["results"] = results
        page.table(inpainting.table(results))
        if show := evaluation.show:
            x, holes = x[:show], holes[:show]
            shown = {"masked": masked(x, holes), "completed": fill(x, holes), "original": x}
            page.row("Images", {name: square_grid(images) for name, images in shown.items()})

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        examples = self.examples(run, lambda data: data.arrays("test", EXAMPLES)[0])
        fill = Panel("Fill", "Fill", "image", demo_panels.Hole(examples=examples))
        if is_saved_model(run, checkpoint):
            load_inpainter(run)  # an error belongs here rather than to the first image
            return [fill]
        model = self.load(open_run(run, self.name), checkpoint)
        panels = [] if model.only_classifies else [fill]
        return panels + classifier_panels(self.capabilities, model, examples)

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes a SavedModel with the signatures of `export_inpainter` and the capabilities'."""
        further = self.further_signatures(model)
        return export_inpainter(model, base, self.name, version, class_names(run), further)

    def inpainter(self, run: str, checkpoint: Checkpoint) -> Inpainter:
        """Returns the in-painter of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            return load_inpainter(run)
        opened = open_run(run, self.name)
        refuse_baseline(self.model_class, opened, "fill holes")
        model = opened.load_sampler(self.model_class, **given(checkpoint))
        return inpainter_of(model)


def holes_of(model: Adversarial, count: int, seed: int) -> np.ndarray:
    """Holes like those of training, bool (count, S, S), True in the hole; the same for a seed."""
    generator = keras.random.SeedGenerator(seed)
    sizes = [min(BATCH_SIZE, count - first) for first in range(0, count, BATCH_SIZE)]
    return np.concatenate([model.masks(n, generator).numpy()[..., 0] == 0 for n in sizes])


def classifier_of(data: LabelledImages) -> reference_classifier.ReferenceClassifier | None:
    """The dataset's reference classifier; None if it can have none."""
    if reference_classifier.unavailable_reason(data):
        return None
    return reference_classifier.trained_classifier(data)
