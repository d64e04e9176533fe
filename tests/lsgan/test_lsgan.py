"""LSGAN: networks for digits, both codings of the targets, and the variants of normalization."""

from common.errors import UserError
from lsgan.lsgan import LSGAN
from tests.helpers.models import (
    assert_gradients,
    changed_networks,
    next_noise,
    player_update,
    random_batch,
    randomize,
    unchanged_weights,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

CODINGS = {"binary": (0, 1, 1), "pearson": (-1, 1, 0)}  # a, b, c


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 5}
    model = LSGAN(**(sizes | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module", params=CODINGS)
def coded(request):
    """A model with large weights, which tests may change, and its (a, b, c)."""
    model = small(coding=request.param)
    for network in model.networks.values():
        randomize(network, 0.1)
    return model, CODINGS[request.param]


# The networks.


@pytest.mark.parametrize(
    ("normalize", "G", "D"),
    [("both", 1_716_193, 1_659_329), ("neither", 1_712_513, 1_658_753)],
)
def test_networks_for_digits_have_a_hidden_dense_layer(normalize, G, D):
    # G: 100 to 512, 51,200; to 7x7x64, 1,605,632; transposed convolutions 51,200 and 800 + 1; two
    # weights for each of the 512 + 3136 + 32 normalized units and channels, else a bias.
    # D: 800 + 32; 51,200; 3136 to 512, 1,605,632; 512 + 1; and for 64 + 512 as for G.
    model = LSGAN(width=32, dense_units=512, normalize=normalize)
    assert weight_counts(model) == {"generator": G, "discriminator": D}
    model = LSGAN(dense_units=None, width=2)
    dense = [layer.units for layer in model.discriminator.layers if "dense" in layer.name]
    assert model.generator.layers[1].units == 1024 and dense == [1024, 1]
    assert LSGAN(image_size=64, width=2).dense_units == 0


@pytest.mark.parametrize(
    ("normalize", "of_g", "of_d"),
    [("both", 3, 2), ("discriminator", 0, 2), ("neither", 0, 0)],
)
def test_the_networks_that_are_normalized(normalize, of_g, of_d):
    model = small(normalize=normalize)
    for network, count in ((model.generator, of_g), (model.discriminator, of_d)):
        kinds = [type(layer).__name__ for layer in network.layers]
        assert kinds.count("BatchNormalization") == count


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (64, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 6), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


def test_scores_have_no_bounds():
    model = small(normalize="neither")
    kernel, bias = model.discriminator.trainable_variables[-2:]
    x = random_batch()[0]
    before = model.discriminator(x, training=False).numpy()
    kernel.assign(1e6 * kernel)
    bias.assign(bias - 1e3)
    np.testing.assert_allclose(model.discriminator(x), 1e6 * before - 1e3, rtol=1e-3)


# The losses.


def test_losses_of_known_scores(coded, monkeypatch):
    """1/2 of the squared distance to b for real images, to a and c for generated ones."""
    model, (a, b, c) = coded
    real, fake = [[0.3], [0.3], [-2.0], [5.0]], [[0.2], [-0.6], [3.0], [3.0]]
    monkeypatch.setattr(model, "judge", lambda x, y, real_: tf.constant(real if real_ else fake))
    losses, _ = model.objectives(*random_batch())
    real, fake = np.array(real), np.array(fake)
    d_loss = np.mean((real - b) ** 2) / 2 + np.mean((fake - a) ** 2) / 2
    assert float(losses["discriminator"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["generator"]) == pytest.approx(np.mean((fake - c) ** 2) / 2, rel=1e-5)


def test_each_players_gradients_are_those_of_its_own_loss(coded):
    """Compared with one tape that records everything: two passes of D, one of G for both."""
    model, (a, b, c) = coded
    x, y = random_batch()
    z = next_noise(model)
    with tf.GradientTape(persistent=True) as tape:
        fake = model.discriminator(model.generator(z, training=True), training=True)
        real = model.discriminator(x, training=True)
        d_loss = tf.reduce_mean((real - b) ** 2) / 2 + tf.reduce_mean((fake - a) ** 2) / 2
        g_loss = tf.reduce_mean((fake - c) ** 2) / 2
    losses, gradients = model.losses_and_gradients(x, y)
    assert float(losses["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert_gradients(model, gradients, tape, {"discriminator": d_loss, "generator": g_loss})


def test_one_step_updates_every_weight(coded):
    model, _ = coded
    assert unchanged_weights(model, lambda: model.train_step(random_batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(coded, player):
    model, _ = coded
    _, gradients = model.losses_and_gradients(*random_batch())
    assert changed_networks(model, player_update(model, player, gradients)) == {player}


# Optimizers and options.


def test_each_player_has_an_optimizer_of_the_requested_kind():
    for options, kind in (({}, "Adam"), ({"optimizer": "rmsprop"}, "RMSprop")):
        model = small(learning_rate=3e-4, **options)
        optimizers = [player.optimizer for player in model.players.values()]
        assert [type(optimizer).__name__ for optimizer in optimizers] == [kind] * 2
        assert optimizers[0] is not optimizers[1]
        assert [float(o.learning_rate) for o in optimizers] == pytest.approx([3e-4] * 2)


def test_rmsprop_is_that_of_the_authors_run_without_batch_normalization():
    """stability_comparison/BN_GD_ls_rms has tf.train.RMSPropOptimizer(2e-4): its decay is 0.9."""
    model = small(normalize="neither", optimizer="rmsprop")
    assert [player.optimizer.rho for player in model.players.values()] == [0.9, 0.9]


@pytest.mark.parametrize(
    ("option", "value"),
    [("image_size", 30), ("dense_units", -1), ("width", 0), ("latent_size", 0), ("beta_1", -0.1)],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
