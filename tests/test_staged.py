"""Training in stages: borders, a network that grows, optimizers that start anew, exact resume."""

import math

from common.adversarial import Adversarial
from common.nn import losses
from common.players import Player
from common.staged import Stage, Staged
from common.training import checkpoint

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

RANDOM = np.random.default_rng(0)


class Growing(Staged):
    """One weight in stage 0; in stage 1 a second one, faded in, and the optimizers reset."""

    logged = ("g_loss", "alpha")

    def __init__(self):
        super().__init__(name="growing")
        self.generator, self.coarse, self.fine = self.build_networks()
        for network in (self.coarse, self.fine):
            network.compile(loss=losses.mse, optimizer=keras.optimizers.Adam(0.1))
        both = ("generator",)
        self.set_stages([Stage(3, self.small, both), Stage(4, self.large, both, reset=True)])
        self.compile(jit="off")

    def build_networks(self):
        x = keras.Input((1,))
        coarse, fine = layers.Dense(1, name="coarse")(x), layers.Dense(1, name="fine")(x)
        whole = keras.Model(x, [coarse, fine], name="generator")
        return whole, keras.Model(x, coarse), keras.Model(x, fine)

    @property
    def players(self):
        return {"generator": Player(self.coarse, self.generator, growing=True)}

    def small(self, x, y):
        return {"generator": self.coarse.compute_loss(y=y, y_pred=self.coarse(x))}, {}

    def large(self, x, y):
        alpha = self.progress(2)
        coarse, fine = self.generator(x)
        y_hat = (1 - alpha) * coarse + alpha * fine
        return {"generator": self.coarse.compute_loss(y=y, y_pred=y_hat)}, {"alpha": alpha}


def batches(start, stop):
    random = np.random.default_rng(1)
    data = random.normal(size=(10, 2, 8, 1)).astype("float32")
    return iter([tuple(map(tf.constant, data[i])) for i in range(start, stop)])


def train(model, stop):
    """Steps up to `stop`, by the function that `fit` calls; their logs."""
    start = int(model.steps_done)
    model.players["generator"].build()
    model.make_train_function(force=True)
    data = batches(start, stop)
    return [
        {name: float(value) for name, value in model.train_function(data).items()}
        for _ in range(start, stop)
    ]


def state(model):
    return {k: [v.numpy() for v in group] for k, group in model.state().items()}


def assert_equal(one, other):
    for name, values in one.items():
        for a, b in zip(values, other[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def growing():
    keras.utils.set_random_seed(2)
    return Growing()


def test_the_plan_is_that_of_the_stages():
    plan = growing().plan
    assert (plan.total_steps, plan.milestones) == (7, (3,))
    assert Adversarial().plan.total_steps == math.inf
    model = growing()
    assert [model.stage_of(step) for step in range(9)] == [0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_each_stage_has_its_objectives_and_its_fade():
    model = growing()
    before = model.generator.get_layer("fine").get_weights()
    logs = train(model, 3)
    for a, b in zip(before, model.generator.get_layer("fine").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    logs += train(model, 7)
    assert [one["alpha"] for one in logs] == [0, 0, 0, 0, 0.5, 1, 1]
    assert all(one.keys() == {"g_loss", "alpha"} and one["g_loss"] > 0 for one in logs)
    assert int(model.steps_done) == 7


def test_optimizers_start_anew_at_a_border_that_asks_for_it():
    model = growing()
    train(model, 3)
    optimizer = model.coarse.optimizer
    optimizer.learning_rate = 0.05
    assert int(optimizer.iterations) == 3
    moments = [np.abs(v.numpy()).max() for v in optimizer._momentums]
    assert max(moments) > 0
    train(model, 4)
    assert int(optimizer.iterations) == 1
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize("at", range(1, 9))
def test_resuming_is_exact_before_at_and_after_a_border(at, tmp_path):
    """The last stage, which ends at 7, is prolonged."""
    whole = growing()
    train(whole, 9)
    first = growing()
    train(first, at)
    path = checkpoint.save(tmp_path, at, first)
    second = growing()
    checkpoint.load(path, second)
    train(second, 9)
    assert_equal(state(second), state(whole))


def test_only_the_stage_that_is_reached_is_traced():
    model, traced = growing(), []

    def noted(stage):
        def objectives(x, y):
            traced.append(stage.steps)
            return stage.objectives(x, y)

        return stage._replace(objectives=objectives)

    model.stages = tuple(map(noted, model.stages))
    train(model, 3)
    assert traced == [3]
    train(model, 7)
    assert traced == [3, 4]


def test_progress_is_a_function_of_the_step():
    model = growing()
    model.stage = 1
    for done, share in ((3, 0.0), (4, 0.25), (6, 0.75), (7, 1.0), (9, 1.0)):
        model.steps_done.assign(done)
        assert float(ops.convert_to_numpy(model.progress())) == share
