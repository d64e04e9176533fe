"""BGAN's policy gradient, compared with its formula and with the exact gradient."""

from itertools import product

from bgan.bgan import effective_samples, log_probability, normalized_weights, policy_loss

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

RANDOM = np.random.default_rng(0)


def softplus(x):
    return np.logaddexp(0, np.asarray(x, "float64"))


def test_weights_are_normalized_over_the_samples_of_one_z():
    log_w = RANDOM.normal(0, 3, (4, 7)).astype("float32")
    weights = np.asarray(normalized_weights(log_w))
    np.testing.assert_allclose(weights, np.exp(log_w) / np.exp(log_w).sum(1)[:, None], rtol=1e-5)
    # They do not depend on the rest of the batch, nor on a constant added to all logits of a z.
    np.testing.assert_allclose(normalized_weights(log_w[:1] + 500), weights[:1], rtol=1e-3)


def test_effective_samples():
    equal, one, half = np.full(4, 0.25), np.array([0.0, 1, 0, 0]), np.array([0.5, 0.5, 0, 0])
    assert float(effective_samples(equal[None])) == pytest.approx(4)
    assert float(effective_samples(one[None])) == pytest.approx(1)
    assert float(effective_samples(np.stack([equal, one, half]))) == pytest.approx(7 / 3)


def test_log_probability_is_summed_over_the_pixels():
    g = RANDOM.normal(0, 2, (3, 4, 4, 2)).astype("float32")
    x = RANDOM.integers(0, 2, (3, 5, 4, 4, 2)).astype("float32")
    p = expit(g)[:, None]
    expected = np.log(np.where(x == 1, p, 1 - p)).sum((2, 3, 4))
    np.testing.assert_allclose(log_probability(x, g), expected, rtol=1e-4)
    huge = log_probability(np.zeros((1, 1, 1, 1, 1)), np.full((1, 1, 1, 1), 300.0))
    assert float(huge[0, 0]) == pytest.approx(-300)


def gradient_of_logits(x, g, log_w):
    """L_G, d L_G / d g, and the latter's formula, -1/B sum_m w~_m (x_m - s(g))."""
    g = tf.Variable(g, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = policy_loss(normalized_weights(log_w), log_probability(x, g))
    weights = softmax(log_w, axis=1)[:, :, None, None, None]
    formula = -(weights * (x - expit(g)[:, None])).sum(1) / len(x)
    return loss, tape.gradient(loss, g), formula


def test_policy_gradient_matches_its_formula():
    g = RANDOM.normal(0, 2, (3, 4, 4, 1)).astype("float32")
    x = RANDOM.integers(0, 2, (3, 5, 4, 4, 1)).astype("float32")
    log_w = RANDOM.normal(0, 2, (3, 5)).astype("float32")
    loss, gradient, formula = gradient_of_logits(x, g, log_w)
    np.testing.assert_allclose(gradient, formula, atol=1e-6)
    log_p = (x * g[:, None] - softplus(g)[:, None]).sum((2, 3, 4))
    assert float(loss) == pytest.approx(-(softmax(log_w, 1) * log_p).sum(1).mean(), rel=1e-5)


# Two pixels, two equally likely z, and the optimal discriminator.
STATES = np.array(list(product((0, 1), repeat=2)), "float64")  # (4, 2)
G_LOGITS = np.array([[0.5, -1.0], [-1.5, 0.3]])
P_DATA = np.array([0.1, 0.2, 0.1, 0.6])


def probabilities(g):
    """p(x | z) of each state: (Z, 2) -> (Z, 4)."""
    p = expit(g)[:, None]
    return np.where(STATES == 1, p, 1 - p).prod(2)


def exact_gradient():
    """d / d g of the mean over z of KL(p~(x | z) || p(x | z)), p~ = w p / sum w p held fixed."""
    p = probabilities(G_LOGITS)
    posterior = p * P_DATA / p.mean(0)
    posterior /= posterior.sum(1, keepdims=True)
    return -(posterior @ STATES - expit(G_LOGITS)) / len(G_LOGITS)


def expected_gradient(M):
    """Expectation of the policy gradient, over all 4^M ways to draw M images."""
    p = probabilities(G_LOGITS)
    log_w = np.log(P_DATA / p.mean(0))
    draws = np.array(list(product(range(4), repeat=M)))  # (4^M, M)
    total = []
    for g, p_z in zip(G_LOGITS, p, strict=True):
        x = STATES[draws].reshape(-1, M, 1, 2, 1).astype("float32")
        tiled = np.tile(g.reshape(1, 1, 2, 1), (len(draws), 1, 1, 1))
        _, each, _ = gradient_of_logits(x, tiled, log_w[draws].astype("float32"))
        probability = p_z[draws].prod(1)[:, None]
        total.append((probability * np.asarray(each).reshape(-1, 2) * len(draws)).sum(0))
    return np.array(total) / len(G_LOGITS)


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # over a single sample
def test_expected_policy_gradient_approaches_that_of_the_papers_objective():
    """It has the exact gradient's sign with few samples and converges with more."""
    exact = exact_gradient()
    assert np.abs(exact).min() > 0.1
    errors = []
    for M in (2, 4, 6):
        mean = expected_gradient(M)
        assert (np.sign(mean) == np.sign(exact)).all()
        errors.append(np.abs(mean - exact).max())
    assert errors[2] < errors[1] / 1.3 < errors[0] / 1.3**2
    # With a single sample it is 0, as the weight is 1 whatever the discriminator's logit.
    np.testing.assert_allclose(expected_gradient(1), 0, atol=1e-6)


def test_policy_gradient_of_many_samples_is_exact():
    p = probabilities(G_LOGITS)
    draws = np.stack([RANDOM.choice(4, 200_000, p=p_z) for p_z in p])
    x = STATES[draws].reshape(2, -1, 1, 2, 1).astype("float32")
    log_w = np.log(P_DATA / p.mean(0))[draws].astype("float32")
    _, gradient, _ = gradient_of_logits(x, G_LOGITS.reshape(2, 1, 2, 1), log_w)
    np.testing.assert_allclose(np.reshape(gradient, (2, 2)), exact_gradient(), atol=2e-3)


def test_the_gradient_of_a_baseline_is_zero_on_average():
    """The score has mean zero: summed over all images, weighted by their probabilities."""
    g = tf.Variable(np.random.default_rng(5).normal(size=(1, 1, 3, 1)).astype("float32"))
    images = np.array([[(k >> bit) & 1 for bit in range(3)] for k in range(8)], "float32")
    x = images.reshape(1, 8, 1, 3, 1)
    with tf.GradientTape() as tape:
        log_p = log_probability(x, g)  # (1, 8)
        weighted = tf.reduce_sum(tf.stop_gradient(tf.exp(log_p)) * log_p)
    np.testing.assert_allclose(tape.gradient(weighted, g), 0.0, atol=1e-6)
    even = np.full((1, 8), 1 / 8, "float32")
    assert float(policy_loss(even, log_p, 1 / 8)) == 0.0 != float(policy_loss(even, log_p))
