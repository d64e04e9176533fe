"""pix2pix: the paper's networks, its losses against NumPy, and which weights a step updates."""

from common.errors import UserError
from pix2pix.pix2pix import Pix2Pix
from tests.helpers.models import (
    assert_gradients,
    changed_networks,
    count_weights,
    log_sigmoid,
    player_update,
    random_batch,
    unchanged_weights,
)

import keras
import numpy as np
import pytest
import tensorflow as tf


def batch(count=1, channels=(3, 3)):
    """Conditions and targets, each float32 (count, 32, 32, channels)."""
    return tuple(random_batch(32, count, c, seed=seed)[0] for seed, c in enumerate(channels))


def small(**options):
    keras.utils.set_random_seed(1)
    return Pix2Pix(**({"image_size": 32, "width": 4} | options))


@pytest.fixture(scope="module")
def paper():
    return Pix2Pix()


def test_the_papers_networks(paper):
    # The counts with a bias in every convolution, less the biases that normalization would cancel.
    assert count_weights(paper.generator) == 54_419_459 - 4_928
    assert count_weights(paper.discriminator) == 2_769_601 - 896
    x = keras.Input((256, 256, 3))
    assert paper.generator(x).shape == (None, 256, 256, 3)
    assert paper.discriminator([x, x]).shape == (None, 30, 30, 1)


def test_the_unet_normalizes_inner_levels_and_drops_out_in_three(paper):
    kinds = [type(layer).__name__ for layer in paper.generator.layers]
    assert kinds.count("BatchNormalization") == 6 + 7
    assert kinds.count("Dropout") == 3
    innermost = max(i for i, kind in enumerate(kinds) if kind == "Conv2D")
    assert kinds[innermost + 1 : innermost + 4] == ["ReLU", "Conv2DTranspose", "BatchNormalization"]
    first_up = kinds.index("Conv2DTranspose")
    assert kinds[first_up:].index("Dropout") == 2  # right after the first normalization


@pytest.mark.parametrize("size", [32, 64, 128])
def test_powers_of_two_as_image_size_and_multiples_as_input(size):
    model = small(image_size=size, width=2)
    kinds = [type(layer).__name__ for layer in model.generator.layers]
    assert kinds.count("Conv2D") == np.log2(size)
    shape = (1, size, 2 * size, 3)
    assert model.generator(np.zeros(shape, "float32")).shape == shape


@pytest.mark.parametrize("size", [16, 48, 100, 0])
def test_invalid_image_sizes_are_refused_by_name(size):
    with pytest.raises(UserError, match=f"--image_size {size}: .*power of two"):
        Pix2Pix(image_size=size)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("l1_weight", -1.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize("channels", [(1, 3), (3, 1)])
def test_grayscale_and_rgb(channels):
    model = small(channels_in=channels[0], channels_out=channels[1])
    losses = model.train_step(batch(channels=channels))
    assert all(np.isfinite(value) for value in losses.values())


def forward(model, x, y):
    """(y_hat, fake logits, real logits) as arrays; a step's own if dropout is off."""
    y_hat = model.generator(x, training=True)
    fake = model.discriminator([x, y_hat], training=True)
    real = model.discriminator([x, y], training=True)
    return np.asarray(y_hat), np.asarray(fake), np.asarray(real)


def test_losses_match_the_papers_equations():
    model, (x, y) = small(dropout=0.0, l1_weight=10.0), batch()
    y_hat, fake, real = forward(model, x, y)
    losses, _ = model.losses_and_gradients(x, y)
    l1 = np.abs(np.asarray(y) - y_hat).mean()
    d_loss = -0.5 * (log_sigmoid(real).mean() + log_sigmoid(-fake).mean())
    assert float(losses["l1"]) == pytest.approx(l1, rel=1e-5)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean() + 10 * l1, rel=1e-5)


def test_least_squares_objective():
    model, (x, y) = small(dropout=0.0, objective="least_squares", l1_weight=0.0), batch()
    _, fake, real = forward(model, x, y)
    losses, _ = model.losses_and_gradients(x, y)
    d_loss = 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(((fake - 1) ** 2).mean(), rel=1e-5)


