"""Logging during training: what is written, at which step, in new and in resumed runs."""

import csv
import math
from types import SimpleNamespace

from common.io import records
from common.training import checkpoint, logging
from common.training.run_folder import Run
from tests.helpers.steps import step_through

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def log(tmp_path):
    def make(start=0, total=7, every=3):
        made = logging.Log(start, total, every, Run(tmp_path), batch_size=2, epoch=4)
        players = {"g": SimpleNamespace(optimizer=keras.optimizers.SGD(0.25))}
        made.set_model(SimpleNamespace(data_wait=0.0, counts=(), players=players))
        made.on_train_begin()
        return made

    return make


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def scalars(folder):
    """{name: {step: value}} of the scalars that TensorBoard reads from a folder."""
    found = {}
    for path in folder.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_rows_hold_means_at_every_nth_and_the_last_step(log, tmp_path, capsys):
    made = log()
    for step in range(1, 8):
        made.on_train_batch_end(step - 1, {"d": float(step), "g": 0.5})
    made.on_train_end()
    made.release()
    found = rows(tmp_path / "metrics.csv")
    assert [(r["step"], r["epoch"], r["d"], r["g"]) for r in found] == [
        ("3", "1", "2", "0.5"),
        ("6", "2", "5", "0.5"),
        ("7", "2", "7", "0.5"),
    ]
    assert all(float(row["images_per_second"]) > 0 for row in found)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "2/7",  # the first estimate of the time
        "3/7",
        "6/7",
        "7/7",
    ]
    assert scalars(tmp_path / "tensorboard")["learning_rate/g"] == {3: 0.25, 6: 0.25, 7: 0.25}


