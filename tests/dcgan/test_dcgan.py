"""DCGAN: the paper's networks, its losses against NumPy, and which weights a step updates."""

from common.errors import UserError
from dcgan.dcgan import DCGAN
from tests.helpers.models import (
    assert_gradients,
    changed,
    changed_networks,
    log_sigmoid,
    next_noise,
    player_update,
    random_batch,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf


def small(**options):
    keras.utils.set_random_seed(1)
    return DCGAN(**({"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 0} | options))


@pytest.fixture(scope="module")
def shared():
    """A model whose weights tests may change, as none depends on their values."""
    return small(l2=0.0)


def test_the_papers_networks():
    # G, without a bias: dense 1,638,400; transposed convolutions 13,107,200 + 3,276,800 + 819,200 +
    # 9,600; two weights for each of the 16,384 + 512 + 256 + 128 normalized units and channels.
    model = DCGAN(image_size=64, channels=3, width=128, outer_bias=False)
    assert weight_counts(model) == {"generator": 18_885_760, "discriminator": 17_232_768}
    assert model.generator.output.shape == (None, 64, 64, 3)
    assert model.discriminator.output.shape == (None, 1)
    kernels = [v for v in model.discriminator.trainable_variables if v.path.endswith("kernel")]
    assert [v.shape[-1] for v in kernels] == [128, 256, 512, 1024, 1]
    for kernel in kernels:
        assert np.std(kernel) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_without_transposed_convolutions(upsampling):
    model = small(upsampling=upsampling)
    kinds = [type(layer).__name__ for layer in model.generator.layers]
    assert "Conv2DTranspose" not in kinds and kinds.count("ResizeConvolution") == 2
    # kernels of 5x5, as those of the transposed convolutions
    assert weight_counts(model) == weight_counts(small())
    assert model.generator.output.shape == (None, 16, 16, 1)


@pytest.mark.parametrize(("width", "G", "D"), [(64, 846_273, 212_993), (32, 371_937, 55_297)])
def test_the_number_of_weights_for_digits(width, G, D):
    model = DCGAN(width=width, dense_units=0)
    assert weight_counts(model) == {"generator": G, "discriminator": D}


def test_networks_for_digits_have_a_hidden_dense_layer():
    # G: 102,400 + 2,048, 6,422,528 + 12,544, 204,800 + 128, 1,600 + 1
    model = DCGAN()
    assert weight_counts(model) == {"generator": 6_746_049, "discriminator": 6_632_321}
    assert small(dense_units=5).generator.layers[1].units == 5


def test_all_layers_are_normalized_but_those_next_to_the_image(shared):
    kinds = {
        name: [type(layer).__name__ for layer in network.layers[1:]]
        for name, network in shared.networks.items()
    }
    norm, up = ["BatchNormalization", "ReLU"], "Conv2DTranspose"
    assert kinds["generator"] == ["Dense", *norm, "Reshape", up, *norm, up, "Activation"]
    assert shared.generator.layers[-1].activation is keras.activations.tanh
    first, second = ["Conv2D", "LeakyReLU"], ["Conv2D", "BatchNormalization", "LeakyReLU"]
    assert kinds["discriminator"] == [*first, *second, "Flatten", "Dense", "Activation"]
    leaky = [layer for layer in shared.discriminator.layers if "leaky" in layer.name]
    assert [layer.negative_slope for layer in leaky] == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (20, 3), (48, 1), (64, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 6), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


@pytest.mark.parametrize("size", [0, 4, 30, 100])
def test_invalid_image_sizes_are_refused_by_name(size):
    with pytest.raises(UserError, match=f"--image_size {size}: .*power of two"):
        DCGAN(image_size=size)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("latent_size", 0),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("l2", -1.0),
        ("dense_units", -1),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize(
    ("distribution", "low", "high"), [("uniform", 0.9, 1.0), ("normal", 2.0, 10.0)]
)
def test_noise_follows_the_latent_distribution(distribution, low, high):
    model = small(latent_distribution=distribution)
    assert low < np.abs(next_noise(model, 500)).max() < high


def test_losses_match_the_papers_equations(shared):
    """D's loss is that of two passes, over real and over generated images."""
    x, y = random_batch()
    fake = shared.discriminator(shared.generator(next_noise(shared), training=True), training=True)
    real = shared.discriminator(x, training=True)
    losses, _ = shared.losses_and_gradients(x, y)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-np.asarray(fake)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)


def test_each_players_gradients_are_those_of_its_own_loss(shared):
    """Compared with one tape that records everything."""
    x, y = random_batch()
    z = next_noise(shared)
    bce = tf.nn.sigmoid_cross_entropy_with_logits
    with tf.GradientTape(persistent=True) as tape:
        fake = shared.discriminator(shared.generator(z, training=True), training=True)
        real = shared.discriminator(x, training=True)
        d_loss = tf.reduce_mean(bce(tf.ones_like(real), real))
        d_loss += tf.reduce_mean(bce(tf.zeros_like(fake), fake))
        g_loss = tf.reduce_mean(bce(tf.ones_like(fake), fake))
    _, gradients = shared.losses_and_gradients(x, y)
    losses = {"discriminator": d_loss, "generator": g_loss}
    assert_gradients(shared, gradients, tape, losses)


def test_the_l2_penalty_adds_l2_times_the_weights_to_the_gradients(shared):
    x, y = random_batch()
    state = shared.noise.state.numpy()
    _, without = shared.losses_and_gradients(x, y)
    shared.noise.state.assign(state)
    shared.l2 = 0.5
    try:
        _, gradients = shared.losses_and_gradients(x, y)
    finally:
        shared.l2 = 0.0
    for name, network in shared.networks.items():
        weights = network.trainable_variables
        for g, plain, w in zip(gradients[name], without[name], weights, strict=True):
            np.testing.assert_allclose(g, plain + 0.5 * w.numpy(), rtol=1e-3, atol=1e-6)


def test_one_step_updates_every_weight(shared):
    assert unchanged_weights(shared, lambda: shared.train_step(random_batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(shared, player):
    _, gradients = shared.losses_and_gradients(*random_batch())
    assert changed_networks(shared, player_update(shared, player, gradients)) == {player}


def test_each_step_draws_fresh_noise_from_a_state_in_the_checkpoint(shared):
    first = next_noise(shared)
    shared.losses_and_gradients(*random_batch())
    assert np.abs(first - next_noise(shared)).max() > 0.1
    assert any(v is shared.noise.state for v in shared.state()["model"])


def test_a_sample_depends_on_its_z_alone(shared):
    shared.losses_and_gradients(*random_batch())  # updates the moving statistics
    z = shared.latent.of_seed(3, 5)
    before = values(shared.variables)
    together = shared.sampler(z, training=False)
    alone = shared.sampler(z[2:3], training=False)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
    assert np.abs(together).max() <= 1
    assert np.abs(together[0] - together[1]).max() > 1e-4
    assert not any(changed(before, shared.variables))


def test_the_generator_learns_a_dataset_of_one_image():
    model = small(image_size=8, width=8, learning_rate=2e-3)
    model.compile(jit="off")
    model.make_train_function()
    x = np.where(np.arange(8) < 4, -0.8, 0.8) * np.ones((16, 8, 1))
    data = tf.data.Dataset.from_tensors((tf.constant(x[..., None], tf.float32), tf.zeros(16)))
    steps = iter(data.repeat())
    z = model.latent.of_seed(0, 16)

    def distance():
        return np.abs(model.sampler(z, training=False) - x[:1, ..., None]).mean()

    first = distance()
    for _ in range(300):
        model.train_function(steps)
    assert distance() < first / 3


def test_features_are_the_convolutional_maps_max_pooled_to_4x4(shared):
    x, _ = random_batch()
    pooled = []
    network = shared.discriminator
    maps = [layer.output for layer in network.layers if "leaky" in layer.name]
    for h in keras.Model(network.inputs, maps).predict(x, verbose=0):  # 8x8, 4x4
        cell = h.shape[1] // 4
        pooled.append(h.reshape(4, 4, cell, 4, cell, -1).max(axis=(2, 4)).reshape(4, -1))
    np.testing.assert_allclose(shared.features(x), np.concatenate(pooled, axis=1), atol=1e-6)


def test_the_number_of_features_in_the_paper():
    model = small(image_size=32, channels=3, width=256)
    x = keras.Input((32, 32, 3))
    assert keras.Model(x, keras.layers.Lambda(model.features)(x)).output_shape == (None, 28_672)
