"""Panels of the loss curves."""

from common.io import records
from common.reports.loss_curves import curves

import numpy as np
import pytest


@pytest.fixture
def files(tmp_path):
    """Paths of metrics.csv and measurements.csv; neither exists."""
    return tmp_path / "metrics.csv", tmp_path / "measurements.csv"


def log(path, rows):
    for step, values in enumerate(rows, start=1):
        records.append_row(path, {"step": step, "epoch": 1} | values | {"images_per_second": 9.0})


def test_one_panel_for_each_loss_and_metric(files):
    metrics, measurements = files
    log(metrics, [{"d": 1.0, "g": n, "updates": n} for n in (2.0, 3.0, 5.0)])
    log(measurements, [{"fid": 9.0}, {"fid": 8.0}])
    four, three = curves(*files), curves(*files, left_out=("updates",))
    assert four.dtype == np.uint8 and four.shape == (500, 1200, 3)
    assert three.shape == (250, 1200, 3)  # in one row


def test_different_values_give_different_images(files, tmp_path):
    other = tmp_path / "other.csv"
    for path, last in ((files[0], 3.0), (other, 30.0)):
        log(path, [{"d": n} for n in (1.0, 2.0, last)])
    assert not np.array_equal(curves(*files), curves(other, files[1]))


def test_columns_without_two_finite_values_have_no_panel(files, tmp_path):
    log(files[0], [{"d": 1.0, "g": float("nan")}, {"d": 2.0, "g": float("inf")}])
    assert curves(*files).shape == (250, 1200, 3)
    without = tmp_path / "without.csv"
    log(without, [{"d": 1.0}, {"d": 2.0}])
    np.testing.assert_array_equal(curves(*files), curves(without, files[1]))


@pytest.mark.parametrize("torn", ["", "2,1", "2,1,0.5,", "2,1,8.5e-"])
def test_one_complete_row_gives_no_image(files, torn):
    assert curves(*files) is None
    log(files[0], [{"d": 1.0}])
    with open(files[0], "a") as file:
        file.write(torn)  # what a kill leaves of a row
    assert curves(*files) is None
