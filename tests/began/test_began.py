"""BEGAN: the auto-encoder's networks, the losses, the controller, the halved learning rate."""

from began.began import BEGAN
from common.distributed.replicas import Replicas
from common.errors import UserError
from common.tasks.generation import Generation
from common.training.options import TrainingOptions
from common.training.run_folder import Run
from common.training.train import prepare
from tests.helpers.models import (
    assert_gradients,
    changed_networks,
    next_noise,
    player_update,
    random_batch,
    unchanged_weights,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf


def small(**options):
    keras.utils.set_random_seed(1)
    defaults = {"image_size": 16, "width": 3, "latent_size": 5, "gamma": 0.75}
    model = BEGAN(**(defaults | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def shared():
    """A model whose weights tests may change, as none depends on their values."""
    return small()


# The networks.


@pytest.mark.parametrize(("width", "G", "D"), [(16, 39_937, 180_145), (32, 107_521, 516_929)])
def test_networks_for_digits(width, G, D):
    # G with n = 16: 32 to 7x7x16, 25,872; six convolutions 16 to 16, 13,920; to a channel, 145.
    # D: its decoder the same; 1 to 16, 160; 3 (16 to 16), 6,960; 16 to 32, 4,640, and 2 (32 to 32),
    # 18,496; 32 to 48, 13,872; 48 to 48, 20,784; 7x7x48 to 32, 75,296.
    assert weight_counts(BEGAN(width=width)) == {"generator": G, "discriminator": D}


def test_the_papers_networks_for_64x64_begin_with_8x8():
    """Figure 1: the code becomes 8x8xn, and the encoder ends with 8x8."""
    # G: 64 to 8x8x128, 532,480; 8 (128 to 128), two at each of 8, 16, 32 and 64 pixels, 1,180,672;
    # to 3 channels, 3,459. D: its decoder the same; 3 to 128, 3,584; 3 (128 to 128), 442,752; 128
    # to 256, 295,168; 2 (256 to 256), 1,180,160; 256 to 384, 885,120; 2 (384 to 384), 2,654,976;
    # 384 to 512, 1,769,984; 512 to 512, 2,359,808; 8x8x512 to 64, 2,097,216.
    model = BEGAN(image_size=64, channels=3, width=128, latent_size=64)
    assert weight_counts(model) == {"generator": 1_716_611, "discriminator": 13_405_379}


def layers_of(network):
    """Kind, filters or units, kernel, strides and activation of each layer with weights."""
    return [
        (
            type(layer).__name__,
            getattr(layer, "filters", None) or layer.units,
            getattr(layer, "kernel_size", None),
            getattr(layer, "strides", None),
            layer.activation.__name__,
        )
        for layer in network.layers
        if layer.weights
    ]


def convolution(filters, strides=1, activation="elu"):
    return "Conv2D", filters, (3, 3), (strides, strides), activation


def test_g_has_the_architecture_of_ds_decoder():
    model = small(image_size=28, channels=3)
    decoder = [
        ("Dense", 7 * 7 * 3, None, None, "linear"),
        *[convolution(3)] * 6,
        convolution(3, activation="linear"),
    ]
    encoder = [
        *(convolution(3), convolution(3), convolution(3), convolution(3, strides=2)),
        *(convolution(6), convolution(6), convolution(6, strides=2)),
        *(convolution(9), convolution(9)),
        ("Dense", 5, None, None, "linear"),
    ]
    assert layers_of(model.generator) == decoder
    assert layers_of(model.discriminator) == encoder + decoder
    for network in model.networks.values():
        kinds = [type(layer).__name__ for layer in network.layers]
        assert not {"BatchNormalization", "Dropout"} & set(kinds)
        ups = [layer for layer in network.layers if isinstance(layer, keras.layers.UpSampling2D)]
        assert [(up.size, up.interpolation) for up in ups] == [((2, 2), "nearest")] * 2
        assert network.layers[-1].activation is keras.activations.linear
    own = {id(v) for v in model.generator.variables}
    assert not own & {id(v) for v in model.discriminator.variables}


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (48, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 5), "float32"), training=False)
    assert images.shape == model.discriminator(images).shape == (2, size, size, channels)


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_what_the_generator_gives_beyond_1_is_cut_off_in_use(ema):
    model = small(ema=ema)
    network = model.sampling_network
    assert (network is model.average_generator) == (ema > 0)
    kernel = network.trainable_variables[-2]
    kernel.assign(1000 * kernel)
    z = model.latent.of_seed(0, 3)
    images = network(z).numpy()
    assert images.min() < -1.5 and images.max() > 1.5
    np.testing.assert_allclose(model.sampler(z, training=False), np.clip(images, -1, 1))
    # Training sees the images as they are.
    model.generator.set_weights(network.get_weights())
    drawn, _ = model.generate(tf.zeros(20, tf.int32))
    assert np.abs(drawn).max() > 1.5


# The losses.


def absolute(images, reconstructions):
    return tf.reduce_mean(tf.abs(images - reconstructions))


@pytest.mark.parametrize("constant_target", [False, True])
@pytest.mark.parametrize("k", [0.0, 0.4])
def test_losses_and_gradients_match_the_papers_equations(shared, k, constant_target):
    """Compared with one tape that records everything.

    With a constant for the images that reconstructions are compared with, G's gradient is another.
    """
    shared.k.assign(k)
    x, y = random_batch()
    z = next_noise(shared)
    with tf.GradientTape(persistent=True) as tape:
        images = shared.generator(z, training=True)
        target = tf.stop_gradient(images) if constant_target else images
        fake = absolute(target, shared.discriminator(images, training=True))
        real = absolute(x, shared.discriminator(x, training=True))
        d_loss = real - k * fake
    logs, gradients = shared.losses_and_gradients(x, y)
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(float(fake), rel=1e-5)
    assert float(logs["ratio"]) == pytest.approx(float(fake / real), rel=1e-5)
    m_global = float(real) + abs(0.75 * float(real) - float(fake))
    assert float(logs["m_global"]) == pytest.approx(m_global, rel=1e-5)
    assert_gradients(shared, gradients, tape, {"discriminator": d_loss})
    if constant_target:
        with pytest.raises(AssertionError):
            assert_gradients(shared, gradients, tape, {"generator": fake})
    else:
        assert_gradients(shared, gradients, tape, {"generator": fake})


def test_the_energy_is_the_loss_of_each_image(shared):
    x, _ = random_batch()
    energies, again = shared.energy(x)
    reconstruction = shared.discriminator(x).numpy()
    np.testing.assert_allclose(energies, np.abs(x - reconstruction).mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(again, reconstruction)
    assert float(absolute(x, reconstruction)) == pytest.approx(np.mean(energies), rel=1e-5)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(shared, player):
    k = float(shared.k)
    _, gradients = shared.losses_and_gradients(*random_batch())
    assert changed_networks(shared, player_update(shared, player, gradients)) == {player}
    assert float(shared.k) == k


def test_one_step_updates_every_weight(shared):
    shared.k.assign(0.5)
    assert unchanged_weights(shared, lambda: shared.train_step(random_batch())) == []


# The controller.


def losses_of_next_step(model):
    """L(x) and L(G(z)) of the next step, in NumPy."""
    x, _ = random_batch()
    images = model.generator(next_noise(model), training=True).numpy()
    return (np.abs(v - model.discriminator(v).numpy()).mean() for v in (x.numpy(), images))


def test_k_follows_the_balance_of_the_losses_that_the_players_were_updated_by():
    model = small(gamma=0.5, controller_rate=0.1, learning_rate=0.01)
    k, logged = 0.5, []
    model.k.assign(k)
    for _ in range(3):
        real, fake = losses_of_next_step(model)
        logs = model.train_step(random_batch())
        logged.append(float(logs["k"]))
        assert "balance" not in logs
        assert logged[-1] == pytest.approx(k, abs=1e-6)  # that of the step's loss
        assert float(logs["d_loss"]) == pytest.approx(real - k * fake, rel=1e-4)
        k += 0.1 * (0.5 * real - fake)
        assert float(model.k) == pytest.approx(k, rel=1e-5)
    assert len({round(value, 4) for value in logged}) == 3


def test_k_begins_with_0_and_is_kept_from_0_to_1():
    model = small(controller_rate=1000.0)
    assert float(model.k) == 0
    for gamma, end in ((1.0, 1.0), (0.001, 0.0)):  # G's images are easier than noise, not for long
        model.gamma = gamma
        real, fake = losses_of_next_step(model)
        assert np.sign(gamma * real - fake) == (1 if end else -1)
        model.train_step(random_batch())
        assert float(model.k) == end


def test_k_is_in_the_checkpoint_and_not_trained():
    model = small()
    assert any(v is model.k for v in model.state()["model"])
    for player in model.players.values():
        assert not any(v is model.k for v in player.variables)
    assert not model.k.trainable


# The course of training.


def test_the_learning_rate_is_halved_twice():
    rate = small(halve_every=100).plan.rate_factor
    assert [rate(step) for step in (0, 99, 100, 199, 200, 300)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert [small().plan.rate_factor(step) for step in (3999, 4000, 11_999)] == [1, 0.5, 0.25]


def test_the_rates_of_a_run_follow(tmp_path):
    np.savez(tmp_path / "images.npz", x_train=np.zeros((8, 16, 16), np.uint8))
    sizes = {"width": 2, "latent_size": 3, "halve_every": 2, "learning_rate": 8e-5}
    options = sizes | {"dataset": str(tmp_path / "images.npz"), "seed": 3}
    settings = TrainingOptions(batch_size=4, steps=6, seed=3, jit="off")
    run = Run(tmp_path / "run")
    job = prepare(BEGAN, Generation(BEGAN), run, settings, options, Replicas())
    for rate in (8e-5, 8e-5, 4e-5, 4e-5, 2e-5, 2e-5):
        job.rate.on_train_batch_begin(0)
        for player in job.model.players.values():
            assert float(player.optimizer.learning_rate) == pytest.approx(rate)
        job.rate.on_train_batch_end(0, {})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gamma", 0.0),
        ("controller_rate", 0.0),
        ("halve_every", 0),
        ("width", 0),
        ("latent_size", 0),
        ("image_size", 30),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
