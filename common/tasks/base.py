"""What the verbs of every model share."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from common.adversarial import Adversarial
from common.errors import UserError
from common.reports.loss_curves import curves
from common.reports.result_page import ResultPage
from common.serving.saved_model import next_version
from common.training.run_folder import Run, pick


class Task:
    """What a user does with a model, beside training it.

    A kind of task adds `sampler` and `measure`, which training calls, the verbs predict and
    evaluate, and `save_model`.

    Args:
        model_class: the model.

    Attributes:
        data: class of the data set.
        metrics: what `measure` gives, and whether more (+1) or less (-1) of it is better.
        whole: whether the verbs need every network of the model, not the sampling one alone.
    """

    data: ClassVar[type]
    metrics: ClassVar[dict[str, int]]
    whole: ClassVar[bool] = False

    def __init__(self, model_class: type[Adversarial]):
        self.model_class = model_class

    def metrics_of(self, model: Adversarial, data: Any) -> dict[str, int]:
        """Those of `metrics` that this model has on these data."""
        return self.metrics

    @property
    def name(self) -> str:
        """The model's name: that of its folder and file."""
        return Path(inspect.getfile(self.model_class)).stem

    def load(self, run: Run, best: bool = False, **which) -> Adversarial:
        """The model of a run with the weights that the verbs need, as `Run.load_sampler`."""
        return run.load_sampler(self.model_class, best, whole=self.whole, **which)

    def data_of(self, run: Run, **moved) -> Any:
        """The data of a run.

        Args:
            run: the run.
            moved: options of the data that may differ now, such as `dataset`; those that are not
                given (None, False) are the run's.

        Raises:
            UserError: they cannot be found, or are not the run's.
        """
        options = run.config()["options"] | {k: v for k, v in moved.items() if v}
        data = self.data(**pick(self.data, options))
        run.check_data(data.fingerprint())
        return data

    def page(self, run: Run, report: dict) -> ResultPage:
        """The page of an evaluation, to be filled: what was measured, the run's options."""
        config = run.config()
        facts = {k: v for k, v in report.items() if isinstance(v, str | int | float)}
        title = f"{self.name}: evaluation of {run.folder.resolve().name}"
        page = ResultPage(title, facts, config["options"] | config.get("versions", {}))
        drawn = curves(run.metrics_file, run.measurements_file, left_out=self.model_class.counts)
        if drawn is not None:
            page.chart("Training: losses and measurements over its steps", drawn)
        return page

    def export_trained(self, run: Run) -> Path:
        """Exports a run's newest checkpoint as its next version, in float32."""
        return self._write(run, run.exports, None)

    def export(
        self,
        run: str,
        /,
        output: str | None = None,
        version: int | None = None,
        best: bool = False,
    ):
        """Writes a SavedModel for TensorFlow Serving to OUTPUT/MODEL/VERSION/.

        Args:
            run: the run's folder.
            output: folder above the model's; default RUN/export.
            version: a positive integer; default the next free one.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} export RUN
            {program} export RUN --output models --version 3
        """
        self.export_from(run, output, version, best=best)

    def export_from(self, run: str, output: str | None, version: int | None, **which):
        """As `export`, of the weights that `load` gives for `which`."""
        opened = Run.open(run, self.name)
        base = Path(output) if output else opened.exports
        print(f"exported to {self._write(opened, base, version, **which)}")

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes `base`/MODEL/`version`, and gives its path."""
        raise NotImplementedError

    def _write(self, run: Run, base: Path, version: int | None, **which) -> Path:
        if version is None:
            version = next_version(base, self.name)
        return self.save_model(self.load(run, **which), run, base, version)


def refuse_what_is_fixed(options: Iterable[str], saved_model: str):
    """Refuses options of `predict` that a SavedModel has decided."""
    for option in options:
        raise UserError(
            f"--{option}: fixed in the SavedModel {saved_model}; give it to export, or "
            "predict from the run"
        )
