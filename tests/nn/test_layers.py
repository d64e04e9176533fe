"""Layers in training and at inference, compared with NumPy and Keras' own layers."""

from functools import partial

from common.nn.layers import (
    BatchNormalization,
    Dropout,
    InstanceNormalization,
    PixelShuffle,
    ReflectionPadding,
    SkipLeakyReLU,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

X = np.random.default_rng(1).normal(2, 3, (3, 6, 5, 4)).astype("float32")


def built(layer):
    layer.build(X.shape)
    return layer


def test_training_normalises_by_batch_statistics():
    layer = built(BatchNormalization(gamma_initializer="ones"))
    mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
    expected = (X - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(layer(X, training=True), expected, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)


@pytest.mark.parametrize("jit", [None, True])
@pytest.mark.parametrize("shape", [(3, 6, 5, 4), (1, 4, 4, 2), (2, 1, 1, 3), (8, 5)])
def test_training_equals_keras_in_value_gradient_and_averages(shape, jit):
    random = np.random.default_rng(2)
    ours = BatchNormalization(gamma_initializer=keras.initializers.RandomNormal(1.0, 0.1, seed=3))
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    x, weight = (tf.constant(random.normal(1, 2, shape), tf.float32) for _ in range(2))
    ours.build(shape)
    theirs.build(shape)
    theirs.set_weights(ours.get_weights())

    @partial(tf.function, jit_compile=jit)
    def outputs(layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(weight * y**2)
        return y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    for our, their in zip(outputs(ours), outputs(theirs), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-4, atol=1e-4)
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-6)


def test_inference_by_image_normalises_each_image_and_changes_no_state():
    layer = built(BatchNormalization("image", gamma_initializer="ones"))
    before = [v.numpy() for v in layer.variables]
    expected = (X - X.mean((1, 2), keepdims=True)) / np.sqrt(X.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(X, training=False), expected, atol=1e-5)
    np.testing.assert_allclose(layer(X[1:2], training=False)[0], expected[1], atol=1e-5)
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_at_batch_size_one_inference_by_image_equals_training():
    layer = built(BatchNormalization("image"))
    inference = layer(X[:1], training=False)
    np.testing.assert_allclose(layer(X[:1], training=True), inference, atol=1e-5)


def test_inference_by_moving_averages_equals_keras():
    ours = built(BatchNormalization("moving"))
    theirs = built(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
    theirs.set_weights(ours.get_weights())
    for layer in (ours, theirs):
        layer(X, training=True)
    np.testing.assert_allclose(ours(X, training=False), theirs(X, training=False), atol=1e-6)


def test_unknown_statistics_are_refused():
    with pytest.raises(ValueError, match="'image' or 'moving'"):
        BatchNormalization("batch")


def test_gamma_starts_around_one():
    gamma = BatchNormalization()
    gamma.build((None, 4, 4, 4096))
    assert np.mean(gamma.gamma) == pytest.approx(1, abs=0.002)
    assert np.std(gamma.gamma) == pytest.approx(0.02, rel=0.1)


def test_dropout_stays_on_at_inference_with_one_mask_for_all_images():
    layer = Dropout(0.5, inference_seed=7)
    state = layer.seed_generator.state.numpy()
    ones = np.ones((5, 16, 16, 8), "float32")
    first = np.asarray(layer(ones, training=False))
    assert set(np.unique(first)) == {0.0, 2.0}  # kept units are scaled by 1 / (1 - rate)
    assert np.mean(first) == pytest.approx(1, abs=0.1)
    for image in first:
        np.testing.assert_array_equal(image, first[0])
    np.testing.assert_array_equal(layer(ones, training=False), first)
    np.testing.assert_array_equal(layer.seed_generator.state, state)


def test_different_seeds_drop_different_units():
    ones = np.ones((1, 16, 16, 8), "float32")
    masks = [np.asarray(Dropout(0.5, inference_seed=s)(ones, training=False)) for s in (0, 1)]
    assert (masks[0] != masks[1]).mean() > 0.3


def test_dropout_without_inference_seed_is_off_at_inference():
    np.testing.assert_array_equal(Dropout(0.5)(X, training=False), X)


def test_dropout_in_training_differs_between_calls_and_images():
    layer, ones = Dropout(0.5, inference_seed=7), np.ones((2, 16, 16, 8), "float32")
    first, second = (np.asarray(layer(ones, training=True)) for _ in range(2))
    assert (first != second).any()
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("training", [False, True])
def test_instance_normalisation(training):
    layer = InstanceNormalization()
    expected = (X - X.mean((1, 2), keepdims=True)) / np.sqrt(X.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(X, training=training), expected, atol=1e-5)
    np.testing.assert_allclose(layer(X[1:2], training=training)[0], expected[1], atol=1e-5)
    assert not layer.variables
    one_pixel = np.full((1, 1, 1, 2), 7, "float32")
    np.testing.assert_array_equal(layer(one_pixel), np.zeros_like(one_pixel))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_affine_instance_normalisation_scales_and_shifts_each_channel(dtype):
    layer = InstanceNormalization(affine=True, dtype=dtype)
    layer(X)
    gamma, beta = layer.variables
    assert gamma.shape == beta.shape == (4,) and gamma.dtype == beta.dtype == "float32"
    assert 0 < np.abs(gamma - 1).max() < 0.1 and not np.any(beta)
    layer.set_weights([np.float32([1, 2, 3, 4]), np.float32([5, 6, 7, 8])])
    expected = (X - X.mean((1, 2), keepdims=True)) / np.sqrt(X.var((1, 2), keepdims=True) + 1e-5)
    expected = expected * [1, 2, 3, 4] + [5, 6, 7, 8]
    tolerance = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(layer(X), expected, atol=tolerance)
    np.testing.assert_allclose(layer(X[1:2])[0], expected[1], atol=tolerance)


def test_instance_normalisation_computes_statistics_in_float32():
    """In half precision a variance of 1 would be lost beside a mean of 1000, or overflow."""
    layer = InstanceNormalization(dtype="float16")
    x = (1000 + 8 * np.random.default_rng(0).normal(size=(1, 64, 64, 1))).astype("float16")
    y = np.asarray(layer(x), "float32")
    assert y.std() == pytest.approx(1, abs=0.01) and abs(y.mean()) < 0.01
    assert layer(x).dtype == "float16"


@pytest.mark.parametrize("padding", [1, 3])
def test_reflection_padding_equals_numpy(padding):
    layer = ReflectionPadding(padding)
    around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    np.testing.assert_array_equal(layer(X), np.pad(X, around, mode="reflect"))
    assert layer.compute_output_shape((None, None, 5, 4)) == (None, None, 5 + 2 * padding, 4)


@pytest.mark.parametrize(
    "layer",
    [
        BatchNormalization("image"),
        Dropout(0.3, inference_seed=3),
        InstanceNormalization(epsilon=1e-3),
        InstanceNormalization(affine=True),
        ReflectionPadding(2),
    ],
    ids=lambda x: x.name,
)
def test_layers_can_be_restored_from_their_configuration(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("factor", [2, 3])
def test_pixel_shuffle_turns_channels_into_blocks(factor):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, factor**2 * 3)).astype("float32")
    expected = np.empty((2, 4 * factor, 5 * factor, 3), "float32")
    for dy in range(factor):
        for dx in range(factor):
            first = (dy * factor + dx) * 3
            expected[:, dy::factor, dx::factor] = x[..., first : first + 3]
    np.testing.assert_array_equal(PixelShuffle(factor)(x), expected)
    free = PixelShuffle(factor)(keras.Input((None, 5, factor**2 * 3)))
    assert free.shape == (None, None, 5 * factor, 3)
    assert PixelShuffle.from_config(PixelShuffle(factor).get_config()).factor == factor


def test_the_leaky_relu_of_a_skip_connection_is_keras_own_and_at_inference_a_choice():
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 3, 4)), tf.float32)
    layer, own = SkipLeakyReLU(0.2), keras.layers.LeakyReLU(0.2)
    for training in (True, False):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            made, expected = layer(x, training=training), own(x)
        np.testing.assert_array_equal(made, expected)
        np.testing.assert_array_equal(tape.gradient(made, x), tape.gradient(expected, x))
    for training, used in ((True, True), (False, False)):
        graph = tf.function(lambda x, training=training: layer(x, training=training))
        ops = {each.type for each in graph.get_concrete_function(x).graph.get_operations()}
        assert ("LeakyRelu" in ops) == used
