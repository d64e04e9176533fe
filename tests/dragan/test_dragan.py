"""DRAGAN: networks without normalization in D, the neighbourhood of real images, the penalty."""

from common.errors import UserError
from dragan.dragan import DRAGAN
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


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 5}
    model = DRAGAN(**(sizes | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def shared():
    """A model with large weights, which tests may change."""
    model = small()
    for network in model.networks.values():
        randomize(network, 0.2)
    return model


# The networks.


def test_networks_for_digits():
    # G: 100 to 512, 51,200; to 7x7x64, 1,605,632; transposed convolutions 51,200 and 800 + 1; two
    # weights for each of the 512 + 3136 + 32 normalized units and channels.
    # D: 800 + 32; 51,200 + 64; 3136 to 512, 1,605,632 + 512; 512 + 1.
    counts = weight_counts(DRAGAN(width=32, dense_units=512))
    assert counts == {"generator": 1_716_193, "discriminator": 1_658_753}
    assert DRAGAN(width=2).dense_units == 1024
    assert DRAGAN(width=2, image_size=64).dense_units == 0


def test_a_logit_is_that_of_its_image_alone(shared):
    kinds = [type(layer).__name__ for layer in shared.discriminator.layers]
    assert "BatchNormalization" not in kinds and "Dropout" not in kinds
    kinds = [type(layer).__name__ for layer in shared.generator.layers]
    assert kinds.count("BatchNormalization") == 3
    x = random_batch()[0]
    together = shared.discriminator(x, training=True)
    np.testing.assert_allclose(
        together[1:2], shared.discriminator(x[1:2], training=True), atol=1e-6
    )


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (64, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 6), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


# The neighbourhood of real images.


def framed(count=200):
    """Images of contrast in a frame that is black in all of them."""
    x = np.full((count, 16, 16, 1), -1.0, "float32")
    x[:, 4:-4, 4:-4] = np.random.default_rng(0).uniform(-1, 1, (count, 8, 8, 1))
    return x


def deltas(model, x):
    """The perturbation of each image in standard deviations of the whole batch, (B, 256)."""
    return (model.perturbed(tf.constant(x)).numpy() - x).reshape(len(x), -1) / x.std()


def test_points_are_a_random_share_of_the_way_to_a_perturbed_copy(shared):
    """x + alpha s u with s half the standard deviation of all pixels, u in [0, 1) in each pixel."""
    delta = deltas(shared, framed())
    assert delta.min() > -1e-6 and 0.48 < delta.max() < 0.5
    frame = np.ones((16, 16), bool)
    frame[4:-4, 4:-4] = False
    # A pixel that never varies is perturbed as much as the others.
    outside, inside = delta[:, frame.ravel()].mean(), delta[:, ~frame.ravel()].mean()
    assert outside == pytest.approx(inside, rel=0.05) == pytest.approx(0.125, rel=0.1)
    # One alpha for all pixels of an image: there u alone varies, whose deviation is 3^-1/2 means.
    mean, deviation = delta.mean(axis=1), delta.std(axis=1)
    np.testing.assert_allclose(deviation / mean, np.full(200, 3**-0.5), rtol=0.2)
    alpha = mean / 0.25
    assert alpha.min() < 0.05 and alpha.max() > 0.95
    assert alpha.std() == pytest.approx(12**-0.5, rel=0.1)


def test_other_distributions_and_sizes_of_the_perturbation():
    signed = deltas(small(perturbation="signed", perturbation_size=2.0), framed())
    assert -2 <= signed.min() < -1.9 and 1.9 < signed.max() <= 2
    assert signed.mean() == pytest.approx(0, abs=0.02)
    gaussian = deltas(small(perturbation="gaussian", perturbation_size=1.0), framed())
    assert gaussian.mean() == pytest.approx(0, abs=0.02)
    assert gaussian.std() == pytest.approx(3**-0.5, rel=0.1)  # E[alpha^2] is 1/3
    assert np.abs(gaussian).max() > 2
    assert not deltas(small(perturbation_size=0.0), framed()).any()


# The losses.


@pytest.mark.parametrize(
    ("slope", "k", "weight"),
    [(0.25, 1.0, 10.0), (0.5, 1.0, 10.0), (2.0, 1.0, 3.0), (1.0, 0.5, 1.0)],
)
def test_the_penalty_of_a_logit_of_known_slope(shared, monkeypatch, slope, k, weight):
    """Two-sided, by pixels in [0, 1], where the slope is twice that in [-1, 1]."""
    direction = tf.constant(np.random.default_rng(0).normal(size=(16, 16, 1)), tf.float32)
    direction *= slope / tf.norm(direction)
    points = []

    def linear(images, classes, real):
        points.append(images)
        return tf.reduce_sum(images * direction, (1, 2, 3))[:, None]

    monkeypatch.setattr(shared, "judge", linear)
    monkeypatch.setattr(shared, "k", k)
    monkeypatch.setattr(shared, "penalty_weight", weight)
    x, y = random_batch()
    real = shared.judged(x, y, True)
    penalty, logs = shared.penalty(real, fake=None)  # it takes no generated images
    assert float(logs["gradient_norm"]) == pytest.approx(2 * slope, rel=1e-5)
    assert float(penalty) == pytest.approx(weight * (2 * slope - k) ** 2, abs=1e-5)
    assert np.abs(points[-1] - x).max() <= 0.5 * np.std(x)  # near the real images
    assert np.abs(points[-1] - x).max() > 0.1


def test_losses_and_gradients_match_the_papers_equations(shared, monkeypatch):
    """Compared with one tape that records everything, at known points near the real images."""
    x, y = random_batch()
    z = next_noise(shared)
    near = x + 0.1 * tf.sin(40 * x)
    with tf.GradientTape(persistent=True) as tape:
        fake = shared.discriminator(shared.generator(z, training=True), training=True)
        real = shared.discriminator(x, training=True)
        with tf.GradientTape() as inner:
            pixels = (near + 1) / 2
            inner.watch(pixels)
            logits = shared.discriminator(2 * pixels - 1, training=True)
        norm = tf.norm(tf.reshape(inner.gradient(logits, pixels), (4, -1)), axis=1)
        d_loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
        d_loss += 10 * tf.reduce_mean((norm - 1) ** 2)
        g_loss = tf.reduce_mean(tf.nn.softplus(-fake))
    monkeypatch.setattr(shared, "perturbed", lambda images: near)
    logs, gradients = shared.losses_and_gradients(x, y)
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert float(logs["gradient_norm"]) == pytest.approx(np.mean(norm), rel=1e-4)
    assert_gradients(shared, gradients, tape, {"discriminator": d_loss, "generator": g_loss})


def test_one_step_updates_every_weight_of_both_players(shared):
    assert unchanged_weights(shared, lambda: shared.train_step(random_batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(shared, player):
    _, gradients = shared.losses_and_gradients(*random_batch())
    assert changed_networks(shared, player_update(shared, player, gradients)) == {player}


def test_the_penalty_draws_fresh_noise_in_each_step(shared):
    points = [shared.perturbed(random_batch()[0]).numpy() for _ in range(2)]
    assert np.abs(points[0] - points[1]).max() > 0.05


def test_adam_has_the_constants_of_the_authors_code():
    for player in small().players.values():
        assert (player.optimizer.beta_1, player.optimizer.beta_2) == (0.5, 0.9)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image_size", 30),
        ("dense_units", -1),
        ("penalty_weight", -1.0),
        ("gradient_norm", -0.5),
        ("perturbation_size", -0.5),
        ("width", 0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
