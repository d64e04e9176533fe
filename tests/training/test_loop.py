"""Errors that end the training loop: one line that names the checkpoint that is kept."""

import errno
from types import SimpleNamespace

from common.errors import UserError
from common.training import checkpoint, loop
from common.training.callbacks import NonFiniteLoss

import pytest
import tensorflow as tf


def no_space(kind):
    return kind(None, None, "writer.cc: events.out; No space left on device")


@pytest.mark.parametrize(
    "error, said",
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"runs/x: .*\(No space left.*--resume"),
        (no_space(tf.errors.ResourceExhaustedError), r"runs/x: .*\(No space left.*--resume"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "out of memory at step 6.*--batch"),
        (NonFiniteLoss("l1 is nan at step 6"), "diverged: l1 is nan at step 6"),
        (checkpoint.NonFiniteState("generator (kernel)"), r"diverged: generator \(kernel\)"),
    ],
)
@pytest.mark.parametrize("saved", [0, 4])
def test_an_error_is_explained_with_the_checkpoint_that_is_kept(error, said, saved):
    def fit(*_, **__):
        raise error

    released = []
    hooks = [SimpleNamespace(release=lambda: released.append(True), step=6)]
    data = SimpleNamespace(error=None)
    saver = SimpleNamespace(saved=saved, step=6, save=lambda: None)
    with pytest.raises(UserError, match=said) as caught:
        run = SimpleNamespace(folder="runs/x", checkpoints="runs/x/c")
        model = SimpleNamespace(fit=fit)
        loop.fit(model, data, None, (0, 9), run, hooks, saver, "auto")
    kept = "step 4, is kept in runs/x/c" if saved else "there was no checkpoint yet"
    assert kept in str(caught.value) and "\n" not in str(caught.value)
    assert released  # progress bar and signal handlers


class Lost(SimpleNamespace):
    """Replicas that attribute every failure to another worker."""

    def is_lost(self, error):
        return True


@pytest.mark.parametrize(
    "model, step, said",
    [
        ({"jit_step": True}, 0, r"^--jit auto: XLA cannot compile the step \(no kernel\); use"),
        ({"jit_step": True}, 6, None),  # it was compiled in the first step
        ({}, 0, None),
        (
            {"replicas": Lost()},
            6,
            r"^a worker was lost in step 7; the last .* step 4, is kept in runs/x/c; restart",
        ),
    ],
)
def test_a_failed_step_is_explained_if_the_user_can_fix_it(model, step, said):
    failure = tf.errors.InvalidArgumentError(None, None, "no kernel\nin a long trace")

    def fit(*_, **__):
        raise failure

    alone = SimpleNamespace(is_lost=lambda error: False)
    model = {"fit": fit, "replicas": alone, "jit_step": False, "jit_apply": False} | model
    run = SimpleNamespace(folder="runs/x", checkpoints="runs/x/c", step=lambda: 4)
    saver = SimpleNamespace(saved=0, step=step, save=lambda: pytest.fail("saved in a step"))
    with pytest.raises(UserError if said else tf.errors.OpError, match=said) as caught:
        loop.fit(
            SimpleNamespace(**model),
            SimpleNamespace(error=None),
            None,
            *((0, 9), run, [], saver, "auto"),
        )
    assert said or caught.value is failure
