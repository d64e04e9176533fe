"""BGAN: the published networks, its losses in NumPy, and who moves in a step."""

from types import SimpleNamespace

from bgan.bgan import BGAN, normalized_weights, policy_loss
from common.errors import UserError

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

RANDOM = np.random.default_rng(0)
SMALL = {"image_size": 8, "width": 4, "latent_size": 6, "samples": 5}


def small(**options):
    keras.utils.set_random_seed(1)
    return BGAN(**(SMALL | options))


@pytest.fixture(scope="module")
def discrete():
    """A model that tests may read, and move where what they check does not depend on where."""
    return small()


@pytest.fixture(scope="module")
def continuous():
    return small(objective="continuous")


def batch(size=8, count=4, channels=1):
    x = RANDOM.uniform(-1, 1, (count, size, size, channels))
    return tf.constant(x, tf.float32), tf.zeros(count, tf.int32)


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def next_draws(model, size=4):
    """z and u of the model's next step, which the step draws nevertheless."""
    state = model.noise.state.numpy()
    z = model.prior.draw(size, model.noise)
    u = keras.random.uniform((size, model.samples, *model.shape), seed=model.noise)
    model.noise.state.assign(state)
    return z, u


def values(variables):
    return [v.numpy() for v in variables]


def moved(before, variables):
    return [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)
    ]


def softplus(x):
    return np.logaddexp(0, np.asarray(x, "float64"))


# The networks and the options.


def test_the_published_networks():
    model = BGAN(width=64, dense_units=1024, samples=20)
    assert count(model.generator) == 6_709_185
    assert count(model.discriminator) == 6_631_169
    assert model.generator.output.shape == (None, 28, 28, 1)
    assert model.generator.layers[-1].activation is keras.activations.linear  # logits


def test_the_small_networks():
    # Dense 64*3136, its normalisation 2*3136; 25*64*32, 2*32; 25*32 + 1.
    # 25*32 + 32; 25*32*64 + 64; 3136 + 1.
    model = BGAN()
    assert (count(model.generator), count(model.discriminator)) == (259_041, 55_233)


def test_batch_statistics_only_where_images_are_continuous(discrete, continuous):
    def normalized(network):
        return sum("batch_normalization" in layer.name for layer in network.layers)

    assert normalized(discrete.discriminator) == 0
    assert normalized(small(image_size=16, objective="continuous").discriminator) == 1
    assert continuous.generator.layers[-1].activation is keras.activations.tanh


@pytest.mark.parametrize(("size", "channels"), [(20, 3), (64, 1)])
def test_other_sizes_and_colours(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    x = model.sampler(model.latent.of_seed(0, 2), training=False)
    assert x.shape == (2, size, size, channels)
    assert model.discriminator(x).shape == (2, 1)


@pytest.mark.parametrize("size", [0, 4, 30, 100])
def test_other_sides_are_refused_by_name(size):
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
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


# The step.


def by_hand(model, x):
    """(d_loss, g_loss, ess) of the next step, from the equations."""
    z, u = next_draws(model)
    g = np.asarray(model.generator(z, training=True), "float64")
    drawn = (np.asarray(u) < expit(g)[:, None]).astype("float64")  # (B, M, S, S, C)
    flat = tf.constant(2 * drawn.reshape(-1, *model.shape) - 1, tf.float32)
    fake = np.asarray(model.discriminator(flat)).reshape(len(g), -1)
    real = np.asarray(model.discriminator(tf.where(x > 0, 1.0, -1.0)))
    log_p = (drawn * g[:, None] - softplus(g)[:, None]).sum((2, 3, 4))
    weights = softmax(fake, axis=1)
    d_loss = softplus(-real).mean() + softplus(fake).mean()
    return d_loss, -(weights * log_p).sum(1).mean(), (1 / (weights**2).sum(1)).mean()


def test_losses_are_the_papers(discrete):
    x, y = batch()
    d_loss, g_loss, ess = by_hand(discrete, x)
    losses, _ = discrete.losses_and_gradients(x, y)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(g_loss, rel=1e-5)
    assert float(losses["ess"]) == pytest.approx(ess, rel=1e-5)
    assert 1 < ess < discrete.samples


def test_real_images_are_black_and_white_for_the_discriminator(discrete):
    x, y = batch()
    state = discrete.noise.state.numpy()
    grey, _ = discrete.losses_and_gradients(x, y)
    discrete.noise.state.assign(state)
    binary, _ = discrete.losses_and_gradients(tf.sign(x), y)
    assert float(grey["d_loss"]) == float(binary["d_loss"])


def test_the_continuous_loss_draws_to_the_boundary(continuous):
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
    # Nor is there a way from the discriminator back through the drawing.
    assert all(gradient is None for gradient in tape.gradient(log_w, G))


@pytest.mark.parametrize("objective", ["discrete", "continuous"])
def test_gradients_are_those_of_the_losses_alone(objective, request):
    """Against a plain tape over everything: D's loss differentiated by D, G's by G."""
    model = request.getfixturevalue(objective)
    x, y = batch()
    z, u = next_draws(model)
    with tf.GradientTape(persistent=True) as tape:
        if model.discrete:
            log_p, fake = model.combined([z, u], training=True)
            weights = tf.constant(softmax(np.asarray(fake), axis=1))
            g_loss = -tf.reduce_mean(tf.reduce_sum(weights * log_p, 1))
            x = tf.where(x > 0, 1.0, -1.0)
        else:
            fake = model.discriminator(model.generator(z, training=True), training=True)
            g_loss = tf.reduce_mean(fake**2) / 2
        real = model.discriminator(x, training=True)
        d_loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    _, gradients = model.losses_and_gradients(x, y)
    for name, loss in (("discriminator", d_loss), ("generator", g_loss)):
        variables = [v.value for v in model.networks[name].trainable_variables]
        for ours, plain in zip(gradients[name], tape.gradient(loss, variables), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("objective", ["discrete", "continuous"])
def test_one_step_moves_every_weight_of_both_players(objective, request):
    model = request.getfixturevalue(objective)
    before = {name: values(net.trainable_variables) for name, net in model.networks.items()}
    model.train_step(batch())
    for name, network in model.networks.items():
        assert all(moved(before[name], network.trainable_variables)), name


@pytest.mark.parametrize(
    ("player", "other"), [("generator", "discriminator"), ("discriminator", "generator")]
)
def test_an_update_moves_only_its_own_player(discrete, player, other):
    _, gradients = discrete.losses_and_gradients(*batch())
    own, others = (discrete.networks[name].variables for name in (player, other))
    before_own, before_others = values(own), values(others)
    update = discrete.players[player]
    update.optimizer.apply(gradients[player], update.variables)
    assert any(moved(before_own, own))
    assert not any(moved(before_others, others))


def test_xla_gives_what_the_plain_graph_gives(continuous, monkeypatch):
    """With the continuous loss; tests/test_every_model.py does it with the discrete one."""
    x, y = batch()
    z, _ = next_draws(continuous)  # a seed's noise is another under XLA
    monkeypatch.setattr(continuous, "latent", SimpleNamespace(draw=lambda *_: z))
    (losses, gradients), (plain_losses, plain_gradients) = (
        tf.function(continuous.losses_and_gradients, autograph=False, jit_compile=jit)(x, y)
        for jit in (True, False)
    )
    for name, plain in plain_losses.items():
        assert float(losses[name]) == pytest.approx(float(plain), rel=1e-4)
    for name in ("discriminator", "generator"):
        for g, plain in zip(gradients[name], plain_gradients[name], strict=True):
            np.testing.assert_allclose(g, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())
