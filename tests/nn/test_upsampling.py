"""Layers that double the sides, compared with compositions of Keras' own."""

from common.nn.upsampling import DoublingConvolution, ResizeConvolution, upsample

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 5, 2)).astype("float32")


def result_and_gradients(network, **options):
    """y, and the gradients of a weighted sum of it for the input and each weight."""
    given = tf.constant(X)
    weights = tf.constant(np.random.default_rng(1).normal(size=network(X).shape), tf.float32)

    @tf.function(**options)
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = network(given)
            loss = tf.reduce_sum(weights * tf.cast(y, tf.float32))
        return [y, *tape.gradient(loss, [given, *network.trainable_variables])]

    return compute()


def assert_alike(ours, theirs, tolerance):
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        apart = np.abs(np.float32(one) - np.float32(other)).max()
        assert apart < tolerance * np.abs(np.float32(other)).max()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("sides", [(4, 5), (None, None)])
def test_a_doubling_convolution_equals_a_cropped_one(policy, sides):
    keras.config.set_dtype_policy(policy)
    x = keras.Input((*sides, 2))
    doubling = keras.Model(x, DoublingConvolution(3)(x))
    cropped = keras.layers.Conv2DTranspose(3, 3, strides=2, use_bias=False)
    cropped = keras.Model(x, keras.layers.Cropping2D(((1, 0), (1, 0)))(cropped(x)))
    cropped.set_weights(doubling.get_weights())
    assert doubling.output_shape == cropped.output_shape
    tolerance = 1e-5 if policy == "float32" else 0.1
    assert_alike(result_and_gradients(doubling), result_and_gradients(cropped), tolerance)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    ("interpolation", "kernel"), [("nearest", 3), ("nearest", 5), ("bilinear", 3)]
)
def test_a_resize_convolution_equals_keras_own_two_layers(interpolation, kernel, policy, jit):
    keras.config.set_dtype_policy(policy)
    x = keras.Input((4, 5, 2))
    ours = keras.Model(x, ResizeConvolution(3, kernel, interpolation, activation="elu")(x))
    resized = keras.layers.UpSampling2D(2, interpolation=interpolation)(x)
    two = keras.layers.Conv2D(3, kernel, padding="same", activation="elu")(resized)
    two = keras.Model(x, two)
    ours.set_weights([RANDOM.normal(size=w.shape) for w in ours.get_weights()])
    two.set_weights(ours.get_weights())
    assert ours.output_shape == two.output_shape
    tolerance = 1e-5 if policy == "float32" else 0.1
    compiled = result_and_gradients(ours, jit_compile=jit)
    assert_alike(compiled, result_and_gradients(two), tolerance)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
def test_sides_unknown_until_served(upsampling, tmp_path):
    x = keras.Input((None, None, 2))
    network = keras.Model(x, upsample(x, 3, upsampling))
    assert network.output_shape == (None, None, None, 3)
    network.export(tmp_path, verbose=False)
    saved = tf.saved_model.load(tmp_path)
    for given in (X, X[:1, :2]):
        np.testing.assert_allclose(saved.serve(given), network(given), atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_a_constant_map_stays_constant_but_at_the_border(upsampling):
    """What a transposed convolution with these initial weights does not do."""
    x = keras.Input((6, 6, 1))
    flat = np.ones((1, 6, 6, 1), "float32")
    resized = keras.Model(x, upsample(x, 1, upsampling))(flat)
    assert np.ptp(resized[0, 1:-1, 1:-1]) < 1e-6
    transposed = keras.Model(x, upsample(x, 1, "transposed"))(flat)
    assert np.ptp(transposed[0, 1:-1, 1:-1]) > 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        DoublingConvolution(4, kernel_initializer="ones"),
        ResizeConvolution(4, 3, "bilinear", use_bias=False),
    ],
    ids=lambda x: x.name,
)
def test_layers_can_be_restored_from_their_configuration(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_invalid_arguments():
    with pytest.raises(ValueError, match="must be odd, not 4"):
        ResizeConvolution(3, 4)
    with pytest.raises(ValueError, match="not 'cubic'"):
        ResizeConvolution(3, 3, "cubic")
