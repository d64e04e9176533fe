"""Logging during training: losses, sample grids and metrics, in files and TensorBoard."""

import math
import time
from collections.abc import Callable

from common.errors import UserError
from common.images import image_file
from common.io import records
from common.training.callbacks import StepCallback
from common.training.run_folder import Run

import tensorflow as tf
from tqdm import tqdm

FIRST_SAMPLES = 100  # steps


class Report(StepCallback):
    """Base of loggers: calls `report(step, losses)` every `every` steps and after the last one.

    Args:
        start: global steps done before this `fit`.
        total: global steps done after it.
        every: number of steps between reports.
        run: run folder, where the reports are written.

    Attributes:
        suffix: suffix of the logger's event file for TensorBoard; each logger has its own file.
        writer: writer of that file, open during training.
    """

    suffix: str | None = None

    def __init__(self, start: int, total: int, every: int, run: Run):
        super().__init__(start)
        self.total, self.every, self.run = total, every, run
        self.writer: tf.summary.SummaryWriter | None = None

    def on_train_begin(self, logs=None):
        folder = self.run.tensorboard
        try:
            self.writer = tf.summary.create_file_writer(str(folder), filename_suffix=self.suffix)
        except tf.errors.OpError as error:
            raise UserError(f"{folder}: cannot be written ({error.message}); remove it") from error

    def after_step(self, step, losses):
        if self.is_due(step):
            self.report(step, losses)

    def is_due(self, step: int) -> bool:
        return step % self.every == 0 or step == self.total

    def report(self, step: int, losses: dict[str, float]):
        raise TypeError(f"{type(self).__name__} must define report")

    def release(self):
        if self.writer is not None:
            self.writer.close()


class Log(Report):
    """Logs mean losses over every `every` steps to `metrics.csv`, TensorBoard and standard output.

    The model's `counts` are logged without averaging. Throughput (images per second) and the
    seconds spent waiting for data since the last row are logged too; in TensorBoard, the learning
    rates. A terminal shows a progress bar; other outputs get a line per row, and one with the
    estimated time after the second step.

    The first step of a process is traced and compiled, so it does not count in any of these times.
    """

    def __init__(self, start: int, total: int, every: int, run: Run, batch_size: int, epoch: int):
        super().__init__(start, total, every, run)
        self.batch_size, self.steps_per_epoch = batch_size, epoch
        # The delay keeps it from being drawn before the lines that say what is trained.
        self.bar = tqdm(total=total, initial=start, unit="step", disable=None, delay=0.001)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        records.drop_rows_after(self.run.metrics_file, self.step)
        self.first = self.step + 1
        self._start_timing(self.step)
        self._reset()

    def _start_timing(self, step: int):
        self.timed_from, self.begin = step, time.perf_counter()

    def _pace(self, step: int) -> float:
        """Seconds per step since `_start_timing`."""
        return (time.perf_counter() - self.begin) / (step - self.timed_from)

    def _reset(self):
        self.sums: dict[str, float] = {}
        self.count, self.waited = 0, self.model.data_wait

    def after_step(self, step, losses):
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.count += 1
        if step == self.first:
            self.bar.unpause()
        self.bar.update()
        super().after_step(step, losses)
        if step == self.first:
            self._start_timing(step)
        elif step == self.first + 1 and self.bar.disable and not self.is_due(step):
            print(f"step {step}/{self.total}  {self._ahead(step)}", flush=True)

    def _ahead(self, step: int) -> str:
        pace = self._pace(step)
        return f"{pace:.3f} s/step  {(self.total - step) * pace / 60:.1f} min left"

    def report(self, step, losses):
        counts = {name: losses[name] for name in self.model.counts}
        means = {name: total / self.count for name, total in self.sums.items()} | counts
        speed = {
            "images_per_second": self.batch_size / self._pace(step),
            "data_wait_seconds": self.model.data_wait - self.waited,
        }
        # An integer, from 1: the pass over the data that this step belongs to.
        row = {"step": step, "epoch": (step - 1) // self.steps_per_epoch + 1} | means | speed
        records.append_row(self.run.metrics_file, row)
        with self.writer.as_default(step):
            for name, value in (means | speed).items():
                tf.summary.scalar(name, value)
            for name, player in self.model.players.items():
                tf.summary.scalar(f"learning_rate/{name}", player.optimizer.learning_rate)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        if self.bar.disable:
            losses = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            line = f"step {step}/{self.total}  epoch {row['epoch']}  {losses}  {self._ahead(step)}"
            print(line, flush=True)
        self._start_timing(step)
        self._reset()

    def release(self):
        self.bar.close()
        super().release()


class Samples(Report):
    """Writes a grid of samples every `every` steps, to `samples/` and to TensorBoard.

    Until the first of these, there are others at steps that double each time: a newcomer sees the
    first images soon, and a long run has a few grids more.

    Args:
        start, total, every, run: as for `Report`.
        draw: function that returns the grid, uint8 (H, W, 3), always from the same inputs; it must
            not use any random state of the model.
        stages: steps after which a stage of training starts, besides the first.
    """

    suffix = ".samples"

    def __init__(
        self,
        start: int,
        total: int,
        every: int,
        run: Run,
        draw: Callable,
        stages: tuple[int, ...] = (),
    ):
        super().__init__(start, total, every, run)
        self.draw, self.stages = draw, (0, *stages)

    def is_due(self, step):
        early = any(_is_early(step - stage) and step - stage < self.every for stage in self.stages)
        return early or super().is_due(step)

    def report(self, step, losses):
        self.model.update_average_statistics()
        image = self.draw()
        image_file.write(self.run.samples / f"step_{step:08d}.png", image)
        with self.writer.as_default(step):
            tf.summary.image("samples", image[None])
        self.writer.flush()


def _is_early(steps: int) -> bool:
    """Whether this is 100, 200, 400, 800, ..."""
    hundreds, rest = divmod(steps, FIRST_SAMPLES)
    return hundreds > 0 and rest == 0 and hundreds & (hundreds - 1) == 0


class Measurements(Report):
    """Evaluates the model every `every` steps, and keeps the best checkpoint.

    The metrics go to `measurements.csv`, TensorBoard and standard output.

    Args:
        start, total, every, run: as for `Report`.
        measure: function that returns the current model's metrics by name; it must not use any
            random state of the model.
        best: metric by which the best checkpoint is chosen; None to keep none.
        sign: 1 if higher values of that metric are better, -1 if lower ones are.
    """

    suffix = ".measurements"

    def __init__(
        self,
        start: int,
        total: int,
        every: int,
        run: Run,
        measure: Callable[[], dict[str, float]],
        best: str | None,
        sign: int,
    ):
        super().__init__(start, total, every, run)
        self.measure, self.best, self.sign = measure, best, sign

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        records.drop_rows_after(self.run.measurements_file, self.step)

    def report(self, step, losses):
        self.model.update_average_statistics()
        values = self.measure()
        records.append_row(self.run.measurements_file, {"step": step} | values)
        with self.writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(f"metrics/{name}", value)
        print(f"step {step}  " + "  ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)
        if self.best and self._is_better(values[self.best]):
            self.run.keep_best(self.model, step, self.best, values[self.best])

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):  # some metrics are undefined for few images
            return False
        before = self.run.best()
        if before.get("metric") != self.best:  # none yet, or chosen by another metric
            return True
        return self.sign * value > self.sign * before["value"]
