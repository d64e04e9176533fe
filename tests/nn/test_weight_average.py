"""Moving statistics estimated anew: the means of batch statistics, and nothing else changes."""

from common.nn import weight_average
from common.nn.layers import BatchNormalization, Dropout

import keras
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)


def network(**options):
    keras.utils.set_random_seed(1)
    x = keras.Input((4, 4, 3))
    h = BatchNormalization(**options)(keras.layers.Conv2D(5, 3)(x))
    h = Dropout(0.5)(keras.layers.Flatten()(h))
    h = BatchNormalization(momentum=0.7)(keras.layers.Dense(2)(h))
    return keras.Model(x, h)


def batches(count):
    return [RANDOM.normal(1, 2, (8, 4, 4, 3)).astype("float32") for _ in range(count)]


def norms(net):
    return [layer for layer in net.layers if isinstance(layer, BatchNormalization)]


@pytest.mark.parametrize("count", [1, 5])
def test_statistics_are_the_means_over_batches(count):
    net, inputs = network(), batches(count)
    first = norms(net)[0]
    maps = keras.Model(net.input, net.layers[1].output)
    of_batches = [np.asarray(maps(x)) for x in inputs]
    for _ in range(2):  # whatever they were before
        weight_average.estimate_statistics(net, inputs)
        mean = np.mean([m.mean(axis=(0, 1, 2)) for m in of_batches], axis=0)
        variance = np.mean([m.var(axis=(0, 1, 2)) for m in of_batches], axis=0)
        np.testing.assert_allclose(first.moving_mean, mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-4)


def test_nothing_else_changes():
    net = network()
    statistics = {id(v) for layer in norms(net) for v in layer.non_trainable_variables}
    others = [v for v in net.variables if id(v) not in statistics]
    assert any("seed" in v.path for v in others)
    before = [v.numpy() for v in others]
    weight_average.estimate_statistics(net, batches(3))
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert [layer.momentum for layer in norms(net)] == [0.9, 0.7]


def test_layers_that_use_each_images_statistics_are_left_out():
    net = network(inference_statistics="image")
    assert len(weight_average.normalizations(net)) == 1
    assert len(weight_average.normalizations(network())) == 2