def test_one_step_updates_every_weight():
    model = small()
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(player):
    model = small()
    _, gradients = model.losses_and_gradients(*batch())
    assert changed_networks(model, player_update(model, player, gradients)) == {player}


def test_each_players_gradients_are_those_of_its_own_loss():
    """Compared with one tape that records everything."""
    model, (x, y) = small(dropout=0.0), batch()
    with tf.GradientTape(persistent=True) as tape:
        y_hat = model.generator(x, training=True)
        fake = model.discriminator([x, y_hat], training=True)
        real = model.discriminator([x, y], training=True)
        bce = tf.nn.sigmoid_cross_entropy_with_logits
        d_loss = tf.reduce_mean(bce(tf.ones_like(real), real)) / 2
        d_loss += tf.reduce_mean(bce(tf.zeros_like(fake), fake)) / 2
        g_loss = tf.reduce_mean(bce(tf.ones_like(fake), fake))
        g_loss += 100 * tf.reduce_mean(tf.abs(y - y_hat))
    _, gradients = model.losses_and_gradients(x, y)
    losses = {"discriminator": d_loss, "generator": g_loss}
    assert_gradients(model, gradients, tape, losses, atol=1e-5)


def test_the_discriminator_is_conditioned_on_x():
    model, (x, y) = small(), batch()
    other = tf.reverse(x, [2])
    a, b = (model.discriminator([condition, y], training=False) for condition in (x, other))
    assert np.abs(a - b).max() > 1e-6


def test_training_on_one_pair_lowers_the_l1_loss():
    model = small(width=8, dropout=0.0, learning_rate=2e-3)
    x, _ = batch()
    model.make_train_function()
    pairs = iter(tf.data.Dataset.from_tensors((x, -x)).repeat())
    first = float(model.train_function(pairs)["l1"])
    for _ in range(60):
        last = float(model.train_function(pairs)["l1"])
    assert last < 0.5 * first


def test_dropout_and_image_statistics_at_inference_are_the_papers_and_optional():
    x, _ = batch(count=2)
    model = small()
    noisy = np.asarray(model.generator(x, training=False))
    plain = small(inference_dropout=False)
    plain.generator.set_weights(model.generator.get_weights())
    assert np.abs(noisy - plain.generator(x, training=False)).max() > 1e-4
    # By default with each image's own statistics: independent of the other images of the batch.
    np.testing.assert_allclose(model.generator(x[:1], training=False)[0], noisy[0], atol=1e-5)
    moving = small(inference_dropout=False, inference_statistics="moving")
    moving.generator.set_weights(model.generator.get_weights())
    assert np.abs(moving.generator(x) - plain.generator(x)).max() > 1e-4


def test_inference_without_dropout_at_batch_size_1_is_the_training_pass():
    (x, _), generator = batch(), small(dropout=0.0).generator
    np.testing.assert_allclose(generator(x, training=False), generator(x, training=True), atol=1e-4)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_without_transposed_convolutions(upsampling):
    model = small(upsampling=upsampling)
    kinds = [type(layer).__name__ for layer in model.generator.layers]
    assert "Conv2DTranspose" not in kinds and kinds.count("ResizeConvolution") == 5
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []
    x = np.zeros((1, 32, 64, 3), "float32")
    assert model.generator(x).shape == x.shape


def test_other_patch_sizes():
    x = keras.Input((64, 64, 3))
    sides = {
        strided: small(image_size=64, strided=strided).discriminator([x, x]).shape[1]
        for strided in (1, 2, 3, 4)
    }
    assert sides == {1: 30, 2: 14, 3: 6, 4: 2}
    defaults = {size: small(image_size=size, width=1).strided for size in (32, 64, 128, 256)}
    assert defaults == {32: 1, 64: 1, 128: 2, 256: 3}
    with pytest.raises(UserError, match="--strided 5: give less, or an --image_size of 96 or more"):
        small(image_size=64, strided=5)
