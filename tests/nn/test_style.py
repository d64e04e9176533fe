"""Layers of style-based generators against NumPy, under XLA and in mixed precision."""

from common.nn import style
from tests.helpers.models import randomize

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 6, 5, 2)).astype(np.float32)
TOLERANCES = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}
MODES = [(policy, jit) for policy in TOLERANCES for jit in (False, True)]


def called(layer, *inputs, jit=False, **options):
    return tf.function(lambda *x: layer(*x, **options), jit_compile=jit)(*inputs).numpy()


@pytest.mark.parametrize(("policy", "jit"), MODES)
def test_blur_is_a_convolution_over_zeros(policy, jit):
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = sum(
        kernel[i, j] * padded[:, i : i + 6, j : j + 5] for i in range(3) for j in range(3)
    )
    tolerance = TOLERANCES[policy]
    y = called(style.Blur(dtype=policy), X, jit=jit)
    np.testing.assert_allclose(y.astype(np.float32), expected, atol=tolerance)


@pytest.mark.parametrize("jit", [False, True])
def test_blur_has_the_derivatives_of_the_convolution(jit):
    """Of sum(blur(x)^3) = sum((A x)^3): the gradient is 3 A' (A x)^2, and then once more."""
    kernel = tf.constant(np.outer([1, 2, 1], [1, 2, 1])[:, :, None, None] / 16, tf.float32)
    kernel = tf.tile(kernel, (1, 1, 2, 1))

    def second(blur):
        def derivative(x):
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = tf.reduce_sum(blur(x) ** 3)
                norm = tf.reduce_sum(tape.gradient(y, x) ** 2)
            return outer.gradient(norm, x)

        return derivative

    one = called(second(style.Blur()), X, jit=jit)
    other = second(lambda x: tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "SAME"))(tf.constant(X))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("policy", "jit"), MODES)
def test_adain_gives_each_map_the_mean_and_deviation_of_the_style(policy, jit):
    s, b = RANDOM.normal(size=(2, 3, 2)).astype(np.float32)
    x = 5.0 + 0.1 * X
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-8) * (1 + s[:, None, None]) + b[:, None, None]
    layer = style.AdaptiveInstanceNormalization(dtype=policy)
    y = called(layer, [x, np.concatenate([s, b], axis=1)], jit=jit).astype(np.float32)
    if policy == "float32":
        np.testing.assert_allclose(y, expected, atol=1e-4)
    else:  # x itself is rounded
        np.testing.assert_allclose(y.mean(axis=(1, 2)), b, atol=0.05)
        np.testing.assert_allclose(y.std(axis=(1, 2)), np.abs(1 + s), atol=0.05)


def noisy(weight=(0.5, -2.0), policy="float32"):
    layer = style.NoiseInjection(dtype=policy)
    layer.build(X.shape)
    layer.weight.assign(weight)
    return layer


@pytest.mark.parametrize("training", [False, True])
def test_noise_changes_nothing_at_first(training):
    layer = style.NoiseInjection()
    np.testing.assert_array_equal(layer(X, training=training), X)
    assert [v.path.split("/")[-1] for v in layer.trainable_variables] == ["weight"]


@pytest.mark.parametrize(("policy", "jit"), MODES)
def test_training_adds_a_map_for_each_image_times_a_weight_for_each_channel(policy, jit):
    layer, tolerance = noisy(policy=policy), 10 * TOLERANCES[policy]
    added = called(layer, X, jit=jit, training=True).astype(np.float32) - X
    np.testing.assert_allclose(added[..., 1], -4 * added[..., 0], atol=tolerance)
    maps = added[..., 1] / -2
    assert 0.7 < maps.std() < 1.3
    assert np.abs(maps[0] - maps[1]).max() > 0.5
    again = called(layer, X, jit=jit, training=True).astype(np.float32) - X
    assert np.abs(again - added).max() > 0.5


def network():
    x = keras.Input((6, 5, 2))
    layers = style.NoiseInjection(), style.NoiseInjection()
    made = keras.Model(x, layers[1](layers[0](x)))
    for layer in layers:
        layer.weight.assign([1.0, 1.0])
    return made, layers


def test_fixed_noise_is_a_function_of_seed_and_layer():
    made, (one, other) = network()
    np.testing.assert_array_equal(made(X, training=False), X)
    style.fix_noise(made, 3)
    images = made(X, training=False).numpy()
    np.testing.assert_allclose(made(X[1:2], training=False), images[1:2], atol=1e-6)
    assert np.abs(one.map.numpy() - other.map.numpy()).max() > 0.5
    twin, _ = network()
    style.fix_noise(twin, 3)
    np.testing.assert_array_equal(twin(X, training=False), images)
    style.fix_noise(twin, 4)
    assert np.abs(twin(X, training=False) - images).max() > 0.5
    style.fix_noise(twin, None)
    np.testing.assert_array_equal(twin(X, training=False), X)


@pytest.mark.parametrize(("policy", "jit"), MODES)
def test_the_running_mean_after_some_passes(policy, jit):
    layer, mean = style.RunningMean(rate=0.9, dtype=policy), np.zeros(4)
    batches = RANDOM.normal(1.0, 1.0, (5, 8, 4)).astype(np.float32)
    layer.build((None, 4))
    for w in batches:
        passed = called(layer, w, jit=jit, training=True)
        np.testing.assert_allclose(passed.astype(np.float32), w, atol=TOLERANCES[policy])
        mean = 0.9 * mean + 0.1 * w.mean(axis=0)
    called(layer, 10 * w, jit=jit)  # inference leaves it
    np.testing.assert_allclose(layer.mean, mean, atol=TOLERANCES[policy])
    assert not layer.trainable_variables


def test_a_constant_is_one_for_each_sample_and_learned():
    layer = style.Constant((2, 3))
    np.testing.assert_array_equal(layer(X), np.ones((3, 2, 3)))
    randomize(layer)
    y = layer(X).numpy()
    np.testing.assert_array_equal(y, np.stack([layer.value.numpy()] * 3))
    assert len(layer.trainable_variables) == 1
