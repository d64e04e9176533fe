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
        if step % self.every == 0 or step == self.total:
            self.report(step, losses)

    def report(self, step: int, losses: dict[str, float]):
        raise TypeError(f"{type(self).__name__} must define report")

    def release(self):
        if self.writer is not None:
            self.writer.close()


class Log(Report):
    """Logs mean losses over every `every` steps to `metrics.csv`, TensorBoard and standard output.

    The model's `counts` are logged without averaging. Throughput (images per second) and the
    seconds spent waiting for data since the last row are logged too; in TensorBoard, the learning
    rates. A terminal shows a progress bar; other outputs get a line per row.
    """

    def __init__(self, start: int, total: int, every: int, run: Run, batch_size: int, epoch: int):
        super().__init__(start, total, every, run)
        self.batch_size, self.steps_per_epoch = batch_size, epoch
        self.bar = tqdm(total=total, initial=start, unit="step", disable=None)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        records.drop_rows_after(self.run.metrics_file, self.step)
        self._reset()

    def _reset(self):
        self.sums: dict[str, float] = {}
        self.count, self.begin, self.waited = 0, time.perf_counter(), self.model.data_wait

    def after_step(self, step, losses):
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.count += 1
        self.bar.update()
        super().after_step(step, losses)

    def report(self, step, losses):
        counts = {name: losses[name] for name in self.model.counts}
        seconds = time.perf_counter() - self.begin
        means = {name: total / self.count for name, total in self.sums.items()} | counts
        speed = {
            "images_per_second": self.count * self.batch_size / seconds,
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
            left = (self.total - step) * seconds / self.count
            print(
                f"step {step}/{self.total}  epoch {row['epoch']}  {losses}  "
                f"{seconds / self.count:.3f} s/step  {left / 60:.1f} min left",
                flush=True,
            )
        self._reset()

    def release(self):
        self.bar.close()
        super().release()


class Samples(Report):
    """Writes a grid of samples every `every` steps, to `samples/` and to TensorBoard.

    Args:
        start, total, every, run: as for `Report`.
        draw: function that returns the grid, uint8 (H, W, 3), always from the same inputs; it must
            not use any random state of the model.
    """

    suffix = ".samples"

    def __init__(self, start: int, total: int, every: int, run: Run, draw: Callable):
        super().__init__(start, total, every, run)
        self.draw = draw

    def report(self, step, losses):
        self.model.settle_average()
        image = self.draw()
        image_file.write(self.run.samples / f"step_{step:08d}.png", image)
        with self.writer.as_default(step):
            tf.summary.image("samples", image[None])
        self.writer.flush()


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
        self.model.settle_average()
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
