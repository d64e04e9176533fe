"""What the verbs of all tasks share."""

import inspect
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from common import cli, early_checks
from common.adversarial import Adversarial
from common.demo import page as demo_page
from common.demo.memory import keep_models
from common.demo.panels import Panel
from common.errors import UserError
from common.io.atomic import atomic_folder
from common.serving import formats, saved_model
from common.signatures import given
from common.tasks.baselines import export_baseline
from common.tasks.evaluation import Evaluation, EvaluationOptions
from common.tasks.weights_export import WeightsOptions, export_weights
from common.training.run_data import open_data
from common.training.run_folder import Network, Run
from common.training.trained_weights import open_run

import numpy as np

EXAMPLES = 5  # images of the data on the page of a demo


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint to use.

    Args:
        best: use the checkpoint kept by --keep_best instead of the latest one.
        network: use the generator as it was trained, or the moving average of its weights; default:
            the average, if the run was trained with --ema.
    """

    best: bool = False
    network: Network | None = None

    def step_in(self, run: Run) -> int:
        """Returns the step of this checkpoint of a run."""
        return run.step(self.best)


class Task:
    """What a user does with a model, besides training it.

    A subclass defines `sample_grid` and `measure`, which training calls, the verbs predict and
    evaluate, and `save_model`.

    Args:
        model_class: the model.
        capabilities: what the model can do besides the task, subclasses of `Capability`.

    Attributes:
        data: class of the dataset.
        metrics: metrics of `measure`, and whether more (+1) or less (-1) is better.
        option_groups: for a dataclass of options that verbs take (`Checkpoint`,
            `EvaluationOptions`), the subclass that the command line uses in its place; those of
            the capabilities are added.
    """

    data: ClassVar[type]
    metrics: ClassVar[dict[str, int]]
    option_groups: ClassVar[dict[type, type]] = {}

    def __init__(self, model_class: type[Adversarial], capabilities: Iterable[type] = ()):
        self.model_class = model_class
        self.capabilities = [capability() for capability in capabilities]
        for capability in self.capabilities:
            self.option_groups = self.option_groups | capability.option_groups

    @property
    def name(self) -> str:
        """The model's name: that of its folder and file."""
        return Path(inspect.getfile(self.model_class)).stem

    def docstrings(self, verb: str) -> list[str]:
        """Returns the docstrings that make up a verb's help: its own, then the capabilities'."""
        added = (capability.docstring(verb) for capability in self.capabilities)
        return [getattr(self, verb).__doc__, *filter(None, added)]

    # During training.

    def sample_grid(self, model: Adversarial, data: Any) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights."""
        raise NotImplementedError

    def measure(self, model: Adversarial, data: Any, count: int) -> Callable[[], dict[str, float]]:
        """Returns a function that computes `metrics_of` the model with its current weights."""
        raise NotImplementedError

    def metrics_of(self, model: Adversarial, data: Any) -> dict[str, int]:
        """Returns the `metrics` that are defined for this model and these data."""
        return self.metrics

    # Runs.

    def load(self, run: Run, checkpoint: Checkpoint) -> Adversarial:
        """Returns the model of a run with the weights of a checkpoint."""
        every = any(capability.all_networks for capability in self.capabilities)
        return run.load_sampler(self.model_class, all_networks=every, **given(checkpoint))

    def check_run(self, run: str, checkpoint: Checkpoint):
        """Raises a UserError if a folder holds neither a run of this model nor a SavedModel."""
        if not is_saved_model(run, checkpoint):
            open_run(run, self.name)

    def data_of(self, run: Run, **changed) -> Any:
        """Returns the data of a run.

        Args:
            run: the run.
            changed: options of the data that replace the run's, such as `dataset`.

        Raises:
            UserError: they cannot be found, or are not the run's.
        """
        return open_data(self.data, run, run.config()["options"] | changed)[0]

    def start_evaluation(
        self, run: str, checkpoint: Checkpoint, options: EvaluationOptions
    ) -> Evaluation:
        """Opens a run and loads its model for an evaluation."""
        return Evaluation(self, open_run(run, self.name), checkpoint, options)

    # Demo.

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        """Returns the tabs of the demo's page.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            checkpoint: selects the weights.
        """
        raise NotImplementedError

    def demo(
        self,
        run: str | None = None,
        /,
        *,
        checkpoint: Checkpoint,
        port: int | None = None,
        share: bool = False,
        browser: bool = True,
    ):
        """Opens a page in the browser that does what predict does.

        It needs requirements-demo.txt. The page is served to this machine alone, until Ctrl-C.
        Uploads and results are deleted after ten minutes and at the end.

        Args:
            run: folder of a run or of one version of an exported SavedModel, or trained weights;
                default this model's most recent run.
            port: port of the page; default the first free one from 7860 up.
            share: give the page a public address, too, through Gradio's servers.
            browser: open the page in the browser.

        Example:
            {program} demo
            {program} demo RUN --port 8000
            {program} demo mnist
        """
        page = self.demo_page(run, checkpoint)
        print(f"demo: {demo_page.launch(page, port, share, browser)} (Ctrl-C ends it)", flush=True)
        page.block_thread()

    def demo_page(self, run: str | None, checkpoint: Checkpoint):
        """Returns the page of `demo`, a `gradio.Blocks` that is not served yet."""
        demo_page.check_package()
        run = run or str(open_run(None, self.name).folder)
        self.check_run(run, checkpoint)
        early_checks.exit_if_only_checking()
        keep_models(self)
        options = [f"--{name}={value}" for name, value in given(checkpoint).items()]

        def predict(arguments: list[str]):
            cli.call(self.predict, self.name, [*arguments, *options])

        panels = self.panels(run, checkpoint)
        return demo_page.build(self.name, Path(run).resolve().name, panels, predict, run)

    def examples(self, run: str, images: Callable[[Any], Iterable[np.ndarray]]) -> tuple:
        """Images of a run's data for the page of `demo`; none where the data are not there.

        Args:
            run: folder of the run; SavedModels and trained weights have no data.
            images: takes them from the data.
        """
        if not Run(Path(run)).config_file.is_file():
            return ()
        try:
            return tuple(islice(images(self.data_of(open_run(run, self.name))), EXAMPLES))
        except UserError:
            return ()

    # Export.

    def export_trained(self, run: Run) -> Path:
        """Exports a run's latest checkpoint as its next version, in float32."""
        return self._export(run, Checkpoint(), run.exports, None)

    def export(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        weights: WeightsOptions,
        output: str | None = None,
        version: int | None = None,
        format: formats.Format | Literal["weights"] = "saved_model",
        signature: str | None = None,
        size: int | None = None,
    ):
        """Writes a SavedModel for TensorFlow Serving, or a file for ONNX Runtime or LiteRT.

        It is written to OUTPUT/{model}/VERSION. An ONNX or LiteRT file holds one signature of the
        SavedModel, and what it gives is compared with what the SavedModel gives. A weights file
        holds the weights in float16 and the options, for use in place of RUN.

        Args:
            run: folder of the run.
            output: parent folder; default RUN/export, RUN/onnx or RUN/litert. Of weights the file,
                NAME.npz; default RUN/NAME.npz with the name of the run.
            version: version number, 1 or more; default the next one that is not taken.
            format: saved_model, onnx, litert or weights; onnx and litert need
                requirements-export.txt.
            signature: signature of the SavedModel that an ONNX or LiteRT file holds; default
                serving_default, or the first one that takes numbers if that takes texts.
            size: side in pixels of the square images that an ONNX or LiteRT file takes, for models
                of images of any size; default any size or, with dropout at inference, that of the
                training images.

        Example:
            {program} export RUN
            {program} export RUN --output models --version 3
            {program} export RUN --format onnx
            {program} export RUN --format weights --output NAME.npz
        """
        opened = open_run(run, self.name)
        if format == "weights":
            for option, value in {"version": version, "signature": signature, "size": size}.items():
                if value is not None:
                    raise UserError(f"--{option} {value}: leave it out with --format weights")
            return export_weights(self, opened, checkpoint, output, weights)
        for option, value in given(weights).items():
            raise UserError(f"--{option} {value}: give --format weights too")
        if format == "saved_model":
            for option, value in {"signature": signature, "size": size}.items():
                if value is not None:
                    raise UserError(f"--{option} {value}: give --format onnx or litert too")
            base = Path(output) if output else opened.exports
            if version is not None:  # checked before the model loads
                saved_model.version_folder(base, self.name, version)
            print(f"exported to {self._export(opened, checkpoint, base, version)}")
            return
        formats.check_packages(format)
        base = Path(output) if output else opened.folder / format
        if version is None:
            version = saved_model.next_version(base, self.name)
        folder = saved_model.version_folder(base, self.name, version)
        errors = saved_model.WRITE_ERRORS
        with tempfile.TemporaryDirectory() as scratch, atomic_folder(folder, errors) as part:
            saved = self._export(opened, checkpoint, Path(scratch), 1)
            converted = formats.convert(saved, format, part, signature, size)
        print(f"exported to {folder / converted.file}: {converted}")

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes a SavedModel to `base`/MODEL/`version` and returns that path."""
        raise NotImplementedError

    def further_signatures(self, model: Adversarial) -> dict:
        """The signatures of the capabilities, by name, as a SavedModel takes them."""
        return {k: v for c in self.capabilities for k, v in c.signatures(model).items()}

    def _export(self, run: Run, checkpoint: Checkpoint, base: Path, version: int | None) -> Path:
        if version is None:
            version = saved_model.next_version(base, self.name)
        model = self.load(run, checkpoint)
        if model.only_classifies:
            return export_baseline(self, model, run, base, version)
        return self.save_model(model, run, base, version)


def is_saved_model(folder: str, checkpoint: Checkpoint) -> bool:
    """Whether `predict` is given a SavedModel instead of a run.

    Raises:
        UserError: it is one, and options select weights that it has fixed.
    """
    if not saved_model.contains(folder):
        return False
    for option in given(checkpoint):
        raise UserError(
            f"--{option}: fixed in the SavedModel {folder}; give it to export, or predict from "
            "the run"
        )
    return True
