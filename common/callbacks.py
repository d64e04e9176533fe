"""What a run does between two steps: Keras callbacks that count global steps.

`fit` counts batches from 0 in every process; a resumed run goes on at its global step. So every
callback here is told that step, and what it does at step n is the same in a run that was resumed.
"""

import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from common import checkpoint, files
from common.data import pictures
from common.errors import UserError
from common.group import Group
from common.locks import Hold
from common.run import Run

import keras
import tensorflow as tf
from tqdm import tqdm

# What ends a run: Ctrl-C, a job scheduler, a terminal that closes (which Windows does not say).
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class NotANumber(Exception):
    """A loss is NaN or infinite; the message names it."""


class StepCallback(keras.callbacks.Callback):
    """Calls `after_step(step, losses)` with the number of global steps done.

    Args:
        start: global steps done before this `fit`.
    """

    def __init__(self, start: int):
        super().__init__()
        self.step = start

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.after_step(self.step, logs)

    def after_step(self, step: int, losses: dict[str, float]):
        raise TypeError(f"{type(self).__name__} must define after_step")

    def release(self):
        """Gives back what is not the run's own, after `fit` has ended in whatever way."""


class FiniteLosses(StepCallback):
    """Stops the run at the first loss that is no finite number, before anything is saved."""

    def after_step(self, step, losses):
        for name, value in losses.items():
            if not math.isfinite(value):
                raise NotANumber(f"{name} is {float(value)} at step {step}")


class Alone(StepCallback):
    """Keeps the run's folder for this process.

    Args:
        new: whether the run begins; else it goes on.

    Raises:
        UserError: another process trains there, or has begun a run in the meantime.
    """

    def __init__(self, start: int, run: Run, new: bool):
        super().__init__(start)
        self.hold = Hold(run.folder)
        if not self.hold.taken or (new and run.config_file.exists()):
            self.release()
            raise UserError(
                f"--run {run.folder}: another process has begun to train there; name another folder"
            )

    def after_step(self, step, losses):
        pass

    def release(self):
        self.hold.release()


class LearningRate(StepCallback):
    """Multiplies every player's learning rate by factor(step / total) own(step) before each step.

    Build it before a checkpoint is restored: the rates found then are the base.
    """

    def __init__(
        self,
        start: int,
        total: int,
        factor: Callable[[float], float],
        updates: dict,
        own: Callable[[int], float] = lambda step: 1.0,
    ):
        super().__init__(start)
        self.total, self.factor, self.own = total, factor, own
        self.bases = [(u.optimizer, float(u.optimizer.learning_rate)) for u in updates.values()]

    def on_train_batch_begin(self, batch, logs=None):
        factor = self.factor(self.step / self.total) * self.own(self.step)
        for optimizer, base in self.bases:
            optimizer.learning_rate = base * factor

    def after_step(self, step, losses):
        pass


def summary_writer(run: Run, suffix: str | None = None) -> tf.summary.SummaryWriter:
    """Writes to the run's TensorBoard.

    Raises:
        UserError: it cannot.
    """
    try:
        return tf.summary.create_file_writer(str(run.tensorboard), filename_suffix=suffix)
    except tf.errors.OpError as error:
        raise UserError(
            f"{run.tensorboard}: cannot be written ({error.message}); remove what is in the way"
        ) from error


