"""Training callbacks: what they do, at which step, in new and in resumed runs."""

import errno
import os
import signal
from types import SimpleNamespace

from common.training import callbacks
from common.training.options import SCHEDULES
from common.training.run_folder import Run
from tests.helpers.steps import step_through

import keras
import numpy as np
import pytest


def expected_factor(schedule, done):
    if schedule == "linear":
        return 1.0 if done <= 0.5 else 2 - 2 * done
    return {"constant": 1.0, "cosine": (1 + np.cos(np.pi * done)) / 2}[schedule]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("start", [0, 3])
def test_learning_rates_follow_the_formula(schedule, start):
    optimizers = {"a": keras.optimizers.Adam(2e-4), "b": keras.optimizers.SGD(0.5)}
    players = {name: SimpleNamespace(optimizer=made) for name, made in optimizers.items()}
    rate = callbacks.LearningRate(start, 10, SCHEDULES[schedule], players)
    for step in range(start, 10):
        rate.on_train_batch_begin(step - start)
        factor = expected_factor(schedule, step / 10)
        for made, base in zip(optimizers.values(), (2e-4, 0.5), strict=True):
            assert float(made.learning_rate) == pytest.approx(base * factor, rel=1e-6, abs=0)
        rate.on_train_batch_end(step - start, {})


def test_a_models_own_schedule_multiplies_the_rate():
    update = SimpleNamespace(optimizer=keras.optimizers.SGD(0.5))
    model_factor = {2: 1.0, 3: 0.1}.get
    rate = callbacks.LearningRate(2, 4, SCHEDULES["linear"], {"a": update}, model_factor)
    for step, expected in ((0, 0.5), (1, 0.5 * 0.5 * 0.1)):
        rate.on_train_batch_begin(step)
        assert float(update.optimizer.learning_rate) == pytest.approx(expected)
        rate.on_train_batch_end(step, {})


def test_a_schedule_reaches_the_optimizer_inside_a_loss_scale():
    inner = keras.optimizers.Adam(0.5)
    update = SimpleNamespace(optimizer=keras.optimizers.LossScaleOptimizer(inner))
    rate = callbacks.LearningRate(8, 10, SCHEDULES["linear"], {"a": update})
    rate.on_train_batch_begin(0)
    assert float(inner.learning_rate) == pytest.approx(0.5 * 0.4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("nan")])
def test_a_non_finite_loss_stops_training_and_is_named(bad):
    finite = callbacks.FiniteLosses(10)
    finite.on_train_batch_end(0, {"d_loss": 1e30, "g_loss": -1.0})
    with pytest.raises(callbacks.NonFiniteLoss, match=r"g_loss is (nan|inf) at step 12"):
        finite.on_train_batch_end(1, {"d_loss": 1.0, "g_loss": bad})


def test_checkpoints_at_every_nth_and_the_last_step_once(tmp_path, monkeypatch):
    saved, never_deleted = [], []
    monkeypatch.setattr(
        callbacks.checkpoint,
        "save",
        lambda folder, step, model, retained: saved.append(step) or never_deleted.append(retained),
    )
    made = callbacks.Checkpoints(3, 10, 4, Run(tmp_path), retained=(5, 20))
    made.set_model(SimpleNamespace(update_average_statistics=lambda: None))
    made.save()  # no step was done yet
    step_through(made, 7)
    made.save()
    assert saved == [4, 5, 8, 10]
    assert set(never_deleted) == {(5, 20)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_step_and_a_second_one_at_once(number, capfd):
    before = signal.getsignal(number)
    stop = callbacks.StopOnSignal(0)
    stop.set_model(SimpleNamespace(stop_training=False))
    stop.on_train_begin()
    try:
        step_through(stop, 1)
        assert not stop.model.stop_training
        os.kill(os.getpid(), number)
        assert stop.received == number and "stopping after this step" in capfd.readouterr().out
        step_through(stop, 1)
        assert stop.model.stop_training
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            for _ in range(1000):  # the handler runs between two instructions
                pass
    finally:
        stop.release()
    assert signal.getsignal(number) == before


def test_a_signal_is_handled_after_the_terminal_has_closed(monkeypatch):
    def closed(*_):
        raise OSError(errno.EIO, "Input/output error")

    stop = callbacks.StopOnSignal(0)
    monkeypatch.setattr(callbacks.os, "write", closed)
    stop._note(signal.SIGTERM, None)
    assert stop.received == signal.SIGTERM


def test_release_before_training_has_started_does_nothing():
    callbacks.StopOnSignal(0).release()
