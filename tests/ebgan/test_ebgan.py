"""EBGAN: both kinds of networks, the energy and its margin, the pulling-away term, pretraining."""

from common.errors import UserError
from ebgan.ebgan import EBGAN
from tests.helpers.models import (
    assert_gradients,
    changed,
    changed_networks,
    next_noise,
    player_update,
    random_batch,
    randomize,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

GAME = 1  # the stage after pretraining


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 8, "units": 12, "code_size": 20, "width": 4, "latent_size": 5}
    model = EBGAN(**(sizes | options))
    model.compile(jit="off")
    return model


def batch(size=8):
    return random_batch(size, 6)


@pytest.fixture(scope="module", params=["fully_connected", "convolutional"])
def shared(request):
    """A model with large weights, which tests may change."""
    size = {"fully_connected": 8, "convolutional": 16}[request.param]
    model = small(network=request.param, image_size=size)
    model.stage = GAME
    for network in model.networks.values():
        randomize(network, 0.2)
    return model


# The networks.


def test_the_papers_networks():
    # G: 100 to 800, 80,000; three times 640,000; to 784, 627,984; 2 weights for each of the 3,200
    # normalized units. D: 784 to 1024, 803,840; back, 803,600.
    assert weight_counts(EBGAN()) == {"generator": 2_634_384, "discriminator": 1_607_440}
    # G: 100 to 4x4x1024, 1,638,400; transposed convolutions 8,388,608 + 2,097,152 + 524,288 +
    # 6,144 + 3; normalized channels 2 (1024 + 512 + 256 + 128).
    # D: 3,072 + 64; 131,072; 524,288; back 524,288; 131,072; 3,072 + 3; 2 (128 + 256 + 128 + 64).
    model = EBGAN(image_size=64, channels=3, width=128)
    assert weight_counts(model) == {"generator": 12_658_435, "discriminator": 1_318_083}


def test_digits_have_dense_networks_without_normalization_in_d():
    model = small(image_size=32)
    kinds = {
        name: [type(layer).__name__ for layer in network.layers[1:]]
        for name, network in model.networks.items()
    }
    hidden = ["Dense", "BatchNormalization", "ReLU"]
    assert kinds["generator"] == [*hidden * 4, "Dense", "Reshape", "Activation"]
    assert not {"BatchNormalization", "Dropout"} & set(kinds["discriminator"])
    kernels = [w for w in model.discriminator.get_weights() if w.ndim == 2]
    assert [w.shape for w in kernels] == [(1024, 20), (20, 1024)]
    assert np.std(np.concatenate([w.ravel() for w in kernels])) == pytest.approx(0.002, rel=0.05)
    # They are the default up to 32 pixels.
    kinds = [type(layer).__name__ for layer in small(image_size=40).discriminator.layers]
    assert kinds.count("Conv2D") == kinds.count("Conv2DTranspose") == 3
    assert small(image_size=40).generator.layers[-1].activation is keras.activations.tanh


