"""Whether more or less of a metric is better is said in one place, for every model."""

from common import registry
from common.metrics import directions

import pytest


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_metric_of_a_model_has_a_direction(name):
    task = registry.task_of(name)
    for each in (task, *task.capabilities):
        assert each.metrics == directions.better(*each.metrics)


def test_titles_are_marked_with_what_is_better():
    assert directions.marked("psnr") == "psnr ↑"
    assert directions.marked("fid", "FID") == "FID ↓"
    assert directions.marked("images") == "images"
