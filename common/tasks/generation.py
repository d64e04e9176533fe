"""The task of generators of images from noise."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.demo.panels import FRAMES, SEED, Choice, Panel, WholeNumber
from common.errors import UserError, at_least_one
from common.evaluation import generated_images, reference_classifier
from common.images.grid import square_grid
from common.inference.draw import (
    Sampling,
    check_seed,
    select_classes,
    with_progress_bar,
)
from common.inference.endpoints import labels_in_turn
from common.inference.input_files import InputFiles, InputOptions, check_folder
from common.inference.interpolation import Interpolation
from common.inference.latent_arithmetic import LatentArithmetic
from common.inference.sample_grid import MAX_ROWS, fixed_grid, real_grid, sample_grid
from common.inference.sampler import TRAINING_SEED, Sampler, sampler_of
from common.reports import result_page
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving import saved_model
from common.serving.sampler import export_sampler, load_sampler
from common.signatures import given
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.baselines import UNMEASURED, refuse_baseline
from common.tasks.capability import class_names, process
from common.tasks.evaluation import Evaluation, EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np

BASELINE_IMAGES = 64  # of the data, in the sample grid of a baseline


@dataclass(frozen=True)
class SampleEvaluation(EvaluationOptions):
    """Data and result page.

    Args:
        show: number of generated images on the result page, beside as many real ones.
    """

    show: int = 64


@dataclass(frozen=True)
class NoInputOptions:
    """Input images, of a model that takes none."""


class Generation(Task):
    """The verbs of a model that generates images from noise, with or without a class.

    Args:
        model_class: the model. Its instances have `sampler`, `latent`, `image_size`, `channels`
            and `classes`, which is 0 if the sampler takes no class.
        capabilities: what the model can do besides generating images.
    """

    data = LabelledImages
    metrics: ClassVar[dict[str, int]] = generated_images.METRICS | generated_images.CLASS_METRICS
    option_groups: ClassVar[dict[type, type]] = {EvaluationOptions: SampleEvaluation}

    def __init__(self, model_class: type[Adversarial], capabilities: Iterable[type] = ()):
        super().__init__(model_class, capabilities)
        self._takers = [c for c in self.capabilities if c.image_options is not None]
        if not self._takers:
            self.option_groups = self.option_groups | {InputOptions: NoInputOptions}

    # During training.

    def sample_grid(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        It is the grid of the first capability that has one, else a `fixed_grid`. A baseline
        generates nothing: its grid shows test images.
        """
        if model.only_classifies:
            images = square_grid(data.arrays("test", BASELINE_IMAGES)[0])
            return lambda: images
        grids = (capability.sample_grid(model, data) for capability in self.capabilities)
        return next(filter(None, grids), None) or fixed_grid(named_sampler(model, data))

    def metrics_of(self, model: Adversarial, data: LabelledImages) -> dict[str, int]:
        """Returns the metrics that are defined for this model and these data, with their signs.

        Raises:
            UserError: there are none; the message says why.
        """
        reason = self._unavailable_reason(model, data)
        metrics: dict[str, int] = {}
        if not reason:
            metrics |= self.metrics if model.classes else generated_images.METRICS
        for capability in self.capabilities:
            metrics |= capability.metrics
        if not metrics:
            raise UserError(f"{reason}; leave --evaluate_every out")
        return metrics

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that computes the metrics of the model with its current weights.

        Its `count` images are generated from fixed noise and compared with as many training
        images; without a reference classifier there are the metrics of the capabilities only.
        """
        measures = [capability.measure(model, data, count) for capability in self.capabilities]
        if not self._unavailable_reason(model, data):
            measures.insert(0, self._measure_samples(model, data, count))
        return lambda: {name: value for each in measures for name, value in each().items()}

    def _unavailable_reason(self, model: Adversarial, data: LabelledImages) -> str | None:
        """Why generated images cannot be measured during training, if they cannot."""
        if model.only_classifies:
            return UNMEASURED
        return reference_classifier.unavailable_reason(data)

    def _measure_samples(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        sampler = sampler_of(model)
        noise = sampler.noise(TRAINING_SEED, count)
        labels = labels_in_turn(range(model.classes), count)
        real = self._evaluation_data(model, data)
        reference_set = generated_images.ReferenceSet(real, count, "train")
        return lambda: reference_set.measure(sampler.all(noise, labels), labels)

    def _evaluation_data(self, model: Adversarial, data: LabelledImages) -> Any:
        for capability in self.capabilities:
            data = capability.evaluation_data(model, data)
        return data

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str] | None = None,
        /,
        *,
        output: str,
        checkpoint: Checkpoint,
        files: InputOptions,
        sampling: Sampling,
        interpolation: Interpolation,
        arithmetic: LatentArithmetic,
    ):
        """Generates images from noise.

        They are written to OUTPUT as 0000.png, 0001.png, ...; the same seed gives the same images.
        A model that takes a class generates all classes in turn and names the class in the file
        name, as in 0009_ankle_boot.png.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            output: folder for the images.

        Example:
            {program} predict RUN --output DIR --count 100 --seed 1
            {program} predict RUN --output DIR --interpolate 16
            {program} predict RUN --output DIR --interpolate 16 --label 3 --label_to 8
            {program} predict RUN --output DIR --arithmetic 3,17,25-4,9,12+1,2,6
        """
        folder = Path(output)
        check_folder(folder)
        if inputs:
            groups = sampling, interpolation, arithmetic
            self._check_options(run, inputs, groups)
            self.check_run(run, checkpoint)
            images = InputFiles(inputs, folder, files)
            for taker in self._takers:
                taker.check(images, **values_of(groups))
            return self._predict_inputs(run, images, checkpoint, groups)
        for option in given(files):
            raise UserError(f"--{option}: is for input images; leave it out, or name some")
        if arithmetic.arithmetic is not None:
            arithmetic.check(sampling, interpolation)
            draw = arithmetic.draw
        elif interpolation.interpolate:
            interpolation.check(sampling)
            draw = interpolation.draw
        else:
            draw = sampling.draw
        sampler = sampling.applied(self.sampler(run, checkpoint))
        class_ids = select_classes(sampler.class_names, sampling.label)
        facts = {
            "run": run,
            "seed": sampling.seed,
            "label": sampling.label,
            "generator": sampler.choice,
            "arithmetic": arithmetic.arithmetic,
            "seed_to": interpolation.seed_to,
            "label_to": interpolation.label_to,
        }
        page = ResultPage(f"{self.name}: images from noise", facts)
        summary = draw(sampler, class_ids, sampling, folder, page)
        page.write(folder / result_page.NAME)
        print(summary)

    def _check_options(self, run: str, inputs: list[str], groups: tuple):
        """Raises a UserError for options that do not go with input images."""
        known = {option for taker in self._takers for option in taker.image_options}
        verbs = " or ".join(taker.verb for taker in self._takers)
        for option in (name for group in groups for name in given(group)):
            if option not in known:
                raise UserError(
                    f"--{option}: is for images from noise; leave it out to {verbs} {inputs[0]}"
                )
        if saved_model.contains(run):
            raise UserError(f"{run}: a SavedModel only generates images; {verbs} with the run")

    def _predict_inputs(self, run: str, files: InputFiles, checkpoint: Checkpoint, groups: tuple):
        """Hands input images to the capabilities that take them."""
        opened = open_run(run, self.name)
        model = self.load(opened, checkpoint)
        page = ResultPage(self.name, {"run": run}, side=THUMBNAIL)
        process(self._takers, opened, model, files, page, **values_of(groups))

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
        """Compares generated images with held-out real images.

        The metrics use the features and predictions of a reference classifier of the dataset. A
        model that takes a class generates all classes equally often. For images without labels
        there are the sliced Wasserstein distances of patches, and for RGB also Keras-Inception FID,
        if its weights are on disk or can be downloaded. Prints the results, and writes them to the
        run's evaluation.json and, with images, to its evaluation/index.html. A baseline has its
        classifier only.

        Args:
            run: folder of the run.
            count: number of generated images, and maximum number of real ones.
            seed: seed for the noise.
            split: split of the real images.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        evaluation = self.start_evaluation(run, checkpoint, options)
        data = evaluation.data
        evaluation.report |= {"dataset": data.name, "split": split, "count": count, "seed": seed}
        if not evaluation.model.only_classifies:
            self._compare_samples(evaluation, split, count, seed)
        evaluation.finish()

    def _compare_samples(self, evaluation: Evaluation, split: str, count: int, seed: int):
        """Adds the comparison of generated with real images."""
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        sampler, real = named_sampler(model, data), self._evaluation_data(model, data)
        labels = labels_in_turn(range(sampler.classes), count)
        batches = with_progress_bar(sampler.draw(sampler.noise(seed, count), labels), count)
        results, table, note = generated_images.compare(batches, labels, real, split, count)
        evaluation.report |= results
        if table:
            page.table(table)
        page.note(note)
        if evaluation.show:
            shown = side_by_side(sampler, real, split, evaluation.show, seed)
            captions = f"made by {self.name}", f"real, {split}"
            page.row("Images", dict(zip(captions, shown, strict=True)))

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        """Returns tabs for images from noise, and the capabilities'; of a baseline the latter."""
        if is_saved_model(run, checkpoint) or not self.capabilities:
            return self._sampler_panels(run, checkpoint)
        try:
            model = self.load(open_run(run, self.name), checkpoint)
        except UserError:  # weights of the generator alone
            return self._sampler_panels(run, checkpoint)
        panels = [] if model.only_classifies else self._sampler_panels(run, checkpoint)
        examples = self.examples(run, self.input_examples)
        return panels + [p for each in self.capabilities for p in each.panels(model, examples)]

    def _sampler_panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        sampler = self.sampler(run, checkpoint)
        label, label_to = [], []
        if names := tuple(sampler.class_names):
            label = [Choice("label", "class", choices=names, none="all classes")]
            label_to = [Choice("label_to", "class at the end", choices=names, none="the same")]
        own = [field for each in self.capabilities for field in each.fields(sampler)]
        images = (*label, WholeNumber("count", "images", 64, least=1, most=100), SEED, *own)
        seed_to = WholeNumber("seed_to", "seed at the end", least=0)
        between = (*label, *label_to, SEED, seed_to, FRAMES)
        return [
            Panel("Images", "Draw", "image", None, images, ("--grid",), at_once=True),
            Panel("Interpolation", "Draw", "animation", None, between),
        ]

    def input_examples(self, data: Any) -> Iterable[np.ndarray]:
        """Test images for the capabilities that take images."""
        return data.arrays("test", EXAMPLES)[0]

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes a SavedModel with the signatures of `export_sampler` and of the capabilities."""
        further = self.further_signatures(model)
        return export_sampler(model, base, self.name, version, class_names(run), further)

    def sampler(self, run: str, checkpoint: Checkpoint) -> Sampler:
        """Returns the sampler of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            return load_sampler(run)
        opened = open_run(run, self.name)
        refuse_baseline(self.model_class, opened, "generate images")
        model = opened.load_sampler(self.model_class, **given(checkpoint))
        return sampler_of(model, class_names(opened))


def named_sampler(model: Adversarial, data: Any) -> Sampler:
    """The sampler of a model, with the class names of its data."""
    return sampler_of(model, data.class_names if model.classes else None)


def values_of(groups: tuple) -> dict[str, Any]:
    """The options in dataclasses of options, by name."""
    return {name: value for group in groups for name, value in vars(group).items()}


def side_by_side(
    sampler: Sampler, data: Any, split: str, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a grid of generated and a grid of real images, uint8 (H, W, C) each.

    They have at least `count` images each, with several classes a row for each of the first ten.
    """
    class_ids = list(range(min(sampler.classes, MAX_ROWS)))
    rows = max(1, len(class_ids), len(sampler.choices))
    columns = ceil(count / rows)
    generated = sample_grid(sampler, sampler.noise(seed, columns), class_ids)
    return generated, real_grid(data, split, columns if class_ids else rows * columns, class_ids)
