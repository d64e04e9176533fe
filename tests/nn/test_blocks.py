"""Blocks: shapes, padding, receptive fields and parameter counts."""

from common.nn.blocks import affine, conv, conv_transpose, hidden_units, maxout, patchgan, prelu

import keras
import numpy as np
import pytest
import tensorflow as tf


def trainable(model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def patchgan_model(**options):
    inputs = keras.Input((256, 256, 6))
    return keras.Model(inputs, patchgan(inputs, **options))


def test_patchgan_has_the_size_of_the_paper():
    model = patchgan_model()
    assert model.output_shape == (None, 30, 30, 1)
    biases_that_normalisation_cancels = 128 + 256 + 512
    assert trainable(model) == 2_769_601 - biases_that_normalisation_cancels


@pytest.mark.parametrize(("strided", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_patchgan_has_the_receptive_field_of_the_paper(strided, field):
    """The gradient of an output with respect to the input is non-zero in a square of that side.

    Normalisation depends on the whole map, so it is left out here.
    """
    inputs = keras.Input((256, 256, 1))
    no_norm = lambda: keras.layers.Activation("linear")  # noqa: E731
    model = keras.Model(inputs, patchgan(inputs, width=2, strided=strided, normalization=no_norm))
    x = tf.random.stateless_normal((1, 256, 256, 1), seed=(0, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = model(x)
        unit = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    seen = np.abs(tape.gradient(unit, x)[0, :, :, 0]) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert (len(rows), len(columns)) == (field, field)
    assert rows[-1] - rows[0] == columns[-1] - columns[0] == field - 1


def test_logits_are_unbounded_and_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = patchgan_model(width=2)
    finally:
        keras.config.set_dtype_policy("float32")
    logits = model(1e3 * np.random.default_rng(0).normal(size=(1, 256, 256, 6)))
    assert logits.dtype == tf.float32
    assert np.abs(logits).max() > 1e-3
    assert model.layers[-1].activation is keras.activations.linear


def test_shapes_of_convolutions():
    x = np.zeros((1, 16, 16, 3), "float32")
    assert conv(x, 4).shape == (1, 8, 8, 4)
    assert conv(x, 4, strides=1).shape == (1, 15, 15, 4)
    assert conv_transpose(x, 4).shape == (1, 32, 32, 4)


@pytest.mark.parametrize(("kernel", "last"), [(4, 2), (5, 3)])
def test_padding_of_strided_convolutions(kernel, last):
    """Output j of `conv`, and input j of `conv_transpose`, meet the pixels 2j - 1 to 2j + last."""
    x = tf.eye(16)[:, :, None, None] * tf.ones((1, 1, 16, 1))  # a row of ones in each image
    seen = np.abs(conv(x, 1, kernel=kernel)[:, :, 4, 0]) > 0  # (16 pixels, 8 outputs)
    np.testing.assert_array_equal(np.flatnonzero(seen[:, 4]), np.arange(7, 9 + last))
    spread = np.abs(conv_transpose(x, 1, kernel=kernel)[:, :, 16, 0]) > 0  # (16, 32 outputs)
    np.testing.assert_array_equal(np.flatnonzero(spread[4]), np.arange(7, 9 + last))


def test_initial_weights_have_standard_deviation_0_02():
    kernel = patchgan_model().get_weights()[0]  # (4, 4, 6, 64)
    assert np.std(kernel) == pytest.approx(0.02, rel=0.05)
    assert np.mean(kernel) == pytest.approx(0, abs=0.001)


def model_of(block, inputs):
    x = keras.Input((inputs,))
    return keras.Model(x, block(x))


def test_affine_layers_are_linear_with_uniform_weights():
    model = model_of(lambda x: affine(x, 300, 0.3, name="named"), 40)
    kernel, bias = model.get_layer("named").get_weights()
    assert not bias.any()
    assert 0.29 < np.abs(kernel).max() <= 0.3
    assert kernel.std() == pytest.approx(0.3 / 3**0.5, rel=0.03)
    x = np.random.default_rng(0).normal(size=(5, 40)).astype("float32")
    np.testing.assert_allclose(model(x), x @ kernel, atol=1e-5)
    assert (np.asarray(model(x)) < 0).any()


def test_a_maxout_unit_is_the_largest_of_its_own_pieces():
    model, random = model_of(lambda x: maxout(x, 3, 4, reach=0.5), 7), np.random.default_rng(0)
    kernel, _ = model.get_weights()
    assert kernel.shape == (7, 12) and 0.4 < np.abs(kernel).max() <= 0.5
    kernel, bias, x = (random.normal(size=shape) for shape in ((7, 12), 12, (5, 7)))
    bias -= 3
    model.set_weights([kernel, bias])
    expected = np.empty((5, 3))
    for unit in range(3):
        pieces = [x @ kernel[:, k] + bias[k] for k in range(4 * unit, 4 * unit + 4)]
        expected[:, unit] = np.max(pieces, axis=0)
    np.testing.assert_allclose(model(x), expected, atol=1e-5)
    # Unlike ReLU's units, one may be negative.
    assert (expected < 0).any()


def test_maxout_has_small_initial_weights_by_default():
    kernel, bias = model_of(lambda x: maxout(x, 20, 5), 30).get_weights()
    assert 0.0045 < np.abs(kernel).max() <= 0.005 and not bias.any()


@pytest.mark.parametrize(
    ("size", "asked", "units"),
    [(20, None, 1024), (28, None, 1024), (32, None, 0), (64, None, 0), (28, 0, 0), (64, 9, 9)],
)
def test_small_images_have_a_hidden_dense_layer_by_default(size, asked, units):
    assert hidden_units(size, asked) == units


def test_prelu_has_one_slope_for_all_units():
    x = keras.Input((2, 2, 3))
    model = keras.Model(x, prelu(x))
    assert trainable(model) == 1
    shown = np.arange(-6.0, 6.0, dtype="float32").reshape(1, 2, 2, 3)
    np.testing.assert_allclose(model(shown), np.where(shown < 0, 0.25 * shown, shown))