@pytest.mark.parametrize("start", [0, 50])
def test_the_time_left_is_estimated_after_the_second_step(log, monkeypatch, capsys, start):
    """The first step of a process, in which it is compiled, does not count."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(logging.time, "perf_counter", lambda: clock.now)
    made = log(start, total=1000, every=100)
    for seconds in [60.0, 0.6] + [0.3] * (98 - start % 100):
        clock.now += seconds
        step_through(made, 1)
    first, row = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    left = (998 - start) * 0.6 / 60
    assert first == [f"step {start + 2}/1000", "0.600 s/step", f"{left:.1f} min left"]
    pace = (0.6 + 0.3 * (98 - start)) / (99 - start)
    assert row[0] == "step 100/1000" and row[-2] == f"{pace:.3f} s/step"
    assert row[-1] == f"{900 * pace / 60:.1f} min left"


def test_counts_are_not_averaged(log, tmp_path):
    made = log()
    made.model.counts = ("moves",)
    for step in range(6):
        made.on_train_batch_end(step, {"d": float(step), "moves": float(step // 2)})
    found = rows(tmp_path / "metrics.csv")
    assert [(row["d"], row["moves"]) for row in found] == [("1", "1"), ("4", "2")]


def test_rows_beyond_the_checkpoint_are_dropped_on_resume(log, tmp_path):
    step_through(log(), 6)
    before = (tmp_path / "metrics.csv").read_text().splitlines()
    step_through(log(start=3), 4)
    after = (tmp_path / "metrics.csv").read_text().splitlines()
    assert [row["step"] for row in rows(tmp_path / "metrics.csv")] == ["3", "6", "7"]
    assert after[:2] == before[:2]  # rows up to the checkpoint are unchanged


@pytest.mark.parametrize(
    "left, kept",
    [
        ("step,d\n3,1\n6,1\n9", "step,d\n3,1\n"),  # torn by a kill
        ("step,d\n3,1\n4", "step,d\n3,1\n"),  # torn: it was step 42
        ("step,d\n", "step,d\n"),
        ("ste", ""),
        ("", ""),  # a full disk
    ],
)
def test_rows_torn_by_a_kill_are_dropped(tmp_path, left, kept):
    path = tmp_path / "metrics.csv"
    path.write_text(left)
    records.drop_rows_after(path, 5)
    assert path.read_text() == kept
    records.drop_rows_after(tmp_path / "none.csv", 5)
    assert not (tmp_path / "none.csv").exists()


def test_an_empty_file_gets_a_header(log, tmp_path):
    (tmp_path / "metrics.csv").touch()
    step_through(log(), 3)
    assert [row["step"] for row in rows(tmp_path / "metrics.csv")] == ["3"]


def test_samples_at_every_nth_and_the_last_step(tmp_path):
    drawn = []

    def draw():
        drawn.append(samples.step)
        return np.zeros((4, 4, 3), np.uint8)

    samples = logging.Samples(2, 9, 4, Run(tmp_path), draw)
    samples.set_model(SimpleNamespace(update_average_statistics=lambda: None))
    samples.on_train_begin()
    step_through(samples, 7)
    samples.on_train_end()
    assert drawn == [4, 8, 9]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step_00000004.png",
        "step_00000008.png",
        "step_00000009.png",
    ]


@pytest.mark.parametrize(
    "start, every, stages, steps",
    [
        (0, 1000, (), [100, 200, 400, 800, 1000, 1500]),
        (0, 400, (), [100, 200, 400, 800, 1200, 1500]),
        (0, 60, (), [*range(60, 1500, 60), 1500]),
        (150, 10**6, (), [200, 400, 800, 1500]),  # resumed; a long pass over the data
        (0, 1000, (250, 1100), [100, 200, 350, 400, 450, 650, 800, 1000, 1050, 1200, 1300, 1500]),
    ],
)
def test_early_samples_at_steps_that_double(tmp_path, start, every, stages, steps):
    samples = logging.Samples(start, 1500, every, Run(tmp_path), None, stages)
    assert [step for step in range(start + 1, 1501) if samples.is_due(step)] == steps


def test_release_before_training_has_started_does_nothing(tmp_path):
    logging.Log(0, 1, 1, Run(tmp_path), 1, 1).release()


@pytest.fixture
def measurements(tmp_path, monkeypatch):
    """measurements(values, start=0, sign=-1) -> a callback that measures every 2 steps."""
    written = []
    monkeypatch.setattr(checkpoint, "write", lambda path, _: written.append(path.name))

    def make(values, start=0, sign=-1):
        upcoming = iter(values)
        made = logging.Measurements(
            start, 7, 2, Run(tmp_path), lambda: {"fid": next(upcoming)}, "fid", sign
        )
        made.set_model(SimpleNamespace(update_average_statistics=lambda: None))
        made.on_train_begin()
        return made

    make.written = written
    return make


@pytest.mark.parametrize("sign, best", [(-1, (4, 1.0)), (1, (6, 5.0))])
def test_the_best_by_a_metric_is_kept(measurements, tmp_path, sign, best):
    made = measurements([3.0, 1.0, 5.0, 2.0], sign=sign)
    step_through(made, 7)
    made.release()
    assert [row["step"] for row in rows(tmp_path / "measurements.csv")] == ["2", "4", "6", "7"]
    kept = Run(tmp_path).best()
    assert (kept["step"], kept["value"]) == best
    assert len(measurements.written) == 2 and measurements.written[-1] == f"best_{best[0]:08d}.npz"
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_non_finite_value_is_never_the_best(measurements, tmp_path):
    step_through(measurements([math.nan, 5.0, math.inf, math.nan], sign=1), 7)
    assert Run(tmp_path).best() == {"step": 4, "metric": "fid", "value": 5.0}


def test_a_resumed_run_keeps_its_best_and_drops_later_rows(measurements, tmp_path):
    step_through(measurements([1.0, 2.0, 3.0]), 6)
    step_through(measurements([2.0, 3.0, 0.5], start=3), 4)
    found = rows(tmp_path / "measurements.csv")
    assert [(row["step"], row["fid"]) for row in found] == [
        ("2", "1"),
        ("4", "2"),
        ("6", "3"),
        ("7", "0.5"),
    ]
    assert Run(tmp_path).best()["step"] == 7 and len(measurements.written) == 2
