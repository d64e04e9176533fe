"""The image of a run's losses: what has a panel there, and what leaves none."""

from common.io import records
from common.reports.loss_curves import curves
from common.training.run_folder import Run

import numpy as np
import pytest


def log(path, rows):
    for step, values in enumerate(rows, start=1):
        records.append_row(path, {"step": step, "epoch": 1} | values | {"images_per_second": 9.0})


def test_a_panel_for_each_loss_and_each_metric(tmp_path):
    run = Run(tmp_path)
    log(run.metrics_file, [{"d": 1.0, "g": n, "moves": n} for n in (2.0, 3.0, 5.0)])
    log(run.measurements_file, [{"fid": 9.0}, {"fid": 8.0}])
    four, three = curves(run), curves(run, left_out=("moves",))
    assert four.dtype == np.uint8 and four.shape == (500, 1200, 3)
    assert three.shape == (250, 1200, 3)  # beside each other


def test_a_panel_shows_its_values(tmp_path):
    one, other = Run(tmp_path / "one"), Run(tmp_path / "other")
    for run, last in ((one, 3.0), (other, 30.0)):
        run.folder.mkdir()
        log(run.metrics_file, [{"d": n} for n in (1.0, 2.0, last)])
    assert not np.array_equal(curves(one), curves(other))


def test_what_is_no_number_is_left_out(tmp_path):
    run = Run(tmp_path)
    log(run.metrics_file, [{"d": 1.0, "g": float("nan")}, {"d": 2.0, "g": float("inf")}])
    assert curves(run).shape == (250, 1200, 3)
    (other := tmp_path / "only").mkdir()
    log(Run(other).metrics_file, [{"d": 1.0}, {"d": 2.0}])
    np.testing.assert_array_equal(curves(run), curves(Run(other)))


@pytest.mark.parametrize("torn", ["", "2,1", "2,1,0.5,", "2,1,8.5e-"])
def test_of_one_row_there_is_no_curve(tmp_path, torn):
    run = Run(tmp_path)
    assert curves(run) is None
    log(run.metrics_file, [{"d": 1.0}])
    with open(run.metrics_file, "a") as file:
        file.write(torn)  # by a kill
    assert curves(run) is None
