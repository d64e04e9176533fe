"""How long a run trains, by its options and its model, and how a run is prolonged."""

import math

from common.plan import Plan
from common.training import length
from common.training.options import TrainingOptions

import pytest

OWN, STAGES, LEVEL = Plan(), Plan(50, (20,)), Plan(50, continuation="--level 14")


@pytest.mark.parametrize(
    "options, plan, total",
    [
        ({}, OWN, 2000),  # 200 epochs
        ({"steps": 15_000}, OWN, 15_000),  # however small the dataset is
        ({"epochs": 3}, OWN, 30),
        ({"epochs": 3, "steps": 20}, OWN, 20),
        ({"epochs": 3, "steps": 40}, OWN, 30),
        ({}, STAGES, 50),
        ({"steps": 20}, STAGES, 20),
        ({"steps": 70}, STAGES, 70),  # prolongs the last stage
        ({"epochs": 2}, STAGES, 20),
        ({"epochs": 1_000_000}, STAGES, 50),  # of runs started when this was a default
        ({"steps": 70}, LEVEL, 50),
    ],
)
def test_the_length_of_a_run(options, plan, total):
    assert length.total_steps(TrainingOptions(**options), 10, plan) == total


@pytest.mark.parametrize(
    "start, plan, said",
    [
        (30, OWN, "to prolong the run, add --steps above 30, or --epochs above 3"),
        (50, STAGES, "to prolong the run, add --steps above 50"),
        (20, LEVEL, "to prolong the run, add --steps above 20"),
        (50, LEVEL, "add --level 14 to continue with the next stage"),
    ],
)
def test_what_prolongs_a_run_that_has_ended(start, plan, said):
    assert length.remedy(start, 10, plan) == said
    prolonged = {"steps": start + 1} if "--steps" in said else {}
    continued = plan if prolonged else Plan(math.inf)
    assert length.total_steps(TrainingOptions(**prolonged), 10, continued) > start


@pytest.mark.parametrize(
    "schedule, start, total, said",
    [
        ("linear", 100, 200, "at 1.00 of its initial value and reaches 0 at step 200"),
        ("linear", 150, 200, "at 0.50 of"),
        ("cosine", 100, 200, "at 0.50 of"),
        ("constant", 100, 200, "is unchanged"),
    ],
)
def test_how_the_learning_rate_goes_on(schedule, start, total, said):
    assert said in length.rates_ahead(schedule, start, total)


def test_which_options_change_the_length():
    before = {"epochs": 200, "steps": None, "level": 7, "log_every": 50}
    assert not length.is_changed(before, before | {"log_every": 5}, ("level",))
    for option in ("epochs", "steps", "level"):
        assert length.is_changed(before, before | {option: 14}, ("level",))