class Log(StepCallback):
    """Means of the losses over every `every` steps, to `metrics.csv`, TensorBoard and the screen.

    What the model counts is logged as it stands. Also written: images per second, and the seconds
    spent waiting for data since the last row. On a terminal a progress bar shows the time left;
    elsewhere a line is printed now and then.
    """

    def __init__(self, start: int, total: int, every: int, run: Run, batch_size: int, epoch: int):
        super().__init__(start)
        self.total, self.every, self.run = total, every, run
        self.batch_size, self.steps_per_epoch = batch_size, epoch
        self.bar = tqdm(total=total, initial=start, unit="step", disable=None)
        self.writer = None

    def on_train_begin(self, logs=None):
        files.keep_rows(self.run.metrics_file, self.step)
        self.writer = summary_writer(self.run)
        self._restart()

    def _restart(self):
        self.sums: dict[str, float] = {}
        self.count, self.begin, self.waited = 0, time.perf_counter(), self.model.data_wait

    def after_step(self, step, losses):
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.count += 1
        self.bar.update()
        if step % self.every == 0 or step == self.total:
            self._write(step, {name: losses[name] for name in self.model.counts})
            self._restart()

    def _write(self, step: int, counts: dict[str, float]):
        seconds = time.perf_counter() - self.begin
        means = {name: total / self.count for name, total in self.sums.items()} | counts
        speed = {
            "images_per_second": self.count * self.batch_size / seconds,
            "data_wait_seconds": self.model.data_wait - self.waited,
        }
        # The counter is integer: epoch 1 is the first pass over the data.
        row = {"step": step, "epoch": (step - 1) // self.steps_per_epoch + 1} | means | speed
        files.append_row(self.run.metrics_file, row)
        with self.writer.as_default(step):
            for name, value in (means | speed).items():
                tf.summary.scalar(name, value)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        if self.bar.disable:
            losses = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            left = (self.total - step) * seconds / self.count
            print(
                f"step {step}/{self.total}  epoch {row['epoch']}  {losses}  "
                f"{seconds / self.count:.3f} s/step  {left / 60:.1f} min left",
                flush=True,
            )

    def release(self):
        self.bar.close()
        if self.writer is not None:
            self.writer.close()


class Samples(StepCallback):
    """Writes a grid of pictures every `every` steps, to `samples/` and to TensorBoard.

    Args:
        draw: gives the grid, uint8 (H, W, 3), always from the same inputs; must not draw from any
            random state of the model.
    """

    def __init__(self, start: int, total: int, every: int, run: Run, draw: Callable):
        super().__init__(start)
        self.total, self.every, self.run, self.draw = total, every, run, draw
        self.writer = None

    def on_train_begin(self, logs=None):
        self.writer = summary_writer(self.run, ".samples")

    def after_step(self, step, losses):
        if step % self.every == 0 or step == self.total:
            picture = self.draw()
            pictures.write(self.run.samples / f"step_{step:08d}.png", picture)
            with self.writer.as_default(step):
                tf.summary.image("samples", picture[None])
            self.writer.flush()

    def release(self):
        if self.writer is not None:
            self.writer.close()


class Checkpoints(StepCallback):
    """Saves the state every `every` steps and after the last one; those of `kept` stay.
    Without a run it saves nothing: another process does.
    """

    def __init__(self, start: int, total: int, every: int, run: Run | None, kept: tuple = ()):
        super().__init__(start)
        self.total, self.every, self.run, self.kept = total, every, run, kept
        self.saved = start

    def after_step(self, step, losses):
        if step % self.every == 0 or step == self.total or step in self.kept:
            self.save()

    def save(self):
        """Saves now, unless nothing has happened since the last time."""
        if self.step > self.saved:
            if self.run:
                checkpoint.save(self.run.checkpoints, self.step, self.model, spared=self.kept)
            self.saved = self.step


class Measurements(StepCallback):
    """Measures the model every `every` steps: `measurements.csv`, TensorBoard, the best checkpoint.

    Args:
        measure: gives metrics by name, of the model as it is; must not draw from any random state
            of the model.
        best: the metric whose best checkpoint is kept, or None.
        sign: 1 if more of that metric is better, -1 if less is.
    """

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
        super().__init__(start)
        self.total, self.every, self.run, self.measure = total, every, run, measure
        self.best, self.sign = best, sign
        self.writer = None

    def on_train_begin(self, logs=None):
        files.keep_rows(self.run.measurements_file, self.step)
        self.writer = summary_writer(self.run, ".measurements")

    def after_step(self, step, losses):
        if step % self.every and step != self.total:
            return
        values = self.measure()
        files.append_row(self.run.measurements_file, {"step": step} | values)
        with self.writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(f"metrics/{name}", value)
        print(f"step {step}  " + "  ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)
        if self.best and self._is_better(values[self.best]):
            self.run.keep_best(self.model, step, self.best, values[self.best])

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):  # no metric of so few pictures, or of such
            return False
        before = self.run.best()
        if before.get("metric") != self.best:  # none yet, or by another metric
            return True
        return self.sign * value > self.sign * before["value"]

    def release(self):
        if self.writer is not None:
            self.writer.close()


class StopOnSignal(StepCallback):
    """Ends training after the current step on the first of SIGNALS; a second one acts at once.

    Where several processes train together, a signal to one of them ends all after the same step.

    Args:
        group: the replicas, through which the processes agree; default there are no others.

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self, start: int, group: Group | None = None):
        super().__init__(start)
        self.group = group or Group()
        self.received: int | None = None
        self.previous: dict = {}

    def on_train_begin(self, logs=None):
        self.previous = {s: signal.signal(s, self._note) for s in SIGNALS}

    def _note(self, number, frame):
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = self.group.signal = number
        # `print` is not safe here: the signal may have come in the middle of another one.
        with suppress(OSError):  # a terminal that has closed takes nothing
            os.write(1, b"\nstopping after this step; once more to stop at once\n")

    def after_step(self, step, losses):
        if self.group.agreed:
            self.received = self.group.agreed
            self.model.stop_training = True

    def release(self):
        for number, handler in self.previous.items():
            signal.signal(number, handler)
