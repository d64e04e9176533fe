"""Conditional batch normalization against NumPy."""

from common.nn.conditional_normalization import ConditionalBatchNormalization
from common.nn.weight_average import estimate_statistics, normalizations

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(2, 3, (6, 4, 4, 5)).astype("float32")
CLASSES = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
VECTORS = RANDOM.normal(size=(6, 8)).astype("float32")


def normalization(by, condition, **options):
    keras.utils.set_random_seed(3)
    layer = ConditionalBatchNormalization(by, **options)
    layer.build([X.shape, condition.shape])
    return layer


def standardized(x=X):
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return (x - mean) / np.sqrt(variance + 1e-5)


def test_each_class_has_its_gain_and_bias():
    layer = normalization("class", CLASSES)
    assert (layer.gains.numpy() == 1).all() and (layer.biases.numpy() == 0).all()
    np.testing.assert_allclose(layer([X, CLASSES], training=True), standardized(), atol=1e-4)
    gains, biases = RANDOM.normal(size=(2, 3, 5))
    layer.gains.assign(gains), layer.biases.assign(biases)
    expected = standardized() * (CLASSES @ gains)[:, None, None]
    expected += (CLASSES @ biases)[:, None, None]
    np.testing.assert_allclose(layer([X, CLASSES], training=True), expected, atol=1e-4)


def test_a_vector_gives_gains_around_1_and_biases_around_0():
    layer = normalization("vector", VECTORS, spectral={"kernel_initializer": "orthogonal"})
    gain, bias = layer.to_gain, layer.to_bias
    expected = standardized() * (1 + gain(VECTORS).numpy())[:, None, None]
    expected += bias(VECTORS).numpy()[:, None, None]
    u = gain.u.numpy()
    np.testing.assert_allclose(layer([X, VECTORS], training=True), expected, rtol=1e-4, atol=1e-4)
    assert not np.array_equal(gain.u.numpy(), u)
    assert gain.bias is None and bias.bias is None
    nothing = np.zeros_like(VECTORS)
    np.testing.assert_allclose(layer([X, nothing], training=True), standardized(), atol=1e-4)


def test_moving_statistics_serve_inference_and_are_estimated_with_the_others():
    x, c = keras.Input(X.shape[1:]), keras.Input((3,))
    network = keras.Model([x, c], ConditionalBatchNormalization(momentum=0.999)([x, c]))
    (layer,) = normalizations(network)
    estimate_statistics(network, [[X, CLASSES], [X + 2, CLASSES]])
    assert layer.momentum == 0.999
    mean = X.mean(axis=(0, 1, 2)) + 1
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4)
    expected = (X - mean) / np.sqrt(X.var(axis=(0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(network([X, CLASSES], training=False), expected, atol=1e-3)
    alone = network([X[2:3], CLASSES[2:3]], training=False)  # of the others independent
    np.testing.assert_allclose(alone, expected[2:3], atol=1e-3)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("by,condition", [("class", CLASSES), ("vector", VECTORS)])
def test_xla_and_mixed_precision_agree_with_float32(policy, by, condition):
    exact = normalization(by, condition)([X, condition], training=True)
    layer = normalization(by, condition, dtype=policy)
    inputs = [tf.cast(X, layer.compute_dtype), tf.constant(condition)]
    result = tf.function(lambda x: layer(x, training=True), jit_compile=True)(inputs)
    assert result.dtype == layer.compute_dtype
    tolerance = {"float32": 1e-4, "mixed_float16": 1e-2, "mixed_bfloat16": 5e-2}[policy]
    result = tf.cast(result, tf.float32)
    np.testing.assert_allclose(result, exact, rtol=tolerance, atol=tolerance)


def test_it_is_restored_from_its_configuration():
    layer = ConditionalBatchNormalization("vector", momentum=0.5, spectral={"eps": 1e-6})
    config = layer.get_config()
    assert ConditionalBatchNormalization.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="not 'label'"):
        ConditionalBatchNormalization("label")
