"""WGAN-GP: the authors' networks and initial weights, the penalty, when G is updated."""

from common.errors import UserError
from tests.helpers.models import (
    assert_gradients,
    changed_networks,
    next_noise,
    random_batch,
    unchanged_weights,
    weight_counts,
)
from wgan_gp.wgan_gp import WGANGP, halvings

import keras
import numpy as np
import pytest
import tensorflow as tf


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6}
    model = WGANGP(**(sizes | {"n_critic": 3} | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def shared():
    """A model whose weights tests may change, as none depends on their values."""
    return small()


# The networks.


@pytest.mark.parametrize(
    ("options", "G", "critic"),
    [
        # Dense 128 to 4x4x256, 528,384; 256 to 128, 819,328; to 64, 204,864; to 1, 1,601.
        # 1 to 64, 1,664; 204,928; 819,456; 4x4x256 to a score, 4,097.
        ({}, 1_554_177, 1_030_145),
        ({"width": 32}, 521_089, 259_073),
        # The authors' DCGAN for CIFAR-10: 2 (8192 + 256 + 128) weights of normalization.
        (
            {"image_size": 32, "channels": 3, "width": 128, "normalize_generator": True},
            5_179_907,
            4_114_689,
        ),
    ],
)
def test_the_authors_networks(options, G, critic):
    assert weight_counts(WGANGP(**options)) == {"generator": G, "discriminator": critic}


def test_layers_halve_the_side_down_to_4_pixels_without_normalization():
    model = small(image_size=28)
    up = "Conv2DTranspose"
    kinds = {
        name: [type(layer).__name__ for layer in network.layers[1:]]
        for name, network in model.networks.items()
    }
    down = ["Conv2D", "LeakyReLU"]
    assert kinds["discriminator"] == [*down * 3, "Flatten", "Dense", "Activation"]
    layers = [kind for kind in kinds["generator"] if kind != "GetItem"]  # but for the crops
    assert layers == ["Dense", "ReLU", "Reshape", up, "ReLU", up, "ReLU", up, "Activation"]
    maps = [layer.output.shape[1:] for layer in model.discriminator.layers if "leaky" in layer.name]
    assert maps == [(14, 14, 4), (7, 7, 8), (4, 4, 16)]
    leaky = [layer for layer in model.discriminator.layers if "leaky" in layer.name]
    assert [layer.negative_slope for layer in leaky] == pytest.approx([0.2] * 3)
    assert model.discriminator.layers[-1].activation is keras.activations.linear
    assert model.generator.layers[-1].activation is keras.activations.tanh
    normalized = small(normalize_generator=True)
    kinds = [type(layer).__name__ for layer in normalized.generator.layers]
    assert kinds.count("BatchNormalization") == 2
    assert not any("Normalization" in str(layer) for layer in normalized.discriminator.layers)


@pytest.mark.parametrize(
    ("side", "sides"), [(28, [28, 14, 7, 4]), (9, [9, 5, 3]), (64, [64, 32, 16, 8, 4]), (8, [8, 4])]
)
def test_sides_are_halved_and_rounded_up(side, sides):
    assert halvings(side) == sides


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (9, 1), (30, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 6), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


def test_the_variance_of_initial_weights_follows_fan_in_and_fan_out():
    """Uniform with variance 4 / (fan in + fan out), a quarter of them at the strided side."""
    model = small(image_size=16, width=32, latent_size=40)
    dense, up, last = (w for w in model.generator.get_weights() if w.ndim > 1)
    first, second, score = (w for w in model.discriminator.get_weights() if w.ndim > 1)
    for kernel, fans in (
        (up, 25 * 64 / 4 + 25 * 32),
        (last, 25 * 32 / 4 + 25 * 1),
        (first, 25 * 1 + 25 * 32 / 4),
        (second, 25 * 32 + 25 * 64 / 4),
        (dense, 2 * (40 + 1024)),  # Glorot: 2 / (fan in + fan out)
        (score, 2 * (1024 + 1)),
    ):
        deviation = (4 / fans) ** 0.5
        assert kernel.std() == pytest.approx(deviation, rel=0.06)
        assert 0.97 * 3**0.5 * deviation < np.abs(kernel).max() <= 3**0.5 * deviation * (1 + 1e-6)
    for network in model.networks.values():
        assert not any(w.any() for w in network.get_weights() if w.ndim == 1)


def test_a_score_is_that_of_its_image_alone(shared):
    x = random_batch()[0]
    together = shared.discriminator(x, training=True)
    np.testing.assert_allclose(
        together[1:2], shared.discriminator(x[1:2], training=True), atol=1e-6
    )


# The losses.


def test_losses_and_gradients_match_the_papers_equations(shared, monkeypatch):
    """Compared with one tape that records everything; e is known, one number for each pair."""
    e = tf.constant([0.1, 0.4, 0.6, 0.9])[:, None, None, None]

    def uniform(shape, **_):
        assert tuple(shape) == (4, 1, 1, 1)
        return e

    x, y = random_batch()
    z = next_noise(shared)
    with tf.GradientTape(persistent=True) as tape:
        images = shared.generator(z, training=True)
        fake = tf.reduce_mean(shared.discriminator(images, training=True))
        real = tf.reduce_mean(shared.discriminator(x, training=True))
        with tf.GradientTape() as inner:
            x_hat = tf.stop_gradient(e * x + (1 - e) * images)
            inner.watch(x_hat)
            scores = shared.discriminator(x_hat, training=True)
        norm = tf.norm(tf.reshape(inner.gradient(scores, x_hat), (4, -1)), axis=1)
        penalty = 10 * tf.reduce_mean((norm - 1) ** 2)
        expected = {"discriminator": fake - real + penalty, "generator": -fake}
    monkeypatch.setattr(keras.random, "uniform", uniform)
    state = shared.noise.state.numpy()
    logs, gradients = shared.losses_and_gradients(x, y)
    shared.noise.state.assign(state)
    g_logs, of_g = shared.losses_and_gradients(
        x, y, objectives=shared.g_objectives, only=["generator"]
    )
    assert float(logs["d_loss"]) == pytest.approx(float(expected["discriminator"]), rel=1e-5)
    for found in (logs, g_logs):
        assert float(found["g_loss"]) == pytest.approx(-float(fake), abs=1e-6)
    assert float(logs["wasserstein"]) == pytest.approx(float(real - fake), abs=1e-6)
    assert float(logs["gradient_norm"]) == pytest.approx(np.mean(norm), rel=1e-5)
    assert_gradients(shared, gradients, tape, expected)
    assert_gradients(shared, of_g, tape, {"generator": expected["generator"]})


@pytest.mark.parametrize("weight", [10.0, 0.1, 0.0])
@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_the_penalty_of_a_critic_of_known_slope_is_two_sided(shared, monkeypatch, norm, weight):
    direction = tf.constant(np.random.default_rng(0).normal(size=(16, 16, 1)), tf.float32)
    direction *= norm / tf.norm(direction)
    monkeypatch.setattr(
        shared, "judge", lambda x, y, real: tf.reduce_sum(x * direction, (1, 2, 3))[:, None]
    )
    monkeypatch.setattr(shared, "penalty_weight", weight)
    x, y = random_batch()
    penalty, logs = shared.penalty(shared.judged(x, y, True), shared.judged(-x, y, False))
    assert float(penalty) == pytest.approx(weight * (norm - 1) ** 2, abs=1e-5)
    assert float(logs["gradient_norm"]) == pytest.approx(norm, rel=1e-5)


def test_the_slope_is_taken_between_real_and_generated_images(shared, monkeypatch):
    """At a point of its own on each line between two images."""
    x, y = random_batch(count=64)
    real, fake = shared.judged(x, y, True), shared.judged(tf.tanh(3 * x[::-1]), y, False)
    points, judge = [], shared.judge

    def recorded(images, classes, real):
        points.append(images)
        return judge(images, classes, real)

    monkeypatch.setattr(shared, "judge", recorded)
    shared.penalty(real, fake)
    (x_hat,) = points
    on_line = (x_hat - fake.images) / (real.images - fake.images)
    shares = np.median(np.reshape(on_line, (64, -1)), axis=1)  # a denominator may be near 0
    e = shares[:, None, None, None]
    np.testing.assert_allclose(x_hat, e * real.images + (1 - e) * fake.images, atol=1e-5)
    assert 0 <= shares.min() < 0.2 and 0.8 < shares.max() < 1
    assert len(np.unique(shares.round(4))) > 60


# The course of training.


def test_the_generator_is_updated_after_every_n_critic_updates_of_the_critic():
    model, networks = small(), []
    for _ in range(6):
        networks.append(changed_networks(model, lambda: model.train_step(random_batch())))
    both = {"discriminator", "generator"}
    assert networks == [{"discriminator"}, {"discriminator"}, both] * 2
    assert int(model.g_steps) == 2


def test_each_update_draws_fresh_noise():
    """The second number of a Keras seed counts the draws: z and e for the critic, z for G."""
    model = small()
    draws = [int(model.noise.state[1])]
    for _ in range(3):
        model.train_step(random_batch())
        draws.append(int(model.noise.state[1]))
    assert np.diff(draws).tolist() == [2, 2, 3]


def test_a_round_updates_every_weight(shared):
    def steps():
        for _ in range(3):
            shared.train_step(random_batch())

    # A constant added to all scores is none of the critic's loss.
    constant = shared.discriminator.trainable_variables[-1].path
    assert unchanged_weights(shared, steps) in ([], [constant])


def test_adam_has_the_constants_of_the_authors_code_for_digits():
    for player in WGANGP(width=2).players.values():
        optimizer = player.optimizer
        assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.9)
        assert float(optimizer.learning_rate) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image_size", 7),
        ("n_critic", 0),
        ("penalty_weight", -1.0),
        ("width", 0),
        ("latent_size", 0),
        ("learning_rate", 0.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
