"""Spectrally normalized layers against singular values and against finite differences."""

from common.nn.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding
from common.players import kept

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 6, 6, 5)).astype("float32")


def conv(**options):
    keras.utils.set_random_seed(1)
    layer = SpectralConv2D(7, **options)
    layer.build(X.shape)
    return layer


def sigma_of(kernel) -> float:
    matrix = np.asarray(kernel, "float64").reshape(-1, kernel.shape[-1])
    return np.linalg.svd(matrix, compute_uv=False)[0]


def converged(layer, x=X, passes=200):
    layer(x)  # which builds it
    iterate = tf.function(lambda: layer.normalized_kernel(True))
    for _ in range(passes):
        iterate()
    return layer


@pytest.mark.parametrize("initializer", ["glorot_uniform", "orthogonal"])
def test_the_largest_singular_value_becomes_1(initializer):
    layer = converged(conv(kernel_initializer=initializer), passes=50)
    assert sigma_of(layer.normalized_kernel(False).numpy()) == pytest.approx(1, abs=0.02)


def test_a_convolution_is_keras_own_with_the_divided_kernel():
    layer = converged(conv())
    layer.bias.assign(RANDOM.normal(size=7))
    kernel = layer.kernel.numpy()
    expected = tf.nn.conv2d(X, kernel / sigma_of(kernel), 1, "SAME") + layer.bias.numpy()
    np.testing.assert_allclose(layer(X), expected, rtol=1e-3, atol=1e-4)
    assert np.array_equal(layer.kernel.numpy(), kernel)  # never overwritten


def test_a_dense_layer_and_an_embedding_multiply_by_the_divided_kernel():
    dense, embedding = SpectralDense(3), SpectralEmbedding(4)
    x, classes = RANDOM.normal(size=(5, 6)).astype("float32"), np.eye(5, dtype="float32")
    converged(dense, x), converged(embedding, classes)
    dense.bias.assign([1.0, 2.0, 3.0])
    w = dense.kernel.numpy()
    np.testing.assert_allclose(dense(x), x @ (w / sigma_of(w)) + [1, 2, 3], rtol=1e-3, atol=1e-4)
    table = embedding.kernel.numpy()
    np.testing.assert_allclose(embedding(classes), table / sigma_of(table), rtol=1e-3, atol=1e-5)
    assert embedding.bias is None


def test_one_pass_is_one_power_iteration():
    layer = conv()
    w, u = layer.kernel.numpy().reshape(-1, 7), layer.u.numpy()
    v = u @ w.T / np.linalg.norm(u @ w.T)
    after = v @ w / np.linalg.norm(v @ w)
    sigma = (v @ w @ after.T).item()
    np.testing.assert_allclose(
        layer.normalized_kernel(True), layer.kernel.numpy() / sigma, rtol=1e-4
    )
    np.testing.assert_allclose(layer.u, after, rtol=1e-4, atol=1e-6)


def test_u_changes_in_training_alone_and_not_where_it_is_kept():
    layer = conv()
    before = layer.u.numpy()
    layer(X), layer(X, training=False)
    with kept(layer.non_trainable_weights):
        layer(X, training=True)
    assert np.array_equal(layer.u.numpy(), before)
    layer(X, training=True)
    assert not np.array_equal(layer.u.numpy(), before)


def test_the_gradient_has_u_and_v_as_constants():
    """Finite differences of W / (v W u'), with v and u' from the unchanged W."""
    layer = conv(use_bias=False)
    w, u = layer.kernel.numpy().astype("float64"), layer.u.numpy().astype("float64")
    m = w.reshape(-1, 7)
    v = u @ m.T / np.linalg.norm(u @ m.T)
    u = v @ m / np.linalg.norm(v @ m)
    factor = RANDOM.normal(size=w.shape)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer.normalized_kernel(False) * tf.constant(factor, tf.float32))
    gradient = tape.gradient(value, layer.kernel.value).numpy()

    def loss(kernel):
        return (factor * kernel).sum() / (v @ kernel.reshape(-1, 7) @ u.T).item()

    for place in [(0, 0, 0, 0), (1, 2, 3, 4), (2, 1, 4, 6)]:
        step = np.zeros_like(w)
        step[place] = 1e-5
        slope = (loss(w + step) - loss(w - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_xla_and_mixed_precision_agree_with_float32(policy):
    exact, layer = conv(), conv(dtype=policy)
    call = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    tolerance = {"float32": 1e-4, "mixed_float16": 5e-3, "mixed_bfloat16": 5e-2}[policy]
    result = tf.cast(call(X), tf.float32)
    np.testing.assert_allclose(result, exact(X, training=True), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(layer.u, exact.u, rtol=1e-3, atol=1e-5)  # in float32 always
    assert call(X).dtype == layer.compute_dtype


def test_the_layers_are_restored_from_their_configuration():
    for layer in (SpectralConv2D(7, kernel_size=1), SpectralDense(3), SpectralEmbedding(3)):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
