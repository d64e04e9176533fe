"""MAD-GAN: shared layers, losses against NumPy, and the generator that the noise chooses."""

from common.errors import UserError
from common.inference.sampler import sampler_of
from madgan.madgan import MADGAN
from tests.helpers.models import (
    assert_gradients,
    assign,
    changed_networks,
    player_update,
    random_batch,
    randomize,
    state_restored,
    state_variables,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

K, BATCH = 3, 4


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 2, "latent_size": 6, "dense_units": 5, "generators": K}
    model = MADGAN(**(sizes | options))
    model.compile(jit="off")
    for network in model.networks.values():
        randomize(network, 0.2)
    return model


@pytest.fixture(scope="module")
def shared():
    """Use `restored` to change it."""
    return small()


@pytest.fixture
def restored(shared):
    """The model, whose state is restored after the test."""
    with state_restored(shared):
        yield shared


# The networks.


@pytest.mark.parametrize("k", [1, 4])
def test_networks_for_digits(k):
    # Shared: 100 to 7x7x64, 313,600 + 128. Of each: 51,200 + 64; 800 + 1. D: 832; 51,200 + 128;
    # 3136 to 512, 1,605,632 + 1,024; 513 for each class.
    counts = weight_counts(MADGAN(generators=k))
    discriminator = 1_658_816 + 513 * (k + 1)
    assert counts == {"generator": 313_728 + k * 52_065, "discriminator": discriminator}
    assert k == 1 or discriminator == 1_661_381


@pytest.mark.parametrize(("number", "trunk"), [(0, 0), (1, 1), (2, 2)])
def test_generators_share_as_many_layers_as_asked_for(number, trunk):
    model = small(shared_layers=number)
    kinds = [type(layer).__name__ for layer in model.generator.layers]
    of_layer = [kinds.count("Dense"), kinds.count("Conv2DTranspose")]
    own = [1 if layer < trunk else K for layer in range(3)]
    assert of_layer == [own[0], own[1] + own[2]]
    x = model.generator(model.prior.of_seed(0, 2), training=True)
    assert x.shape == (2, K, 16, 16, 1)
    assert all((x[:, i] != x[:, j]).numpy().any() for i in range(K) for j in range(i))


def test_layers_of_one_generator_do_not_change_the_others(restored):
    z = restored.prior.of_seed(0, 2)
    before = restored.generator(z, training=False).numpy()
    last = [h for h in restored.generator.layers if h.name.startswith("conv2d_transpose")][-1]
    last.kernel.assign(-last.kernel)
    differs = (restored.generator(z, training=False).numpy() != before).any(axis=(0, 2, 3, 4))
    assert differs.sum() == 1


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (64, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels)
    images = model.sampler(np.zeros((2, 7), "float32"), training=False)
    assert images.shape == (2, size, size, channels)


def test_the_noise_chooses_the_generator(shared):
    noise = shared.latent.of_seed(3, 12)
    of_all = shared.generator(noise[:, :-1], training=False).numpy()
    chosen = np.asarray(shared.latent.chosen(noise))
    assert set(chosen) == {0, 1, 2}
    images = shared.sampler(noise, training=False)
    np.testing.assert_array_equal(images, of_all[np.arange(12), chosen])


# The losses.


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_losses_of_known_logits(shared, monkeypatch):
    """The mean over B real and k B generated images, of the logit of each image's maker."""
    random = np.random.default_rng(0)
    real = random.normal(size=(BATCH, K + 1))
    fake = random.normal(size=(BATCH, K, K + 1))
    monkeypatch.setattr(
        shared, "judge", lambda x, y, of_real: tf.constant(real if of_real else fake, tf.float32)
    )
    losses, _ = shared.objectives(*random_batch())
    terms = [-log_softmax(real)[:, 0].mean()]
    terms += [-log_softmax(fake)[:, i, i + 1].mean() for i in range(K)]
    assert float(losses["discriminator"]) == pytest.approx(np.mean(terms), rel=1e-5)
    assert float(losses["generator"]) == pytest.approx(-log_softmax(fake)[..., 0].mean(), rel=1e-5)


def test_the_loss_of_the_optimum_is_that_of_the_paper(shared, monkeypatch):
    """(k + 1) log(k + 1) - k log k, where generators have modes of their own, as in its theorem.

    There p_i = k p_data, so D_0 = 1 / (k + 1) everywhere and D_i = k / (k + 1).
    """
    real, fake = np.zeros((BATCH, K + 1)), np.full((BATCH, K, K + 1), -1e9)
    for i in range(K):
        fake[:, i, 0], fake[:, i, i + 1] = 0.0, np.log(K)
    monkeypatch.setattr(
        shared, "judge", lambda x, y, of_real: tf.constant(real if of_real else fake, tf.float32)
    )
    losses, _ = shared.objectives(*random_batch())
    total = (K + 1) * np.log(K + 1) - K * np.log(K)
    assert (K + 1) * float(losses["discriminator"]) == pytest.approx(total, rel=1e-5)


def test_each_players_gradients_are_those_of_its_own_loss(restored):
    """Compared with one tape that records everything, with a pass of D for each generator."""
    x, y = random_batch()
    before = values(state_variables(restored))
    with tf.GradientTape(persistent=True) as tape:
        images = restored.generator(restored.prior.draw(BATCH, restored.noise), training=True)
        logits = [restored.discriminator(images[:, i], training=True) for i in range(K)]
        terms = [restored.discriminator(x, training=True), *logits]
        d_loss = tf.reduce_mean([-tf.nn.log_softmax(t)[:, i] for i, t in enumerate(terms)])
        g_loss = tf.reduce_mean([-tf.nn.log_softmax(t)[:, 0] for t in logits])
    assign(state_variables(restored), before)
    logs, gradients = restored.losses_and_gradients(x, y)
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert_gradients(restored, gradients, tape, {"discriminator": d_loss, "generator": g_loss})


def test_one_step_updates_every_weight_from_one_pass_of_all_generators(restored, monkeypatch):
    calls = []
    for name in ("generator", "discriminator"):
        network = getattr(restored, name)

        def counted(*inputs, name=name, call=network.call, **options):
            calls.append(name)
            return call(*inputs, **options)

        monkeypatch.setattr(network, "call", counted)
    assert unchanged_weights(restored, lambda: restored.train_step(random_batch())) == []
    assert sorted(calls) == ["discriminator"] * (K + 1) + ["generator"]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(restored, player):
    _, gradients = restored.losses_and_gradients(*random_batch())
    assert changed_networks(restored, player_update(restored, player, gradients)) == {player}


def test_the_average_of_the_generators_is_used_where_there_is_one():
    model = small(ema=0.9)
    randomize(model.average_generator, 0.2, seed=5)
    noise = model.latent.of_seed(0, 3)
    of_all = model.average_generator(noise[:, :-1], training=False).numpy()
    chosen = np.asarray(model.latent.chosen(noise))
    np.testing.assert_array_equal(
        sampler_of(model).image(noise=noise)["image"], of_all[np.arange(3), chosen]
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("generators", 0), ("shared_layers", -1), ("shared_layers", 3), ("dense_units", -1)],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
