"""BGAN: the published networks, its losses against NumPy, and which weights a step updates."""

from bgan.bgan import BGAN, normalized_weights, policy_loss
from common.errors import UserError
from tests.helpers.models import (
    assert_close,
    assert_gradients,
    changed_networks,
    fixed_latent,
    player_update,
    random_batch,
    unchanged_weights,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

SMALL = {"image_size": 8, "width": 4, "latent_size": 6, "samples": 5}


def small(**options):
    keras.utils.set_random_seed(1)
    return BGAN(**(SMALL | options))


@pytest.fixture(scope="module")
def discrete():
    """A model whose weights tests may change, as none depends on their values."""
    return small()


@pytest.fixture(scope="module")
def continuous():
    return small(objective="continuous")


def batch():
    return random_batch(8)


def next_draws(model, size=4):
    """The z and u that the model's next step will draw: the random state is restored."""
    state = model.noise.state.numpy()
    z = model.prior.draw(size, model.noise)
    u = keras.random.uniform((size, model.samples, *model.shape), seed=model.noise)
    model.noise.state.assign(state)
    return z, u


def softplus(x):
    return np.logaddexp(0, np.asarray(x, "float64"))


# The networks and the options.


def test_the_published_networks():
    model = BGAN(width=64, dense_units=1024, samples=20)
    assert weight_counts(model) == {"generator": 6_709_185, "discriminator": 6_631_169}
    assert model.generator.output.shape == (None, 28, 28, 1)
    assert model.generator.layers[-1].activation is keras.activations.linear  # logits


def test_the_default_networks():
    # G: dense 64*3136, its normalization 2*3136; 25*64*32, 2*32; 25*32 + 1.
    # D: 25*32 + 32; 25*32*64 + 64; 3136 + 1.
    model = BGAN()
    assert weight_counts(model) == {"generator": 259_041, "discriminator": 55_233}


def test_d_is_normalized_for_continuous_images_only(discrete, continuous):
    def normalized(network):
        return sum("batch_normalization" in layer.name for layer in network.layers)

    assert normalized(discrete.discriminator) == 0
    assert normalized(small(image_size=16, objective="continuous").discriminator) == 1
    assert continuous.generator.layers[-1].activation is keras.activations.tanh


@pytest.mark.parametrize(("size", "channels"), [(20, 3), (64, 1)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    x = model.sampler(model.latent.of_seed(0, 2), training=False)
    assert x.shape == (2, size, size, channels)
    assert model.discriminator(x).shape == (2, 1)


@pytest.mark.parametrize("size", [0, 4, 30, 100])
def test_invalid_image_sizes_are_refused_by_name(size):
    with pytest.raises(UserError, match=f"--image_size {size}: .*power of two"):
        BGAN(image_size=size)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("latent_size", 0),
        ("dense_units", -1),
        ("samples", 1),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


# The step.


def expected_losses(model, x):
    """(d_loss, g_loss, ess) of the next step, in NumPy."""
    z, u = next_draws(model)
    g = np.asarray(model.generator(z, training=True), "float64")
    pixels = (np.asarray(u) < expit(g)[:, None]).astype("float64")  # (B, M, S, S, C)
    flat = tf.constant(2 * pixels.reshape(-1, *model.shape) - 1, tf.float32)
    fake = np.asarray(model.discriminator(flat)).reshape(len(g), -1)
    real = np.asarray(model.discriminator(tf.where(x > 0, 1.0, -1.0)))
    log_p = (pixels * g[:, None] - softplus(g)[:, None]).sum((2, 3, 4))
    weights = softmax(fake, axis=1)
    d_loss = softplus(-real).mean() + softplus(fake).mean()
    centred = weights - 1 / model.samples if model.baseline else weights
    return d_loss, -(centred * log_p).sum(1).mean(), (1 / (weights**2).sum(1)).mean()


@pytest.mark.parametrize("baseline", [True, False])
def test_losses_match_the_papers_equations(discrete, monkeypatch, baseline):
    if not baseline:
        monkeypatch.setattr(discrete, "baseline", small(baseline=False).baseline)
    assert bool(discrete.baseline) == baseline
    x, y = batch()
    d_loss, g_loss, ess = expected_losses(discrete, x)
    losses, _ = discrete.losses_and_gradients(x, y)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(g_loss, rel=1e-5, abs=1e-5)  # terms cancel
    assert float(losses["ess"]) == pytest.approx(ess, rel=1e-5)
    assert 1 < ess < discrete.samples


def test_the_discriminator_takes_binarized_real_images(discrete):
    x, y = batch()
    state = discrete.noise.state.numpy()
    grey, _ = discrete.losses_and_gradients(x, y)
    discrete.noise.state.assign(state)
    binary, _ = discrete.losses_and_gradients(tf.sign(x), y)
    assert float(grey["d_loss"]) == float(binary["d_loss"])


def test_the_continuous_loss_is_least_squares_to_the_decision_boundary(continuous):
    x, y = batch()
    z = next_draws(continuous)[0]
    fake = continuous.discriminator(continuous.generator(z, training=True), training=True)
    real = continuous.discriminator(x, training=True)
    losses, _ = continuous.losses_and_gradients(x, y)
    assert set(losses) == {"d_loss", "g_loss"}
    assert float(losses["g_loss"]) == pytest.approx(np.square(fake).mean() / 2, rel=1e-4)
    d_loss = softplus(-np.asarray(real)).mean() + softplus(fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)


def test_no_gradient_of_the_generators_loss_reaches_the_discriminator(discrete):
    z, u = next_draws(discrete)
    with tf.GradientTape(persistent=True) as tape:
        log_p, log_w = discrete.combined([z, u], training=True)
        loss = policy_loss(normalized_weights(log_w), log_p)
    D, G = (
        [v.value for v in network.trainable_variables]
        for network in (discrete.discriminator, discrete.generator)
    )
    assert all(gradient is None for gradient in tape.gradient(loss, D))
    assert all(gradient is not None for gradient in tape.gradient(loss, G))
    # The gradient of D does not pass through the sampling either.
    assert all(gradient is None for gradient in tape.gradient(log_w, G))


@pytest.mark.parametrize("objective", ["discrete", "continuous"])
def test_each_players_gradients_are_those_of_its_own_loss(objective, request):
    """Compared with one tape that records everything."""
    model = request.getfixturevalue(objective)
    x, y = batch()
    z, u = next_draws(model)
    with tf.GradientTape(persistent=True) as tape:
        if model.discrete:
            log_p, fake = model.combined([z, u], training=True)
            weights = tf.constant(softmax(np.asarray(fake), axis=1))
            g_loss = -tf.reduce_mean(tf.reduce_sum((weights - 1 / model.samples) * log_p, 1))
            x = tf.where(x > 0, 1.0, -1.0)
        else:
            fake = model.discriminator(model.generator(z, training=True), training=True)
            g_loss = tf.reduce_mean(fake**2) / 2
        real = model.discriminator(x, training=True)
        d_loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    _, gradients = model.losses_and_gradients(x, y)
    losses = {"discriminator": d_loss, "generator": g_loss}
    assert_gradients(model, gradients, tape, losses)


def test_gs_learning_rate_is_five_times_ds_for_discrete_images_alone(discrete, continuous):
    def rates(model):
        players = model.discriminator, model.combined
        return [float(player.optimizer.learning_rate) for player in players]

    assert rates(discrete) == pytest.approx([1e-4, 5e-4])
    assert rates(continuous) == pytest.approx([1e-4, 1e-4])
    assert rates(small(g_learning_rate=3e-4)) == pytest.approx([1e-4, 3e-4])


@pytest.mark.parametrize("objective", ["discrete", "continuous"])
def test_one_step_updates_every_weight(objective, request):
    model = request.getfixturevalue(objective)
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(discrete, player):
    _, gradients = discrete.losses_and_gradients(*batch())
    assert changed_networks(discrete, player_update(discrete, player, gradients)) == {player}


def test_xla_computes_what_the_plain_graph_computes(continuous, monkeypatch):
    """Of the continuous objective; `tests/test_every_model.py` covers the discrete one."""
    monkeypatch.setattr(continuous, "latent", fixed_latent(next_draws(continuous)[0]))
    results = [
        tf.function(continuous.losses_and_gradients, autograph=False, jit_compile=jit)(*batch())
        for jit in (True, False)
    ]
    assert_close(*results)
