"""Losses against NumPy formulas written from the papers' equations."""

from common.nn import losses

import keras
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


def test_softmax_cross_entropy_is_the_logarithmic_score_of_the_class():
    logits = RANDOM.normal(0, 3, (6, 4)).astype("float32")
    labels = np.array([0, 3, 1, 1, 2, 0])
    p = np.exp(logits.astype("float64"))
    score = np.log(p[np.arange(6), labels] / p.sum(1))
    for given in (labels, labels.astype("float32"), tf.constant(labels, tf.int32)):
        found = losses.softmax_cross_entropy(given, logits)
        assert float(found) == pytest.approx(-score.mean(), rel=1e-5)
    found = losses.softmax_cross_entropy(labels[:1], np.float32([[-1e4, 0, -1e4, -1e4]]))
    assert float(found) == pytest.approx(1e4)  # nothing overflows
    predicted = logits.argmax(1)
    assert float(losses.accuracy(tf.constant(labels), logits)) == pytest.approx(
        (predicted == labels).mean()
    )


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


def test_feature_matching_is_the_mean_square_of_the_difference_of_means():
    f, other = RANDOM.normal(size=(6, 5)), RANDOM.normal(1, 2, (4, 5))
    expected = np.mean((f.mean(axis=0) - other.mean(axis=0)) ** 2)
    assert float(losses.feature_matching(f, other)) == pytest.approx(expected, rel=1e-6)
    shuffled = RANDOM.permutation(f)
    assert float(losses.feature_matching(f, shuffled)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_wasserstein_is_the_signed_mean_score(sign):
    target = sign * np.ones_like(LOGITS)
    assert float(losses.wasserstein(target, LOGITS)) == pytest.approx(-sign * LOGITS.mean(), 1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_hinge_is_zero_beyond_the_margin(sign):
    target = sign * np.ones_like(LOGITS)
    expected = np.maximum(0, 1 - sign * LOGITS.astype("float64")).mean()
    assert float(losses.hinge(target, LOGITS)) == pytest.approx(expected, rel=1e-6)
    assert float(losses.hinge(target, 5 * target)) == 0


def test_l2_penalty_has_the_gradient_l2_w():
    w = tf.constant([1.0, -2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(w)
        penalty = losses.l2_penalty([w, 2 * w], 0.5)
    assert float(penalty) == pytest.approx(0.25 * (14 + 56))
    np.testing.assert_allclose(tape.gradient(penalty, w), 0.5 * (w + 4 * w))
    assert losses.l2_penalty([w], 0.0) == 0.0


IMAGES = tf.constant(RANDOM.normal(size=(5, 4, 3, 2)), tf.float32)
KERNEL = tf.constant(RANDOM.normal(size=(4, 3, 2)), tf.float32)


def linear(x):
    """A critic whose gradient is KERNEL everywhere."""
    return tf.reduce_sum(x * KERNEL, axis=(1, 2, 3))[:, None]


def quadratic(x):
    """A critic whose gradient is x."""
    return tf.reduce_sum(tf.square(x), axis=(1, 2, 3))[:, None] / 2


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("critic", "gradient"), [(linear, np.broadcast_to(KERNEL, IMAGES.shape)), (quadratic, IMAGES)]
)
def test_gradient_norm_of_critics_whose_gradient_is_known(critic, gradient, jit_compile):
    norm = tf.function(lambda x: losses.gradient_norm(critic, x), jit_compile=jit_compile)(IMAGES)
    expected = np.sqrt(np.square(gradient).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(norm, expected, rtol=1e-5)
    for to in (1.0, 0.0):
        penalty = losses.gradient_penalty(norm, to)
        assert float(penalty) == pytest.approx(np.square(expected - to).mean(), rel=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_gradient_penalty_has_gradients_by_the_critics_weights(jit_compile):
    """D(x) = a sum x^2 / 2: the norm is a |x|, so d/da (a |x| - 1)^2 = 2 (a |x| - 1) |x|."""
    a = tf.Variable(0.5)

    @tf.function(jit_compile=jit_compile)
    def gradient():
        with tf.GradientTape() as tape:
            norm = losses.gradient_norm(lambda x: a * quadratic(x), IMAGES)
            penalty = losses.gradient_penalty(norm)
        return tape.gradient(penalty, a)

    length = np.sqrt(np.square(IMAGES).sum(axis=(1, 2, 3)))
    expected = (2 * (0.5 * length - 1) * length).mean()
    assert float(gradient()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_r1_and_its_gradient_by_the_critics_weights(jit_compile):
    """D(x) = a sum x^2 / 2: the squared norm is a^2 |x|^2, and its derivative by a is 2 a |x|^2."""
    a = tf.Variable(0.5)

    @tf.function(jit_compile=jit_compile)
    def value_and_gradient():
        with tf.GradientTape() as tape:
            penalty = losses.r1(lambda x: a * quadratic(x), IMAGES)
        return penalty, tape.gradient(penalty, a)

    squares = np.square(IMAGES).sum(axis=(1, 2, 3)).mean()
    penalty, gradient = value_and_gradient()
    assert float(penalty) == pytest.approx(0.25 * squares, rel=1e-5)
    assert float(gradient) == pytest.approx(squares, rel=1e-5)


def test_gradient_norm_is_differentiable_where_the_gradient_vanishes():
    x = tf.zeros((2, 4, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        norm = losses.gradient_norm(quadratic, x)
    assert np.isfinite(tape.gradient(norm, x)).all()


def test_interpolated_images_are_on_the_lines_between_pairs():
    x, x_fake = tf.zeros((400, 2, 2, 1)), tf.ones((400, 2, 2, 1))
    between = losses.interpolated(x, x_fake, keras.random.SeedGenerator(0)).numpy()
    shares = between.reshape(400, -1)
    assert (shares == shares[:, :1]).all()  # one e for all pixels of a pair
    assert shares.min() >= 0 and shares.max() < 1 + 1e-6
    assert shares[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert shares[:, 0].std() == pytest.approx(12**-0.5, abs=0.03)
    again = losses.interpolated(x, x_fake, keras.random.SeedGenerator(0))
    np.testing.assert_array_equal(between, again)


def test_euclidean_is_the_norm_of_each_images_difference():
    x, y = RANDOM.normal(size=(2, 5, 4, 3, 2)).astype("float32")
    expected = np.linalg.norm((x - y).astype("float64").reshape(5, -1), axis=1)
    np.testing.assert_allclose(losses.euclidean(x, y), expected, rtol=1e-5)
    # A difference of 1 in each of 24 components, and of 2 in one of them.
    np.testing.assert_allclose(losses.euclidean(x + 1, x), np.full(5, 24**0.5), rtol=1e-5)
    one = np.zeros((1, 4, 3, 2), "float32")
    one[0, 1, 1, 0] = -2
    np.testing.assert_allclose(losses.euclidean(one, 0 * one), [2], rtol=1e-5)


def test_euclidean_has_a_finite_gradient_where_images_are_equal():
    x = tf.ones((2, 4, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        distance = losses.euclidean(x, tf.ones_like(x))
    np.testing.assert_allclose(distance, [0, 0], atol=1e-5)
    assert np.isfinite(tape.gradient(distance, x)).all()


def test_pulling_away_is_the_mean_squared_cosine_of_all_pairs():
    codes = RANDOM.normal(0.5, 2, (6, 9)).astype("float32")
    cosines = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        for i, a in enumerate(codes.astype("float64"))
        for j, b in enumerate(codes.astype("float64"))
        if i != j
    ]
    assert len(cosines) == 30 and min(cosines) < 0
    expected = np.mean(np.square(cosines))
    assert float(losses.pulling_away(codes)) == pytest.approx(expected, rel=1e-4)
    # It depends on the directions alone.
    lengths = np.array([[0.1], [1], [5], [-2], [30], [7]], "float32")
    assert float(losses.pulling_away(lengths * codes)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("codes", "term"),
    [
        ([[1, 0, 0], [0, 3, 0], [0, 0, 2]], 0),
        ([[1, 2], [2, 4], [-1, -2]], 1),
        ([[1, 0], [1, 1]], 0.5),
        ([[0, 0], [0, 0], [1, 1]], 0),  # a code of dead units is no NaN
    ],
)
def test_pulling_away_of_known_angles(codes, term):
    codes = tf.constant(codes, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(codes)
        value = losses.pulling_away(codes)
    assert float(value) == pytest.approx(term, abs=1e-5)
    assert np.isfinite(tape.gradient(value, codes)).all()
