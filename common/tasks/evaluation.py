"""An evaluation of a run, to which its task and the model's capabilities add results."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from common.errors import not_negative
from common.io import records
from common.reports.loss_curves import curves
from common.reports.result_page import ResultPage
from common.signatures import given
from common.training.run_folder import Run


@dataclass(frozen=True)
class EvaluationOptions:
    """Data and result page.

    Args:
        dataset: new location of the run's dataset, if it was moved.
        data_dir: new folder of the named datasets, if it was moved.
        skip_bad_images: skip images that cannot be read instead of failing.
        show: number of examples on the result page.
    """

    dataset: str | None = None
    data_dir: str | None = None
    skip_bad_images: bool = False
    show: int = 20

    def __post_init__(self):
        not_negative(show=self.show)


class Evaluation:
    """An evaluation of a run: its model and data, and the results collected so far.

    Args:
        task: the `Task`.
        run: the run.
        checkpoint: the `Checkpoint`, which selects the weights.
        options: location of the data, and number of examples on the page.

    Attributes:
        options: location of the data, and options of the capabilities.
        model: the model with the weights of the checkpoint.
        show: number of examples to add to the page.
        report: results by name, for evaluation.json; starts with the checkpoint's step and network.
        page: the result page.
    """

    def __init__(self, task, run: Run, checkpoint, options: EvaluationOptions):
        self.task, self.run, self.checkpoint, self.options = task, run, checkpoint, options
        self.show, self._location = options.show, given(options)
        self._location.pop("show", None)
        self.model = task.load(run, checkpoint)
        network = "average" if self.model.averaged else "generator"
        self.report: dict = {"step": checkpoint.step_in(run), "network": network}
        self.page = self._start_page()

    @cached_property
    def data(self) -> Any:
        """The run's data, at their current location."""
        return self.task.data_of(self.run, **self._location)

    def add(self, name: str, result: dict, text: str):
        """Adds a result to the report, and its text to the page; prints the text."""
        self.report[name] = result
        self.page.note(text)
        print(text)

    def finish(self):
        """Lets the capabilities add their results; writes evaluation.json and the page."""
        for capability in self.task.capabilities:
            capability.evaluate(self)
        records.write_json(self.run.evaluation_file, self.report)
        self.page.facts = {k: v for k, v in self.report.items() if isinstance(v, str | int | float)}
        self.page.write(self.run.evaluation_page)

    def _start_page(self) -> ResultPage:
        config = self.run.config()
        title = f"{self.task.name}: evaluation of {self.run.folder.resolve().name}"
        page = ResultPage(title, {}, config["options"] | config.get("versions", {}))
        drawn = curves(
            self.run.metrics_file, self.run.measurements_file, left_out=self.task.model_class.counts
        )
        if drawn is not None:
            page.chart("Training: losses and metrics by step", drawn)
        return page
