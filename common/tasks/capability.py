"""What a model can do besides its task: the base of all capabilities."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from common.adversarial import Adversarial
from common.demo.panels import Field, Panel, Upload
from common.images import image_file
from common.inference.endpoints import Endpoint
from common.inference.input_files import InputFiles
from common.inference.sampler import Sampler
from common.reports.result_page import ResultPage
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf


class Capability:
    """Something that a model can do besides its task, such as classify images.

    `cli.main(DCGAN, Generation, LinearProbe)` adds it to the task. Its methods are hooks of the
    task; those that a capability does not override change nothing. In `predict` and `evaluate` the
    docstring is added to the help of the verb.

    Attributes:
        metrics: metrics of `measure`, and whether more (+1) or less (-1) is better.
        all_networks: whether it needs every network of the model, not just the sampling network.
        image_options: options of the verb predict that can be combined with input images; None if
            `predict` is not overridden.
        verb: what `predict` does with an image, such as "classify".
        option_groups: as of the task, to which they are added.
    """

    metrics: ClassVar[dict[str, int]] = {}
    all_networks: ClassVar[bool] = False
    image_options: ClassVar[tuple[str, ...] | None] = None
    verb: ClassVar[str] = ""
    option_groups: ClassVar[dict[type, type]] = {}

    def docstring(self, verb: str) -> str | None:
        """Returns what it adds to the help of a verb of the task, if anything."""
        method = getattr(type(self), verb, None)
        return None if method is getattr(Capability, verb, None) else method.__doc__

    # Demo.

    def fields(self, sampler: Sampler) -> list[Field]:
        """Returns the options of images from noise that the page of `demo` shows.

        Args:
            sampler: of a run or of a SavedModel.
        """
        return []

    def panels(self, model: Adversarial, examples: tuple[np.ndarray, ...]) -> list[Panel]:
        """Returns the tabs that it adds to the page of `demo`, for a run.

        Args:
            model: the model.
            examples: images of its data, uint8 (S, S, C) each.
        """
        if self.image_options is None:
            return []
        title = self.verb.capitalize()
        return [Panel(title, title, "images", Upload(examples=examples))]

    # During training.

    def sample_grid(self, model: Adversarial, data: Any) -> Callable[[], np.ndarray] | None:
        """Returns a function that draws the sample grid, or None to keep that of the task.

        It draws with the model's current weights and returns uint8 (H, W, C).
        """
        return None

    def measure(self, model: Adversarial, data: Any, count: int) -> Callable[[], dict[str, float]]:
        """Returns a function that computes `metrics` with the model's current weights.

        Args:
            model: the model.
            data: the run's data.
            count: number of images to measure.
        """
        return dict

    # After training.

    def evaluation_data(self, model: Adversarial, data: Any) -> Any:
        """Returns the data whose distribution the model learns, as reference for the metrics."""
        return data

    def check(self, files: InputFiles, **options):
        """Raises a UserError where options of `predict` do not go with input images.

        Args:
            files: the images.
            options: all options of the verb for images from noise.
        """

    def predict(
        self,
        run: Run,
        model: Adversarial,
        files: InputFiles,
        page: ResultPage,
        **options,
    ) -> str:
        """Processes input images.

        Args:
            run: the model's run.
            model: the model.
            files: the images, and the folder for the results.
            page: page to add the results to.
            options: values of `image_options`.

        Returns:
            A summary in one line.
        """
        raise NotImplementedError

    def evaluate(self, evaluation: Evaluation):
        """Computes further results, prints them and adds them to the report and the page."""

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """Returns further signatures of a SavedModel, as `export_sampler` takes them."""
        return {}


def process(
    capabilities: list[Capability],
    run: Run,
    model: Adversarial,
    files: InputFiles,
    page: ResultPage,
    **options,
):
    """Hands input images to capabilities; writes the page and prints their summaries.

    Args:
        capabilities: those that take images.
        run, model, files, page: as for `Capability.predict`.
        options: options of the verb, of which each capability takes its `image_options`.

    Raises:
        UserError: some images cannot be read, after the others are done.
    """
    summaries = [
        each.predict(run, model, files, page, **{k: options[k] for k in each.image_options})
        for each in capabilities
    ]
    files.write_page(page)
    print(*summaries, sep="\n")
    files.finish()


def read_image(file: Path, model: Adversarial) -> np.ndarray:
    """Reads an image file as the model takes it: uint8 (S, S, C), cropped to its central square."""
    return image_file.square(image_file.read(file, model.channels), model.image_size)


def classifier_panels(
    capabilities: list[Capability], model: Adversarial, examples: tuple[np.ndarray, ...]
) -> list[Panel]:
    """The tabs of capabilities, for a task whose `predict` classifies only with --classify."""
    panels = [panel for each in capabilities for panel in each.panels(model, examples)]
    return [replace(panel, arguments=("--classify",)) for panel in panels]


def class_names(run: Run) -> list[str]:
    """Returns the class names noted in a run; empty if it has none."""
    return run.config()["options"].get("class_names", [])
