"""What a run does between two steps: Keras callbacks that count global steps.

`fit` counts batches from 0 in every process; a resumed run goes on at its global step. So every
callback here is told that step, and what it does at step n is the same in a run that was resumed.
"""

import math
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from common.distributed.replicas import Replicas
from common.errors import UserError
from common.io.locks import FolderLock
from common.training import checkpoint
from common.training.run_folder import Run

import keras

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


class RunLock(StepCallback):
    """Keeps the run's folder for this process.

    Args:
        new: whether the run begins; else it goes on.

    Raises:
        UserError: another process trains there, or has begun a run in the meantime.
    """

    def __init__(self, start: int, run: Run, new: bool):
        super().__init__(start)
        self.hold = FolderLock(run.folder)
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


class StopOnSignal(StepCallback):
    """Ends training after the current step on the first of SIGNALS; a second one acts at once.

    Where several processes train together, a signal to one of them ends all after the same step.

    Args:
        group: the replicas, through which the processes agree; default there are no others.

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self, start: int, group: Replicas | None = None):
        super().__init__(start)
        self.group = group or Replicas()
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
        if self.group.agreed_signal:
            self.received = self.group.agreed_signal
            self.model.stop_training = True

    def release(self):
        for number, handler in self.previous.items():
            signal.signal(number, handler)
