"""Padding to a multiple by reflection, and back."""

from common.nn.padding import CropLike, PadToMultiple

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize("sides", [(8, 16), (5, 11), (1, 1), (1, 30), (3, 17), (2, 9)])
@pytest.mark.parametrize("static", [True, False])
def test_padding_is_numpys_reflection(sides, static):
    x = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype("float32")
    margins = [(0, 0), *((0, -side % 8) for side in sides), (0, 0)]
    layer = PadToMultiple(8)
    shape = x.shape if static else (None, None, None, 3)
    pad = tf.function(layer, input_signature=[tf.TensorSpec(shape)])
    np.testing.assert_array_equal(pad(x), np.pad(x, margins, "reflect"))


@pytest.mark.parametrize("jit", [None, True])
def test_a_network_of_any_size_between_both(jit):
    x = keras.Input((None, None, 2))
    h = PadToMultiple(4)(x)
    h = keras.layers.Rescaling(2.0)(keras.layers.AveragePooling2D(4)(h))
    network = keras.Model(x, CropLike()([keras.layers.UpSampling2D(4)(h), x]))
    assert network.output_shape == (None, None, None, 2)
    assert network(keras.Input((6, 9, 2))).shape == (None, 6, 9, 2)
    image = np.random.default_rng(1).normal(size=(3, 6, 9, 2)).astype("float32")
    padded = np.pad(image, [(0, 0), (0, 2), (0, 3), (0, 0)], "reflect")
    means = padded.reshape(3, 2, 4, 3, 4, 2).mean(axis=(2, 4))
    expected = 2 * means.repeat(4, axis=1).repeat(4, axis=2)[:, :6, :9]
    called = tf.function(network, jit_compile=jit)
    np.testing.assert_allclose(called(tf.constant(image)), expected, atol=1e-5)


def test_the_layer_is_saved_with_its_multiple():
    assert PadToMultiple.from_config(PadToMultiple(16).get_config()).multiple == 16
