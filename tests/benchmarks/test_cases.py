"""The classic loop of each model is equivalent to its training step."""

from dataclasses import replace

from benchmarks import classic, classic_loops
from benchmarks.cases import CASES, Sizes
from common import registry
from common.errors import UserError
from common.signatures import parameters

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run")
SMALL = Sizes(image_size=32, width=8, batch_size=4)


@pytest.fixture(params=CASES)
def case(request):
    made = CASES[request.param]
    blocks = {"blocks": 1} if "blocks" in parameters(made.model) else {}
    return replace(made, options=made.options | blocks)


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Eager execution, as tracing would take longer than a few steps, and fixed seeds.

    With other seeds all of the eight units may be inactive, or a hinge loss may be at its minimum,
    and a player is not updated.
    """
    keras.utils.set_random_seed(2)
    monkeypatch.setattr(classic_loops, "RANDOM", np.random.default_rng(2))
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_round_updates_the_players_as_often_as_its_steps(case):
    """But a discriminator is updated twice, by the real and by the fake batch."""
    batch = case.batch(case.build(SMALL), SMALL.batch_size)
    model = case.build(SMALL)
    for _ in range(case.steps):
        model.train_step(tuple(map(tf.constant, batch)))
    for name, update in classic.check_classic_loop(case, SMALL).players.items():
        of_steps = int(model.players[name].optimizer.iterations)
        calls = 2 if name.startswith(("discriminator", "critic")) else 1
        assert update.optimizer.iterations == calls * of_steps > 0, name


def test_a_loop_that_does_not_train_a_player_is_refused():
    def idle(model, players, x, _):
        players.discriminator.train_on_batch(x, np.ones((len(x), 1)))

    with pytest.raises(SystemExit, match="trains only discriminator"):
        classic.check_classic_loop(replace(CASES["dcgan"], classic=idle), SMALL)


def test_a_player_that_updates_another_is_refused(monkeypatch):
    def shift(player, *_):
        for variable in player.weights:
            variable.assign(variable + 1)

    monkeypatch.setattr(classic.ClassicPlayer, "train_on_batch", shift)
    with pytest.raises(SystemExit, match=r"combined\.train_on_batch has updated"):
        classic.check_classic_loop(CASES["dcgan"], SMALL)


def test_sizes_default_to_those_of_the_model():
    assert CASES["pix2pix"].sizes(None, None, None) == (256, 64, 1)
    assert CASES["aae"].sizes(None, 50, None) == (28, 50, 100)


def test_models_are_selected_by_name():
    assert registry.chosen("all", CASES) == sorted(CASES)
    assert registry.chosen("wgan, aae", CASES) == ["wgan", "aae"]
    with pytest.raises(UserError, match="--model gone"):
        registry.chosen("wgan,gone", registry.NAMES)
