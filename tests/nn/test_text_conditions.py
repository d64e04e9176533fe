"""Conditioning augmentation and the text encoder, against NumPy, under XLA, in each precision."""

from common.nn.conditioning_augmentation import ConditioningAugmentation, kl_divergence, truncated
from common.nn.text_encoder import cosines, matching_loss, text_encoder

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm, truncnorm

RANDOM = np.random.default_rng(0)


def test_noise_becomes_that_of_a_truncated_normal():
    x = RANDOM.normal(size=1000).astype("float32")
    expected = truncnorm.ppf(norm.cdf(x), -2, 2)
    np.testing.assert_allclose(truncated(tf.constant(x)), expected, atol=1e-3)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("jit", [False, True])
def test_a_condition_is_drawn_around_its_mean(policy, jit):
    keras.config.set_dtype_policy(policy)
    layer = ConditioningAugmentation(2)
    t, noise = (RANDOM.normal(size=shape).astype("float32") for shape in ((5, 3), (5, 2)))
    layer([t, noise])
    layer.dense.kernel.assign(RANDOM.normal(size=(3, 4)))
    call = tf.function(lambda *inputs: layer(list(inputs)), jit_compile=jit)
    c, statistics = call(tf.constant(t), tf.constant(noise))
    h = t @ layer.dense.kernel.numpy()
    h = np.where(h > 0, h, 0.2 * h)
    np.testing.assert_allclose(statistics, h, rtol=1e-4, atol=1e-5)
    expected = h[:, :2] + np.exp(h[:, 2:]) * truncnorm.ppf(norm.cdf(noise), -2, 2)
    tolerance = {"float32": 1e-4, "mixed_float16": 5e-3, "mixed_bfloat16": 5e-2}[policy]
    np.testing.assert_allclose(tf.cast(c, "float32"), expected, rtol=tolerance, atol=tolerance)
    assert c.dtype == layer.compute_dtype


def test_the_divergence_is_zero_for_the_prior_alone():
    assert float(kl_divergence(tf.zeros((3, 4)))) == 0
    assert float(kl_divergence(tf.constant([[1.0, 0.0]]))) == pytest.approx(0.5)
    found = float(kl_divergence(tf.constant([[0.0, 1.0]])))
    assert found == pytest.approx(-1 + (np.exp(2) - 1) / 2)


def test_padding_changes_no_embedding():
    short, long = text_encoder(9, 3, 4, 5), text_encoder(9, 6, 4, 5)
    long.set_weights(short.get_weights())
    tokens = np.array([[2, 5, 0], [3, 4, 8]], np.int32)
    padded = np.pad(tokens, ((0, 0), (0, 3)))
    np.testing.assert_allclose(long(padded), short(tokens), atol=1e-6)
    np.testing.assert_array_equal(short(np.zeros((1, 3), np.int32)), np.zeros((1, 10)))


def test_both_directions_are_read_as_keras_bidirectional_does():
    encoder = text_encoder(9, 6, 4, 5)
    tokens = np.array([[2, 5, 0, 0, 0, 0], [3, 4, 8, 7, 1, 2]], np.int32)
    gru = keras.layers.GRU(5, return_sequences=True)
    reference = keras.layers.Bidirectional(gru)
    x = encoder.layers[1].embeddings.numpy()[tokens]
    reference.build(x.shape)
    names = ("forward_gru", "backward_gru")
    reference.set_weights([w for name in names for w in encoder.get_layer(name).get_weights()])
    h = reference(tf.constant(x), mask=tf.constant(tokens != 0)).numpy()
    expected = [np.mean(each[row != 0], axis=0) for each, row in zip(h, tokens, strict=True)]
    expected *= 32 / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder(tokens), expected, rtol=1e-3, atol=1e-4)


def test_embeddings_have_a_norm_of_32():
    """Whatever their scale in the loss, which does not depend on it."""
    encoder = text_encoder(9, 3, 4, 5)
    embeddings = encoder(np.array([[2, 5, 0], [3, 4, 8]], np.int32)).numpy()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 32, rtol=1e-4)


def test_the_matching_loss_is_that_of_both_directions():
    u, v = (RANDOM.normal(size=(4, 6)).astype("float32") for _ in range(2))
    same = np.eye(4, dtype=bool)
    same[0, 2] = same[2, 0] = True
    norms = np.linalg.norm(u, axis=1)[:, None] * np.linalg.norm(v, axis=1)
    scores = u @ v.T / norms
    np.testing.assert_allclose(cosines(tf.constant(u), tf.constant(v)), scores, atol=1e-5)
    scores[0, 2] = scores[2, 0] = -1
    odds = np.exp(10 * scores)
    own = np.diag(odds)
    expected = -0.5 * np.mean(np.log(own / odds.sum(0)) + np.log(own / odds.sum(1)))
    compiled = tf.function(matching_loss, jit_compile=True)
    loss, matched = compiled(tf.constant(u), tf.constant(v), tf.constant(same))
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert float(matched) == np.mean(scores.argmax(1) == np.arange(4))
