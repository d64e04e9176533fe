"""Keras callbacks that count global steps.

`fit` counts batches from 0 in every process; a resumed run continues at its global step. So every
callback here is given that step, and does the same at step n whether the run was resumed or not.
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

# What ends a run: Ctrl-C, a job scheduler, a terminal that closes (not signalled on Windows).
SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in SIGNAL_NAMES if hasattr(signal, name)]


class NonFiniteLoss(Exception):
    """A loss is NaN or infinite; the message names it."""


class StepCallback(keras.callbacks.Callback):
    """Base of callbacks: calls `after_step(step, losses)` with the number of global steps done.

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
        """Releases resources after `fit` has ended in any way: files, locks, signal handlers."""


class FiniteLosses(StepCallback):
    """Stops the run at the first NaN or infinite loss, before anything is saved."""

    def after_step(self, step, losses):
        for name, value in losses.items():
            if not math.isfinite(value):
                raise NonFiniteLoss(f"{name} is {float(value)} at step {step}")


class RunLock(StepCallback):
    """Holds an exclusive lock on the run folder, from construction to `release`.

    Args:
        start: global steps done before this `fit`.
        run: run folder.
        new: whether the run is new rather than resumed.

    Raises:
        UserError: another process trains in the folder, or has started a run there since.
    """

    def __init__(self, start: int, run: Run, new: bool):
        super().__init__(start)
        self.lock = FolderLock(run.folder)
        if not self.lock.taken or (new and run.config_file.exists()):
            self.release()
            raise UserError(
                f"--run {run.folder}: another process is training there; choose another folder"
            )

    def after_step(self, step, losses):
        pass

    def release(self):
        self.lock.release()


class LearningRate(StepCallback):
    """Sets every player's learning rate to base * factor(step / total) * model_factor(step).

    Build it before a checkpoint is restored: the rates at that time are the base.

    Args:
        start: global steps done before this `fit`.
        total: global steps done after it.
        factor: schedule of the run, a function of the fraction done.
        players: the players, with their optimizers, by name.
        model_factor: schedule of the model's own, a function of the step.
    """

    def __init__(
        self,
        start: int,
        total: int,
        factor: Callable[[float], float],
        players: dict,
        model_factor: Callable[[int], float] = lambda step: 1.0,
    ):
        super().__init__(start)
        self.total, self.factor, self.model_factor = total, factor, model_factor
        self.bases = [(p.optimizer, float(p.optimizer.learning_rate)) for p in players.values()]

    def on_train_batch_begin(self, batch, logs=None):
        factor = self.factor(self.step / self.total) * self.model_factor(self.step)
        for optimizer, base in self.bases:
            optimizer.learning_rate = base * factor

    def after_step(self, step, losses):
        pass


class Checkpoints(StepCallback):
    """Saves a checkpoint every `every` steps and after the last one.

    Args:
        start: global steps done before this `fit`.
        total: global steps done after it.
        every: number of steps between checkpoints.
        run: run folder; None where another process saves.
        retained: steps whose checkpoints are saved too, and never deleted.

    Attributes:
        saved: step of the newest checkpoint.
    """

    def __init__(self, start: int, total: int, every: int, run: Run | None, retained: tuple = ()):
        super().__init__(start)
        self.total, self.every, self.run, self.retained = total, every, run, retained
        self.saved = start

    def after_step(self, step, losses):
        if step % self.every == 0 or step == self.total or step in self.retained:
            self.save()

    def save(self):
        """Saves now, unless no step was done since the last time."""
        if self.step > self.saved:
            if self.run:
                self.model.update_average_statistics()
                checkpoint.save(self.run.checkpoints, self.step, self.model, retained=self.retained)
            self.saved = self.step


class StopOnSignal(StepCallback):
    """Ends training after the current step on the first of SIGNALS, and at once on a second.

    Where several processes train together, a signal to one of them ends all after the same step.

    Args:
        start: global steps done before this `fit`.
        replicas: replicas of the run, through which the processes agree; default a single one.

    Attributes:
        received: number of the signal, or None.
    """

    def __init__(self, start: int, replicas: Replicas | None = None):
        super().__init__(start)
        self.replicas = replicas or Replicas()
        self.received: int | None = None
        self.previous: dict = {}

    def on_train_begin(self, logs=None):
        self.previous = {s: signal.signal(s, self._note) for s in SIGNALS}

    def _note(self, number, frame):
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = self.replicas.signal = number
        # `print` is not safe here: the signal may have interrupted another one.
        with suppress(OSError):  # the terminal may have closed
            os.write(1, b"\nstopping after this step; repeat to stop at once\n")

    def after_step(self, step, losses):
        if self.replicas.agreed_signal:
            self.received = self.replicas.agreed_signal
            self.model.stop_training = True

    def release(self):
        for number, handler in self.previous.items():
            signal.signal(number, handler)
