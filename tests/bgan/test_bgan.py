"""BGAN's estimator against NumPy and enumeration; whom an update moves; what is drawn."""

import itertools

from bgan import bgan
from bgan.bgan import BGAN
from common.errors import UserError

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return BGAN(image_size=8, width=2, latent_size=3, samples=4)


@pytest.fixture(scope="module")
def batch():
    x = RANDOM.uniform(-1, 1, (5, 8, 8, 1)).astype("float32")
    return tf.constant(x), tf.zeros(5, tf.int32)


@pytest.mark.parametrize(
    "options, generator, discriminator",
    [({"width": 64, "dense_units": 1024}, 6_709_185, 6_631_169)],
)
def test_the_published_networks_have_their_weights(options, generator, discriminator):
    made = BGAN(image_size=28, samples=2, **options)
    trainable = [
        sum(np.prod(v.shape) for v in n.trainable_variables) for n in made.networks.values()
    ]
    assert trainable == [generator, discriminator]


def test_weights_are_normalised_over_the_pictures_of_one_noise_vector():
    log_w = RANDOM.normal(size=(3, 4)).astype("float32") * 50  # far beyond what exp can hold
    weights = bgan.normalized_weights(log_w)
    np.testing.assert_allclose(weights, softmax(log_w.astype(float)), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(np.sum(weights, axis=1), 1, rtol=1e-6)


def test_log_probability_is_summed_over_the_pixels():
    g = RANDOM.normal(size=(2, 4, 4, 1)) * 3
    x = RANDOM.integers(0, 2, (2, 5, 4, 4, 1)).astype(float)
    p = 1 / (1 + np.exp(-g))[:, None]
    expected = np.log(np.where(x == 1, p, 1 - p)).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(bgan.log_probability(x, g), expected, rtol=1e-6)


def test_the_policy_loss_is_its_formula():
    weights, log_p = RANDOM.random((3, 4)), RANDOM.normal(size=(3, 4))
    expected = -(weights * log_p).sum(axis=1).mean()
    assert float(bgan.policy_loss(weights, log_p)) == pytest.approx(expected, rel=1e-6)


def test_the_policy_gradient_is_the_expectation_by_enumeration():
    """Two pixels, two pictures: mean over many drawings = sum over all sixteen pairs."""
    g = np.array([0.4, -0.9])
    score = {x: 2.0 * x[0] - 1.5 * x[1] for x in itertools.product((0, 1), repeat=2)}  # F(x)
    p = 1 / (1 + np.exp(-g))

    def probability(x):
        return np.prod(np.where(x, p, 1 - p))

    expected = np.zeros(2)
    for pair in itertools.product(score, repeat=2):
        w = softmax(np.array([[score[x] for x in pair]]))[0]
        gradient = -sum(w_m * (np.array(x) - p) for w_m, x in zip(w, pair, strict=True))
        expected += probability(pair[0]) * probability(pair[1]) * gradient

    count = 40_000
    x = (np.random.default_rng(1).random((count, 2, 2)) < p).astype("float32")
    logits = tf.Variable(np.tile(g, (count, 1)).reshape(count, 2, 1, 1), dtype=tf.float32)
    log_w = 2.0 * x[..., 0] - 1.5 * x[..., 1]
    with tf.GradientTape() as tape:
        log_p = bgan.log_probability(x.reshape(count, 2, 2, 1, 1), logits)
        loss = bgan.policy_loss(bgan.normalized_weights(log_w), log_p)
    found = tape.gradient(loss, logits).numpy().reshape(count, 2).sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert np.sign(found[0]) < 0 < np.sign(found[1])  # towards what F calls likely


def test_no_gradient_flows_through_weights_or_drawing(model, batch):
    x, _ = batch
    z = model.prior.draw(len(x), model.noise)
    u = keras.random.uniform((len(x), 4, 8, 8, 1), seed=2)
    with tf.GradientTape() as tape:
        log_p, log_w = model.combined([z, u], training=True)
        loss = bgan.policy_loss(bgan.normalized_weights(log_w), log_p)
    variables = [v.value for v in model.discriminator.trainable_variables]
    assert tape.gradient(loss, variables) == [None] * len(variables)


@pytest.mark.parametrize("objective", ["discrete", "continuous"])
def test_each_update_moves_its_own_player(objective, batch):
    made = BGAN(image_size=8, width=2, latent_size=3, samples=4, objective=objective)
    for name in ("discriminator", "generator"):
        before = {n: net.get_weights() for n, net in made.networks.items()}
        _, gradients = made.losses_and_gradients(*batch)
        made._apply_gradients({name: gradients[name]})
        for n, net in made.networks.items():
            trainable = {v.path for v in net.trainable_variables}
            moved = [
                not np.array_equal(old, v.numpy())
                for old, v in zip(before[n], net.weights, strict=True)
                if v.path in trainable
            ]
            assert all(moved) if n == name else not any(moved)


def test_discrete_losses_are_their_formulas(model, batch, monkeypatch):
    x, _ = batch
    z = model.prior.draw(len(x), model.noise)
    u = keras.random.uniform((len(x), 4, 8, 8, 1), seed=3)
    monkeypatch.setattr(type(model.prior), "draw", lambda *_: z)
    monkeypatch.setattr(keras.random, "uniform", lambda *_, **__: u)
    found, _ = model.losses_and_gradients(*batch)
    log_p, fake = (a.numpy() for a in model.combined([z, u], training=True))
    real = model.discriminator(tf.where(x > 0, 1.0, -1.0)).numpy()
    weights = softmax(fake)
    d_loss = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
    assert float(found["d_loss"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(found["g_loss"]) == pytest.approx(-(weights * log_p).sum(1).mean(), rel=1e-4)
    assert float(found["ess"]) == pytest.approx((1 / (weights**2).sum(1)).mean(), rel=1e-4)
    assert 1 <= float(found["ess"]) <= 4


def test_the_continuous_loss_is_half_the_squared_logit(batch):
    made = BGAN(image_size=8, width=2, latent_size=3, objective="continuous")
    assert float(0.5 * bgan.losses.least_squares(0.0, np.array([[2.0], [-4.0]]))) == 5.0
    found, _ = made.losses_and_gradients(*batch)
    assert set(found) == {"d_loss", "g_loss"} and float(found["g_loss"]) >= 0


def test_samples_are_bernoulli_drawings_that_the_noise_decides(model):
    z = np.tile(RANDOM.normal(size=(1, 3)), (4000, 1))
    noise = np.concatenate([z, RANDOM.normal(size=(4000, 64))], axis=1).astype("float32")
    x = model.sampler(noise).numpy()
    assert set(np.unique(x)) == {-1.0, 1.0}
    g = model.generator(z[:1].astype("float32"), training=False).numpy()
    np.testing.assert_allclose((x.mean(0) + 1) / 2, 1 / (1 + np.exp(-g[0])), atol=0.05)
    np.testing.assert_array_equal(model.sampler(noise[:3]).numpy(), x[:3])


def test_no_batch_statistics_in_the_discriminator_of_discrete_pictures(model):
    layers = model.discriminator.layers
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


@pytest.mark.parametrize(
    "options, named",
    [
        ({"samples": 1}, "--samples 1"),
        ({"width": 0}, "--width 0"),
        ({"dense_units": -1}, "--dense_units -1"),
        ({"learning_rate": 0.0}, "--learning_rate 0"),
        ({"beta_1": 1.0}, "--beta_1 1"),
        ({"image_size": 9}, "--image_size 9"),
    ],
)
def test_impossible_options_are_named(options, named):
    with pytest.raises(UserError, match=named):
        BGAN(**options)
