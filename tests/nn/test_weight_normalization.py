"""Weight-normalized layers against NumPy, and their initialization by data."""

from common.nn.layers import GaussianNoise
from common.nn.weight_normalization import WeightNormDense, initialize_by_data

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(1, 2, (400, 7)).astype("float32")


def built(**options):
    keras.utils.set_random_seed(1)
    layer = WeightNormDense(5, **options)
    layer.build(X.shape)
    layer.scale.assign(RANDOM.uniform(0.5, 2, 5))
    layer.bias.assign(RANDOM.normal(size=5))
    return layer


def output(layer, x):
    v = layer.direction.numpy().astype("float64")
    return x @ (v / np.linalg.norm(v, axis=0)) * layer.scale.numpy() + layer.bias.numpy()


def test_weights_are_unit_directions_times_lengths():
    layer = built()
    np.testing.assert_allclose(layer(X), output(layer, X), rtol=1e-4, atol=1e-5)
    layer.direction.assign(3 * layer.direction)  # which does not count
    np.testing.assert_allclose(layer(X), output(layer, X), rtol=1e-4, atol=1e-5)


def test_gradients_of_directions_are_orthogonal_to_them():
    """Equation 3 of the paper: W changes with v by the part orthogonal to it."""
    layer = built(learned_scale=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(X)))
    v, scale = layer.direction.numpy(), layer.scale.numpy()
    of_v, of_scale = tape.gradient(loss, [layer.direction.value, layer.scale.value])
    norm = np.linalg.norm(v, axis=0)
    of_w = X.T @ np.cos(output(layer, X))  # (7, 5)
    expected = (of_w * v / norm).sum(axis=0)
    np.testing.assert_allclose(of_scale, expected, rtol=1e-3, atol=1e-2)
    expected = scale / norm * (of_w - expected * v / norm)
    np.testing.assert_allclose(of_v, expected, rtol=1e-3, atol=1e-1)
    np.testing.assert_allclose((np.asarray(of_v) * v).sum(axis=0), 0, atol=0.05)


@pytest.mark.parametrize("learned", [False, True])
def test_the_lengths_are_trained_only_if_they_are_learned(learned):
    layer = built(learned_scale=learned)
    names = {v.name for v in layer.trainable_variables}
    assert names == {"direction", "bias"} | ({"scale"} if learned else set())
    assert len(layer.variables) == 3


def test_initial_directions_are_those_of_the_authors_code():
    layer = WeightNormDense(300)
    layer.build((None, 200))
    assert np.std(layer.direction) == pytest.approx(0.1, rel=0.02)
    assert (np.asarray(layer.scale) == 1).all() and not np.any(layer.bias)


def network():
    keras.utils.set_random_seed(1)
    x = keras.Input((7,))
    h = keras.layers.ReLU()(WeightNormDense(6)(GaussianNoise(0.3)(x)))
    h = WeightNormDense(4, learned_scale=True)(GaussianNoise(0.5)(h))
    return keras.Model(x, h)


def test_units_are_normalized_on_the_batch_layer_by_layer():
    net = network()
    for layer in net.layers:
        if isinstance(layer, GaussianNoise):
            layer.stddev = 0.0
    initialize_by_data(net, X)
    for layer in net.layers:
        if isinstance(layer, WeightNormDense):
            t = keras.Model(net.input, layer.output)(X).numpy()
            np.testing.assert_allclose(t.mean(axis=0), 0, atol=1e-4)
            np.testing.assert_allclose(t.std(axis=0), 1, rtol=1e-4)


def test_the_noise_of_training_is_on_in_the_initialization():
    net = network()
    initialize_by_data(net, X)
    t = net(X, training=True).numpy()
    np.testing.assert_allclose(t.std(axis=0), 1, rtol=0.15)
    assert (net(X, training=False).numpy().std(axis=0) < 0.9).all()


def test_a_layer_can_be_made_again_from_its_configuration():
    layer = built(learned_scale=True, kernel_initializer="glorot_uniform")
    again = WeightNormDense.from_config(layer.get_config())
    assert (again.units, again.learned_scale) == (5, True)
    assert isinstance(again.kernel_initializer, keras.initializers.GlorotUniform)


def test_mixed_precision_normalizes_in_float32():
    layer = WeightNormDense(5, dtype="mixed_float16")
    layer.build(X.shape)
    layer.direction.assign(1e-3 * layer.direction)  # whose squares vanish in float16
    assert layer(X).dtype == tf.float16
    np.testing.assert_allclose(layer(X), output(layer, X), rtol=2e-2, atol=2e-2)
