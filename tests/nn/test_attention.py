"""Self-attention against NumPy."""

from common.nn.attention import SelfAttention

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 6, 16)).astype("float32")


def attention(gamma=0.0, **options):
    keras.utils.set_random_seed(2)
    layer = SelfAttention(**options)
    layer.build(X.shape)
    layer.gamma.assign(gamma)
    return layer


def by_numpy(layer, x):
    def conv(part, h):
        return h @ part.normalized_kernel(False).numpy()[0, 0].astype("float64")

    def pooled(h):
        b, height, width, c = h.shape
        return h.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4)).reshape(b, -1, c)

    b, height, width, _ = x.shape
    theta = conv(layer.theta, x).reshape(b, height * width, -1)
    logits = theta @ pooled(conv(layer.phi, x)).transpose(0, 2, 1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    o = (weights @ pooled(conv(layer.g, x))).reshape(b, height, width, -1)
    return weights, x + layer.gamma.numpy() * conv(layer.out, o)


def test_it_is_the_identity_at_first():
    layer = attention()
    assert np.array_equal(layer(X), X)
    assert layer.gamma.shape == () and layer.gamma.trainable


def test_the_output_and_the_weights_are_those_of_the_paper():
    layer = attention(0.7)
    weights, y = by_numpy(layer, X.astype("float64"))
    assert weights.shape == (2, 24, 6)
    np.testing.assert_allclose(layer.attention(X), weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer(X), y, rtol=1e-4, atol=1e-4)


def test_channels_and_parameters():
    layer = attention()
    units = [part.units for part in (layer.theta, layer.phi, layer.g, layer.out)]
    assert units == [2, 2, 8, 16]
    assert sum(v.numpy().size for v in layer.trainable_variables) == 16 * (2 + 2 + 8) + 8 * 16 + 1


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_xla_and_mixed_precision_agree_with_float32(policy):
    exact, layer = attention(0.7), attention(0.7, dtype=policy)
    result = tf.function(layer, jit_compile=True)(X)
    assert result.dtype == layer.compute_dtype
    tolerance = {"float32": 1e-4, "mixed_float16": 5e-3, "mixed_bfloat16": 5e-2}[policy]
    result = tf.cast(result, tf.float32)
    np.testing.assert_allclose(result, exact(X), rtol=tolerance, atol=tolerance)
    weights = layer.attention(tf.cast(X, layer.compute_dtype))
    assert weights.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), 1, atol=1e-5)


def test_odd_sides_are_refused():
    with pytest.raises(ValueError, match="even sides, not 5x4"):
        SelfAttention().build((None, 5, 4, 8))
