"""Losses against NumPy formulas written from the papers' equations."""

from common.nn import losses

import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (4, 5, 5, 1)).astype("float32")
TARGETS = RANDOM.integers(0, 2, LOGITS.shape).astype("float32")


def test_cross_entropy_is_the_logarithmic_score_of_the_probability():
    probability = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    score = TARGETS * np.log(probability) + (1 - TARGETS) * np.log(1 - probability)
    assert float(losses.cross_entropy(TARGETS, LOGITS)) == pytest.approx(-score.mean(), rel=1e-6)


def test_cross_entropy_of_zero_logits_is_log_two():
    assert float(losses.cross_entropy(TARGETS, 0 * LOGITS)) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("target", "logit", "loss"),
    [(1, 1e4, 0), (1, -1e4, 1e4), (0, 1e4, 1e4), (0, 0, np.log(2)), (1, 0, np.log(2))],
)
def test_cross_entropy_has_the_slope_of_the_logistic_function(target, logit, loss):
    logits = tf.constant([[float(logit)]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = losses.cross_entropy(target * tf.ones_like(logits), logits)
    assert float(value) == pytest.approx(loss)
    # d/dl = sigmoid(l) - t: a confident mistake keeps its full slope
    expected = {-1e4: 0.0, 0: 0.5, 1e4: 1.0}[logit] - target
    assert tape.gradient(value, logits).numpy().item() == pytest.approx(expected)


def test_least_squares():
    expected = ((LOGITS - TARGETS) ** 2).mean()
    assert float(losses.least_squares(TARGETS, LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_l1_averages_over_pixels_and_channels():
    target, prediction = RANDOM.uniform(-1, 1, (2, 3, 8, 8, 3)).astype("float32")
    expected = np.abs(target - prediction).mean()
    assert float(losses.l1(target, prediction)) == pytest.approx(expected, rel=1e-6)


def test_mse_is_the_mean_square_of_the_difference():
    expected = np.mean((TARGETS.astype("float64") - LOGITS) ** 2)
    assert float(losses.mse(TARGETS, LOGITS)) == pytest.approx(expected, rel=1e-6)
