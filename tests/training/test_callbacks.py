"""What happens between two steps, at which step, and what a resumed run makes of it."""

import errno
import os
import signal
from types import SimpleNamespace

from common.training import callbacks
from common.training.run_folder import Run
from common.training.train import SCHEDULES
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


def test_a_model_has_a_factor_of_its_own():
    update = SimpleNamespace(optimizer=keras.optimizers.SGD(0.5))
    own = {2: 1.0, 3: 0.1}.get
    rate = callbacks.LearningRate(2, 4, SCHEDULES["linear"], {"a": update}, own)
    for step, expected in ((0, 0.5), (1, 0.5 * 0.5 * 0.1)):
        rate.on_train_batch_begin(step)
        assert float(update.optimizer.learning_rate) == pytest.approx(expected)
        rate.on_train_batch_end(step, {})


def test_a_schedule_reaches_through_the_loss_scale():
    inner = keras.optimizers.Adam(0.5)
    update = SimpleNamespace(optimizer=keras.optimizers.LossScaleOptimizer(inner))
    rate = callbacks.LearningRate(8, 10, SCHEDULES["linear"], {"a": update})
    rate.on_train_batch_begin(0)
    assert float(inner.learning_rate) == pytest.approx(0.5 * 0.4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("nan")])
def test_a_loss_that_is_no_number_stops_and_is_named(bad):
    finite = callbacks.FiniteLosses(10)
    finite.on_train_batch_end(0, {"d_loss": 1e30, "g_loss": -1.0})
    with pytest.raises(callbacks.NotANumber, match=r"g_loss is (nan|inf) at step 12"):
        finite.on_train_batch_end(1, {"d_loss": 1.0, "g_loss": bad})


def test_checkpoints_at_every_nth_and_the_last_step_once(tmp_path, monkeypatch):
    saved, spare = [], []
    monkeypatch.setattr(
        callbacks.checkpoint,
        "save",
        lambda folder, step, model, spared: saved.append(step) or spare.append(spared),
    )
    made = callbacks.Checkpoints(3, 10, 4, Run(tmp_path), kept=(5, 20))
    made.set_model(None)
    made.save()  # nothing has happened yet
    step_through(made, 7)
    made.save()
    assert saved == [4, 5, 8, 10]
    assert set(spare) == {(5, 20)}


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


def test_a_terminal_that_has_closed_does_not_stop_the_signal(monkeypatch):
    def closed(*_):
        raise OSError(errno.EIO, "Input/output error")

    stop = callbacks.StopOnSignal(0)
    monkeypatch.setattr(callbacks.os, "write", closed)
    stop._note(signal.SIGTERM, None)
    assert stop.received == signal.SIGTERM


def test_a_run_that_failed_before_it_began_gives_the_signals_back():
    callbacks.StopOnSignal(0).release()
