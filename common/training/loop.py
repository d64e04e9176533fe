"""Keras' loop over the steps of a run, and what can end it before the last one.

What the user can mend is said in a line: what happened, which checkpoint is kept, how to go on.
"""

import errno
import gc
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from common.adversarial import Adversarial, Jit
from common.errors import UserError
from common.training import callbacks, checkpoint
from common.training.callbacks import Checkpoints, StepCallback
from common.training.run_folder import Run

import keras
import tensorflow as tf

# What writing to a pipe or terminal fails with when its other end has closed.
GONE = {errno.EPIPE, errno.EIO}
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
    """Trains a model with a batch for each step, and saves it in the end.

    Args:
        model: compiled, with the state of the first step.
        data: where the batches are from; its `error` is what has stopped them, or None.
        batches: of the steps of `span`, shuffled.
        span: global steps done before and after it.
        run: the run's folder.
        hooks: callbacks, `saver` among them; they are released in any case.
        saver: saves the model.
        jit: the option, for an error.

    Raises:
        UserError: anything that the user can mend. Where the state is whole, it is saved.
    """
    start, total = span
    try:
        with _dropping_iterators():
            model.fit(
                batches,
                steps_per_epoch=total - start,
                callbacks=hooks,
                shuffle=False,  # the stream is shuffled
                verbose=0,
            )
        saver.save()  # of a run that a signal has ended; else nothing is left to save
    except (callbacks.NonFiniteLoss, checkpoint.NonFiniteState) as error:
        raise UserError(
            f"training diverged: {error}; {_kept(saver, run)}; "
            "try a lower --learning_rate or another --seed"
        ) from error
    except UserError:
        _save_between_steps(saver, hooks)
        raise
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        # A full disk is a ResourceExhaustedError where TensorFlow writes.
        if isinstance(error, OSError) or FULL in str(error):
            _save_between_steps(saver, hooks)
            raise _unwritten(error, saver, run) from error
        raise UserError(
            f"out of memory at step {saver.step}; {_kept(saver, run)}; "
            "lower --batch_size, --image_size or --width"
        ) from error
    except tf.errors.OpError as error:
        if data.error is not None:
            saver.save()  # it failed between two steps, so the state is whole
            say_stopped(saver, run)
            raise data.error from error
        told = _of_a_step(error, model, start, run, saver, jit)
        if told is None:
            raise
        raise told from error
    finally:
        for hook in hooks:
            hook.release()


def say_stopped(saver: Checkpoints, run: Run):
    print(f"stopped at step {saver.step}; go on with: --resume --run {run.folder}", flush=True)


def _kept(saver: Checkpoints, run: Run) -> str:
    if not saver.saved:
        return "there was no checkpoint yet"
    return f"the last good checkpoint, step {saver.saved}, is kept in {run.checkpoints}"


def _unwritten(error: Exception, saver: Checkpoints, run: Run) -> UserError:
    """What to say when something could not be written: the run's files, or its output."""
    if getattr(error, "errno", None) in GONE:
        return UserError(
            f"nobody takes the output any more; {_kept(saver, run)}; go on with: --resume "
            f"--run {run.folder}"
        )
    return UserError(
        f"{run.folder}: cannot be written at step {saver.step} "
        f"({getattr(error, 'strerror', None) or FULL}); {_kept(saver, run)}; "
        "make room, then --resume"
    )


def _of_a_step(
    error: tf.errors.OpError,
    model: Adversarial,
    start: int,
    run: Run,
    saver: Checkpoints,
    jit: Jit,
) -> UserError | None:
    """What to say when a step has failed, or None where the user can do nothing about it."""
    if model.group.is_lost(error):
        step = run.step()
        kept = f"step {step} is kept in {run.checkpoints}" if step else _kept(saver, run)
        return UserError(
            f"a worker was lost in step {saver.step + 1}; {kept}; "
            "start all workers again, with --resume and the same --run"
        )
    if (model.jit_step or model.jit_apply) and saver.step == start:
        reason = str(error).splitlines()[0]
        return UserError(f"--jit {jit}: XLA cannot compile the step ({reason}); use --jit off")
    return None


def _save_between_steps(saver: Checkpoints, hooks: list[StepCallback]):
    """Saves after a callback has failed, if it can: its failure is what is to be told."""
    saver.step = hooks[0].step  # the first one has counted the step that all others follow
    with suppress(UserError, checkpoint.NonFiniteState):
        saver.save()


@contextmanager
def _dropping_iterators() -> Iterator[None]:
    """Lets nothing hold on to the data iterator of a `fit` that did not come to its end.

    Tracebacks do, and a cycle within Keras. The threads that load batches live as long, and one
    that is in Python when the interpreter shuts down blocks the exit for ever.
    """
    keras.config.disable_traceback_filtering()  # it hides the frames that have to be cleared
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        gc.collect()
