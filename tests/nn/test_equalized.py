"""Equalized layers against NumPy: scales at run time, multipliers, fused changes of resolution."""

from common.nn.equalized import GAIN, Bias, EqualizedConv2D, EqualizedDense

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 6, 3)).astype("float32")


def built(layer, shape):
    keras.utils.set_random_seed(1)
    layer.build(shape)
    if layer.bias is not None:
        layer.bias.assign(RANDOM.normal(size=layer.bias.shape))
    return layer


def convolved(x, kernel):
    """Zero padding, one position after the other."""
    p = kernel.shape[0] // 2
    padded = np.pad(x.astype("float64"), [(0, 0), (p, p), (p, p), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows, kernel)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
@pytest.mark.parametrize("gain", [GAIN, 1.0])
@pytest.mark.parametrize(
    ("layer_of", "shape", "fan_in"),
    [
        (lambda **given: EqualizedDense(300, **given), (None, 200), 200),
        (lambda **given: EqualizedConv2D(64, 3, **given), (None, 4, 4, 64), 9 * 64),
    ],
)
def test_the_scale_at_run_time(layer_of, shape, fan_in, gain, multiplier):
    layer = built(layer_of(gain=gain, lr_multiplier=multiplier), shape)
    assert layer.kernel.numpy().std() == pytest.approx(1 / multiplier, rel=0.02)
    used = layer.scaled_kernel().numpy()
    assert used.std() == pytest.approx(gain / np.sqrt(fan_in), rel=0.02)
    assert used.mean() == pytest.approx(0, abs=0.02 * float(used.std()))


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_a_dense_layer_against_numpy(multiplier):
    layer = built(EqualizedDense(5, gain=0.7, lr_multiplier=multiplier, bias=1.0), (None, 3))
    x = X.reshape(-1, 3)
    kernel = layer.kernel.numpy() * 0.7 / np.sqrt(3) * multiplier
    expected = x @ kernel + multiplier * layer.bias.numpy()
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_an_initial_bias_is_given_as_it_is_used():
    layer = EqualizedDense(5, lr_multiplier=0.01, bias=1.0)
    layer.build((None, 3))
    np.testing.assert_allclose(layer(np.zeros((1, 3))), np.ones((1, 5)), rtol=1e-6)


def test_the_multiplier_is_that_of_the_step():
    """A step of a given size on the stored weights changes the output m times as much."""
    steps = []
    for multiplier in (1.0, 0.01):
        layer = built(EqualizedDense(5, lr_multiplier=multiplier), (None, 3))
        x = X.reshape(-1, 3)
        before = layer(x).numpy()
        for variable in (layer.kernel, layer.bias):
            variable.assign_add(tf.ones(variable.shape))
        steps.append(layer(x).numpy() - before)
    np.testing.assert_allclose(steps[1], 0.01 * steps[0], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("size", [1, 3])
def test_a_convolution_against_numpy(size):
    layer = built(EqualizedConv2D(5, size), X.shape)
    kernel = layer.kernel.numpy() * np.sqrt(2 / (size * size * 3))
    expected = convolved(X, kernel) + layer.bias.numpy()
    np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-5)


def test_a_convolution_fused_with_doubling_against_numpy():
    layer = built(EqualizedConv2D(5, 3, "up"), X.shape)
    doubled = X.repeat(2, axis=1).repeat(2, axis=2)
    expected = convolved(doubled, layer.scaled_kernel().numpy()) + layer.bias.numpy()
    assert layer.compute_output_shape(X.shape) == expected.shape
    np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-5)


def test_a_convolution_fused_with_halving_against_numpy():
    layer = built(EqualizedConv2D(5, 3, "down"), X.shape)
    fine = convolved(X, layer.scaled_kernel().numpy())
    expected = fine.reshape(2, 2, 2, 3, 2, 5).mean(axis=(2, 4)) + layer.bias.numpy()
    assert layer.compute_output_shape(X.shape) == expected.shape
    np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-5)


def squared_slopes(layer, x):
    """The gradient by the kernel of the squared gradient by x, as penalties have it."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf.square(layer(x)))
        loss = tf.reduce_sum(tf.square(tf.cast(inner.gradient(y, x), tf.float32)))
    return outer.gradient(loss, layer.kernel.value)


@pytest.mark.parametrize("resample", [None, "up", "down"])
def test_second_gradients_under_xla(resample):
    layer, x = built(EqualizedConv2D(5, 3, resample), X.shape), tf.constant(X)
    compiled = tf.function(squared_slopes, jit_compile=True)(layer, x)
    plain = squared_slopes(layer, x)
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())
    assert np.abs(plain).max() > 0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("resample", [None, "up", "down"])
def test_mixed_precision(policy, resample):
    """Stored weights of 1 / m, 10,000 times those used, are no less precise."""
    options = {"filters": 5, "kernel_size": 3, "resample": resample, "lr_multiplier": 1e-4}
    mixed = built(EqualizedConv2D(dtype=policy, **options), X.shape)
    exact = built(EqualizedConv2D(**options), X.shape)
    for one, other in zip(mixed.weights, exact.weights, strict=True):
        one.assign(other)
        assert one.dtype == "float32"
    y = mixed(X)
    assert y.dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tf.cast(y, tf.float32), exact(X), rtol=0.05, atol=0.05)


def test_a_bias_is_that_of_a_channel():
    layer = Bias()
    layer.build(X.shape)
    np.testing.assert_array_equal(layer(X), X)
    layer.bias.assign([1, 2, 3])
    np.testing.assert_allclose(layer(X), X + np.array([1, 2, 3]), rtol=1e-5)


@pytest.mark.parametrize(
    "layer", [EqualizedDense(5, bias=1.0), EqualizedConv2D(5, 3, "up", gain=1)]
)
def test_the_configuration_makes_the_layer_again(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