@pytest.mark.parametrize("network", ["fully_connected", "convolutional"])
@pytest.mark.parametrize(("size", "channels"), [(8, 3), (28, 1)])
def test_other_image_sizes_and_channels(network, size, channels):
    model = small(network=network, image_size=size, channels=channels)
    images = model.sampler(np.zeros((2, 5), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    reconstructions, codes = model.discriminator(images)
    assert reconstructions.shape == images.shape
    assert codes.shape[0] == 2 and len(codes.shape) == 2


def test_the_dense_auto_encoder_against_numpy():
    model, random = small(), np.random.default_rng(0)
    shapes = [w.shape for w in model.discriminator.get_weights()]
    w, b, v, c = (random.normal(0, 0.3, shape) for shape in shapes)
    model.discriminator.set_weights([w, b, v, c])
    x = batch()[0].numpy().astype("float64").reshape(6, -1)
    code = np.maximum(x @ w + b, 0)
    reconstruction = code @ v + c
    found, found_code = model.discriminator(batch()[0], training=True)
    np.testing.assert_allclose(np.reshape(found, (6, -1)), reconstruction, atol=1e-4)
    np.testing.assert_allclose(found_code, code, atol=1e-4)
    energies, again = model.energy(batch()[0])
    np.testing.assert_allclose(energies, np.linalg.norm(x - reconstruction, axis=1), rtol=1e-4)
    np.testing.assert_allclose(again, found)


# The losses.


def norm(images, reconstructions):
    """The Euclidean norm over the pixels of each image, by TensorFlow's own function."""
    return tf.norm(tf.reshape(images - reconstructions, (len(images), -1)), axis=1)


def mean_squared_cosine(codes):
    """The pulling-away term, pair by pair."""
    total, count = tf.constant(0.0), len(codes)
    for i in range(count):
        for j in range(count):
            if i != j:
                dot = tf.reduce_sum(codes[i] * codes[j])
                total += (dot / tf.norm(codes[i]) / tf.norm(codes[j])) ** 2
    return total / (count * (count - 1))


@pytest.mark.parametrize("constant_target", [False, True])
def test_losses_and_gradients_match_the_papers_equations(shared, monkeypatch, constant_target):
    """Compared with one tape that records everything. The hinge is that of each image.

    With a constant for the images that reconstructions are compared with, G's gradient is another.
    """
    x, y = batch(shared.image_size)
    z = next_noise(shared, 6)
    images = shared.generator(z, training=True)
    energies = norm(images, shared.discriminator(images, training=True)[0])
    margin = float(np.median(energies))  # between the energies
    monkeypatch.setattr(shared, "margin", margin)
    monkeypatch.setattr(shared, "pulling_away", 0.7)
    with tf.GradientTape(persistent=True) as tape:
        images = shared.generator(z, training=True)
        reconstructions, codes = shared.discriminator(images, training=True)
        fake = norm(tf.stop_gradient(images) if constant_target else images, reconstructions)
        real = norm(x, shared.discriminator(x, training=True)[0])
        d_loss = tf.reduce_mean(real) + tf.reduce_mean(tf.maximum(margin - fake, 0))
        cosine = mean_squared_cosine(codes)
        g_loss = tf.reduce_mean(fake) + 0.7 * cosine
    logs, gradients = shared.losses_and_gradients(x, y)
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert float(logs["energy_real"]) == pytest.approx(np.mean(real), rel=1e-5)
    assert float(logs["energy_fake"]) == pytest.approx(np.mean(fake), rel=1e-5)
    assert float(logs["cosine"]) == pytest.approx(float(cosine), rel=1e-4)
    assert float(d_loss - tf.reduce_mean(real)) > max(0, margin - np.mean(fake)) + 1e-4
    assert_gradients(shared, gradients, tape, {"discriminator": d_loss})
    of_g = {"generator": g_loss}
    if constant_target:
        with pytest.raises(AssertionError):
            assert_gradients(shared, gradients, tape, of_g)
    else:
        assert_gradients(shared, gradients, tape, of_g, atol=1e-5)


def test_generated_images_beyond_the_margin_cost_d_nothing(shared, monkeypatch):
    """d_loss then is the energy of real images, and d_loss - energy_real = m - E below it."""
    x, y = batch(shared.image_size)
    for margin, of_fake in ((1e-3, lambda logs: 0.0), (1e3, lambda e: 1e3 - e)):
        monkeypatch.setattr(shared, "margin", margin)
        logs = {k: float(v) for k, v in shared.losses_and_gradients(x, y)[0].items()}
        expected = logs["energy_real"] + of_fake(logs["energy_fake"])
        assert logs["d_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_cosine_is_logged_without_a_weight_too(shared, monkeypatch):
    monkeypatch.setattr(shared, "pulling_away", 0.0)
    logs, _ = shared.losses_and_gradients(*batch(shared.image_size))
    assert float(logs["g_loss"]) == pytest.approx(float(logs["energy_fake"]), rel=1e-6)
    assert 0 < float(logs["cosine"]) <= 1


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_every_weight_of_its_own_player_and_no_other(shared, player):
    _, gradients = shared.losses_and_gradients(*batch(shared.image_size))
    weights = shared.networks[player].trainable_variables
    before = values(weights)
    assert changed_networks(shared, player_update(shared, player, gradients)) == {player}
    assert all(changed(before, weights))


# Stages.


def steps(model, count):
    """What the function that `fit` calls logs in each of its steps."""
    model.make_train_function(force=True)
    data = iter([batch()] * count)
    return [
        {name: float(value) for name, value in model.train_function(data).items()}
        for _ in range(count)
    ]


def test_pretraining_updates_d_alone_by_the_energy_of_real_images():
    model = small(pretrain_steps=3)
    assert model.plan.milestones == (3,)
    logs = []
    assert changed_networks(model, lambda: logs.extend(steps(model, 3))) == {"discriminator"}
    for log in logs:
        assert log["d_loss"] == log["energy_real"] > 0
        assert log["g_loss"] == log["energy_fake"] == log["cosine"] == 0
    assert logs[2]["energy_real"] < logs[0]["energy_real"]
    optimizers = {name: player.optimizer for name, player in model.players.items()}
    assert int(optimizers["discriminator"].iterations) == 3
    both = {"discriminator", "generator"}
    assert changed_networks(model, lambda: logs.extend(steps(model, 1))) == both
    assert logs[3]["d_loss"] > logs[3]["energy_real"] and logs[3]["g_loss"] > 0
    assert int(optimizers["generator"].iterations) == 1


def test_without_pretraining_the_first_step_is_one_of_the_game():
    model = small()
    (log,) = steps(model, 1)
    assert log["g_loss"] > 0 and log["energy_fake"] > 0
    assert int(model.players["generator"].optimizer.iterations) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("margin", 0.0),
        ("pulling_away", -0.1),
        ("pretrain_steps", -1),
        ("units", 0),
        ("code_size", 0),
        ("image_size", 0),
        ("learning_rate", 0.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize(("option", "value"), [("image_size", 44), ("width", 1)])
def test_options_of_convolutional_networks_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**({"image_size": 48, option: value}))
