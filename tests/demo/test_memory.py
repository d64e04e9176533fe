"""Models are loaded once for a demo, and each call finds them as they were loaded."""

from types import SimpleNamespace

from common.demo.memory import keep_models
from tests.helpers.gan_runs import make_model

import numpy as np


class Task:
    """Its loader counts; what it loads can be changed."""

    def __init__(self):
        self.loaded = []

    def sampler(self, run, checkpoint):
        self.loaded.append((run, checkpoint))
        return SimpleNamespace(model=make_model(conditional=False, channels=1))


def test_a_model_is_loaded_once_for_each_checkpoint():
    task = Task()
    keep_models(task)
    first = task.sampler("run", "latest")
    assert task.sampler("run", "latest") is first
    assert task.sampler("run", "best") is not first
    assert task.loaded == [("run", "latest"), ("run", "best")]


def test_what_a_call_sets_is_reset_and_trained_weights_are_left_alone():
    task = Task()
    keep_models(task)
    (network,) = task.sampler("run", "latest").model.sampling_networks
    before = [w.numpy() for w in network.weights]
    assert network.non_trainable_variables
    for variable in network.non_trainable_variables:
        variable.assign(variable + 1)
    task.sampler("run", "latest")
    for weight, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
