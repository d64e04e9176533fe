"""Keras' loop over the steps of a run, and the errors that can end it early.

An error the user can fix becomes one line: what happened, which checkpoint is kept, how to resume.
"""

import errno
import gc
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from common.adversarial import Adversarial, Jit
from common.errors import UserError
from common.training import callbacks, checkpoint
from common.training.callbacks import Checkpoints, StepCallback
from common.training.run_folder import Run

import keras
import tensorflow as tf

# What writing to a pipe or terminal fails with when its other end has closed.
CLOSED = {errno.EPIPE, errno.EIO}
FULL = os.strerror(errno.ENOSPC)


def fit(
    model: Adversarial,
    data,
    batches: tf.data.Dataset,
    span: tuple[int, int],
    run: Run,
    hooks: list[StepCallback],
    saver: Checkpoints,
    jit: Jit,
):
    """Trains a model on one batch per step, and saves it at the end.

    Args:
        model: compiled model in the state of the first step.
        data: dataset of the batches; its `error` is what has stopped them, or None.
        batches: shuffled batches of the steps in `span`.
        span: global steps done before and after training.
        run: run folder.
        hooks: callbacks, `saver` among them; always released.
        saver: callback that saves the model.
        jit: the --jit option, for error messages.

    Raises:
        UserError: an error the user can fix. The state is saved if it is consistent.
    """
    start, total = span
    loop = _Loop(model, data, start, run, hooks, saver, jit)
    try:
        with _dropping_iterators():
            model.fit(
                batches,
                steps_per_epoch=total - start,
                callbacks=hooks,
                shuffle=False,  # the stream is shuffled
                verbose=0,
            )
        saver.save()  # of a run that a signal has ended; otherwise nothing is left to save
    except UserError:  # of a callback
        loop.save()
        raise
    except Exception as error:
        told = loop.explain(error)
        if told is None:
            raise
        raise told from error
    finally:
        for hook in hooks:
            hook.release()


def say_stopped(saver: Checkpoints, run: Run):
    print(f"stopped at step {saver.step}; to resume: --resume --run {run.folder}", flush=True)


@dataclass
class _Loop:
    """A loop that an error has ended; arguments as for `fit`."""

    model: Adversarial
    data: object
    start: int
    run: Run
    hooks: list[StepCallback]
    saver: Checkpoints
    jit: Jit

    def explain(self, error: Exception) -> UserError | None:
        """The error to show the user, after saving what can be saved; None if it is a bug."""
        if isinstance(error, tf.errors.OpError) and self.data.error is not None:
            self.saver.save()  # loading failed between two steps, so the state is consistent
            say_stopped(self.saver, self.run)
            return self.data.error
        for ending in ENDINGS:
            if ending.applies(error, self):
                if ending.saves:
                    self.save()
                return UserError(ending.message.format(self=self, reason=_reason(error)))
        return None

    def save(self):
        """Saves after a callback has failed, if possible: the callback's error is the one shown."""
        self.saver.step = self.hooks[0].step  # the first one has counted the step that just ended
        with suppress(UserError, checkpoint.NonFiniteState):
            self.saver.save()

    @property
    def next_step(self) -> int:
        return self.saver.step + 1

    @property
    def kept(self) -> str:
        """What this process has saved."""
        return self._kept_at(self.saver.saved)

    @property
    def kept_by_chief(self) -> str:
        """What is saved: this process may be ahead of the one that writes."""
        return self._kept_at(self.run.step())

    def _kept_at(self, step: int) -> str:
        if not step:
            return "there was no checkpoint yet"
        return f"the last good checkpoint, step {step}, is kept in {self.run.checkpoints}"


class Ending(NamedTuple):
    """One way for the loop to end early.

    Attributes:
        applies: whether an error is of this kind.
        saves: whether the state is consistent and is saved first.
        message: template of the message, a line.
    """

    applies: Callable[[Exception, _Loop], bool]
    saves: bool
    message: str


def _diverged(error: Exception, loop: _Loop) -> bool:
    return isinstance(error, (callbacks.NonFiniteLoss, checkpoint.NonFiniteState))


def _stdout_closed(error: Exception, loop: _Loop) -> bool:
    return isinstance(error, OSError) and error.errno in CLOSED


def _write_failed(error: Exception, loop: _Loop) -> bool:
    # TensorFlow's writers raise ResourceExhaustedError on a full disk.
    full = isinstance(error, tf.errors.ResourceExhaustedError) and FULL in str(error)
    return isinstance(error, OSError) or full


def _out_of_memory(error: Exception, loop: _Loop) -> bool:
    return isinstance(error, tf.errors.ResourceExhaustedError)


def _worker_lost(error: Exception, loop: _Loop) -> bool:
    return isinstance(error, tf.errors.OpError) and loop.model.replicas.is_lost(error)


def _not_compiled(error: Exception, loop: _Loop) -> bool:
    compiled = loop.model.jit_step or loop.model.jit_apply
    first_step = loop.saver.step == loop.start
    return isinstance(error, tf.errors.OpError) and compiled and first_step


# In this order: the first one that applies.
ENDINGS = (
    Ending(
        _diverged,
        False,
        "training diverged: {reason}; {self.kept}; try a lower --learning_rate or another --seed",
    ),
    Ending(
        _stdout_closed,
        True,
        "stdout was closed (broken pipe); {self.kept}; to resume: --resume --run {self.run.folder}",
    ),
    Ending(
        _write_failed,
        True,
        "{self.run.folder}: cannot be written at step {self.saver.step} ({reason}); {self.kept}; "
        "free disk space, then --resume",
    ),
    Ending(
        _out_of_memory,
        False,
        "out of memory at step {self.saver.step}; {self.kept}; "
        "lower --batch_size, --image_size or --width",
    ),
    Ending(
        _worker_lost,
        False,
        "a worker was lost in step {self.next_step}; {self.kept_by_chief}; "
        "restart all workers with --resume and the same --run",
    ),
    Ending(
        _not_compiled,
        False,
        "--jit {self.jit}: XLA cannot compile the step ({reason}); use --jit off",
    ),
)


def _reason(error: Exception) -> str:
    """What went wrong, in one line."""
    text = str(error)
    return getattr(error, "strerror", None) or (FULL if FULL in text else text.partition("\n")[0])


@contextmanager
def _dropping_iterators() -> Iterator[None]:
    """Drops every reference to the data iterator of a `fit` that was interrupted.

    Tracebacks hold one, and so does a cycle within Keras. The threads that load batches live as
    long as the iterator, and one that is in Python when the interpreter shuts down blocks the
    exit forever.
    """
    keras.config.disable_traceback_filtering()  # it hides the frames that have to be cleared
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        gc.collect()
