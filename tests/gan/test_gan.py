"""GAN: the authors' networks, dropout and initial weights, the losses, training with SGD."""

from types import SimpleNamespace

from common.distributed.replicas import Replicas
from common.errors import UserError
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.options import TrainingOptions
from common.training.run_folder import Run
from common.training.train import prepare
from gan.gan import GAN
from tests.helpers.models import (
    assert_gradients,
    assign,
    changed_networks,
    log_sigmoid,
    next_noise,
    player_update,
    random_batch,
    randomize,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logit

SMALL = {"image_size": 8, "units": 16, "maxout_units": 6, "latent_size": 5}


def small(**options):
    keras.utils.set_random_seed(1)
    model = GAN(**(SMALL | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def shared():
    """A model whose weights tests may change. They are large, so that the outputs vary."""
    model = small()
    for network in model.networks.values():
        randomize(network)
    return model


def batch():
    return random_batch(8, 6)


# The networks.


def test_the_authors_networks():
    # G: 100 to 1200, 121,200; to 1200, 1,441,200; to 784 pixels, 941,584.
    # D: 784 to 240 units of 5 pieces, 942,000; to 240 more, 289,200; to a logit, 241.
    model = GAN()
    assert weight_counts(model) == {"generator": 2_503_984, "discriminator": 1_231_441}
    kinds = {
        name: [type(layer).__name__ for layer in network.layers]
        for name, network in model.networks.items()
    }
    assert "BatchNormalization" not in kinds["generator"] + kinds["discriminator"]
    assert "Dropout" not in kinds["generator"]


@pytest.mark.parametrize(("size", "channels"), [(5, 3), (30, 1)])
def test_any_image_size_and_channels(size, channels):
    model = small(image_size=size, channels=channels)
    images = model.sampler(np.zeros((2, 5), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


def test_networks_work_on_pixels_from_0_to_1_and_noise_of_variance_1(shared):
    """Compared with NumPy: a sigmoid and [0, 1] inside, [-1, 1] outside."""
    z = next_noise(shared, 4)
    (w1, b1), (w2, b2), (w3, b3) = weights_in_pairs(shared.generator)
    h = np.maximum(z.numpy().astype("float64") * 3**0.5 @ w1 + b1, 0)
    pixels = expit(np.maximum(h @ w2 + b2, 0) @ w3 + b3)
    images = shared.generator(z, training=True)
    np.testing.assert_allclose(images, 2 * pixels.reshape(4, 8, 8, 1) - 1, atol=1e-5)

    (w1, b1), (w2, b2), (w3, b3) = weights_in_pairs(shared.discriminator)
    x = batch()[0]
    h = (x.numpy().astype("float64").reshape(6, -1) + 1) / 2
    for w, b in ((w1, b1), (w2, b2)):
        h = (h @ w + b).reshape(6, 6, 5).max(axis=2)  # 6 units of 5 pieces
    np.testing.assert_allclose(shared.discriminator(x, training=False), h @ w3 + b3, atol=1e-4)


def weights_in_pairs(network):
    arrays = [w.astype("float64") for w in network.get_weights() if w.dtype == "float32"]
    return zip(arrays[::2], arrays[1::2], strict=True)


def test_noise_is_uniform_with_variance_1_at_the_first_layer():
    z = small(latent_size=50).latent.draw(400, keras.random.SeedGenerator(0)).numpy()
    assert 0.99 < np.abs(z).max() <= 1
    assert (3**0.5 * z).var() == pytest.approx(1, abs=0.02)


def test_initial_weights_are_uniform_and_ten_times_smaller_in_d():
    model = small(image_size=16, units=80, maxout_units=40, latent_size=50)
    for network, reach in ((model.generator, 0.05), (model.discriminator, 0.005)):
        for w in network.trainable_variables:
            if len(w.shape) == 1:
                assert not w.numpy().any()
                continue
            assert 0.9 * reach < np.abs(w).max() <= reach
            assert np.std(w) == pytest.approx(reach / 3**0.5, rel=0.15)


def test_d_drops_a_fifth_of_the_pixels_and_half_of_the_hidden_units():
    model = small(image_size=32)
    layers = [layer for layer in model.discriminator.layers if "dropout" in layer.name]
    assert [layer.input.shape[-1] for layer in layers] == [32 * 32, 6, 6]
    for layer, kept in zip(layers, (0.8, 0.5, 0.5), strict=True):
        dropped = layer(tf.ones((200, 50)), training=True).numpy()
        assert set(np.unique(dropped)) == {0, np.float32(1 / kept)}
        assert (dropped > 0).mean() == pytest.approx(kept, abs=0.02)
    # A dropped pixel is black.
    first = keras.Model(model.discriminator.input, layers[0].output)
    assert not first(-tf.ones((2, 32, 32, 1)), training=True).numpy().any()


# The losses.


def judged(model, x):
    """The next step's z, and D's logits of real and generated images. Restores the state.

    The masks of dropout are those of the step: D sees the generated images first.
    """
    before = values(model.variables)
    z = model.latent.draw(len(x), model.noise)
    fake = model.discriminator(model.generator(z, training=True), training=True)
    real = model.discriminator(x, training=True)
    assign(model.variables, before)
    return real, fake


def test_losses_match_the_papers_equations(shared):
    x, y = batch()
    real, fake = judged(shared, x)
    losses, _ = shared.losses_and_gradients(x, y)
    d_loss = -0.5 * log_sigmoid(real).mean() - 0.5 * log_sigmoid(-np.asarray(fake)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)


@pytest.mark.parametrize("saturating", [False, True])
def test_each_players_gradients_are_those_of_its_own_loss(shared, saturating, monkeypatch):
    """Compared with one tape that records everything; log(1 - s(l)) is -softplus(l)."""
    monkeypatch.setattr(shared, "saturating", saturating)
    x, y = batch()
    before = values(shared.variables)
    with tf.GradientTape(persistent=True) as tape:
        real, fake = judged(shared, x)
        on_fake = tf.reduce_mean(-tf.nn.softplus(fake))
        d_loss = tf.reduce_mean(tf.nn.softplus(-real)) / 2 - on_fake / 2
        g_loss = on_fake if saturating else tf.reduce_mean(tf.nn.softplus(-fake))
    losses, gradients = shared.losses_and_gradients(x, y)
    assign(shared.variables, before)
    assert float(losses["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert_gradients(shared, gradients, tape, {"discriminator": d_loss, "generator": g_loss})


def test_the_saturating_loss_has_no_gradient_where_d_is_certain(shared, monkeypatch):
    certain = tf.constant([[-20.0], [-30.0]])
    for saturating, slope in ((True, 0.0), (False, -0.5)):
        monkeypatch.setattr(shared, "saturating", saturating)
        with tf.GradientTape() as tape:
            tape.watch(certain)
            loss = shared.g_loss(None, SimpleNamespace(output=certain))
        np.testing.assert_allclose(tape.gradient(loss, certain), [[slope]] * 2, atol=1e-6)


def test_dropout_is_active_in_both_steps_with_a_mask_of_its_own(shared, monkeypatch):
    calls, judge = [], shared.judge

    def recorded(images, classes, real):
        calls.append((real, images, judge(images, classes, real).numpy()))
        return tf.constant(calls[-1][-1])

    monkeypatch.setattr(shared, "judge", recorded)
    images = shared.generator(next_noise(shared, 6), training=True)  # of the step itself
    losses, _ = shared.objectives(images, tf.zeros(6, tf.int32))
    (_, of_fake, fake), (_, of_real, real) = sorted(calls, key=lambda call: call[0])
    np.testing.assert_allclose(of_fake, of_real)
    plain = shared.discriminator(images, training=False)
    for one, other in ((fake, plain), (real, plain), (fake, real)):
        assert np.abs(one - other).max() > 0.1
    # G's loss is of the logits that D's is of: a third pass would have another mask.
    assert float(losses["generator"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)


def test_one_step_updates_every_weight(shared):
    assert unchanged_weights(shared, lambda: shared.train_step(batch())) == []


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(shared, player):
    _, gradients = shared.losses_and_gradients(*batch())
    assert changed_networks(shared, player_update(shared, player, gradients)) == {player}


# Initial biases.


def test_g_begins_with_biases_of_0_and_without_the_dataset():
    model = small()
    model.initialize(None)
    assert not model.generator.get_layer("pixels").bias.numpy().any()


def test_g_begins_with_the_mean_training_image():
    """With `mean_image`, where neither black nor white throughout."""
    model, random = small(channels=3, mean_image=True), np.random.default_rng(0)
    images = random.integers(0, 256, (50, 8, 8, 3), np.uint8)
    images[:, 0], images[:, 1] = 0, 255
    asked = []

    def arrays(split, count):
        asked.append((split, count))
        return images, None

    model.initialize(SimpleNamespace(arrays=arrays))
    assert asked == [("train", 10_000)]
    kernel, bias = model.generator.trainable_variables[-2:]
    mean = images.mean(axis=0) / 255
    np.testing.assert_allclose(bias.numpy().reshape(8, 8, 3)[2:], logit(mean[2:]), atol=1e-4)
    kernel.assign(tf.zeros_like(kernel))
    drawn = np.asarray(model.sampler(model.latent.of_seed(0, 1)))[0]
    np.testing.assert_allclose(drawn[2:], 2 * mean[2:] - 1, atol=1e-5)
    assert np.isfinite(bias.numpy()).all()
    assert (drawn[0] < -0.98).all() and (drawn[1] > 0.98).all()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Unlabelled dark images, whose mean's logits are far from 0."""
    path = tmp_path_factory.mktemp("dark") / "dark.npz"
    np.savez(path, x_train=np.random.default_rng(0).integers(0, 60, (20, 8, 8), np.uint8))
    return path


def prepared(run, dataset):
    """The model of a run before its first or next step, and its data."""
    options = {"dataset": str(dataset), "seed": 3, "ema": 0.5, "mean_image": True} | SMALL
    settings = TrainingOptions(batch_size=4, steps=9, seed=3, jit="off")
    job = prepare(GAN, Generation(GAN), run, settings, options, Replicas())
    return job.model, job.data


def test_a_new_run_begins_with_the_biases_and_a_resumed_one_keeps_its_own(dataset, tmp_path):
    run = Run(tmp_path / "run")
    model, data = prepared(run, dataset)
    mean = (data.arrays("train")[0] / 255).mean(axis=0)
    for network in (model.generator, model.average_generator):
        bias = network.get_layer("pixels").bias.numpy()
        np.testing.assert_allclose(bias, logit(mean).ravel(), atol=1e-4)
    model.train_step(next(iter(data.stream(4, 0, 1))))
    trained = model.generator.get_layer("pixels").bias.numpy()
    assert 0 < np.abs(trained - bias).max() < 2 * 2e-4  # the step of Adam

    trained += 1.0
    model.generator.get_layer("pixels").bias.assign(trained)
    checkpoint.save(run.checkpoints, 1, model)
    resumed, _ = prepared(run, dataset)
    np.testing.assert_array_equal(resumed.generator.get_layer("pixels").bias.numpy(), trained)
    average = model.average_generator.get_layer("pixels").bias.numpy()
    of_resumed = resumed.average_generator.get_layer("pixels").bias.numpy()
    np.testing.assert_array_equal(of_resumed, average)


# SGD.


def test_the_rate_of_sgd_falls_by_a_constant_factor_to_a_floor():
    rate = small(optimizer="sgd").plan.rate_factor
    assert rate(0) == 1
    assert rate(1) == pytest.approx(1 / 1.000004, rel=1e-9)
    assert rate(250_000) == pytest.approx(np.exp(-1), rel=1e-5)
    assert rate(10**7) == pytest.approx(1e-5)  # 1e-6 for the paper's 0.1
    assert {small().plan.rate_factor(step) for step in (0, 1, 250_000)} == {1.0}


def test_sgd_has_momentum_one_half_and_an_instance_for_each_player():
    model = small(optimizer="sgd", learning_rate=0.1)
    optimizers = [player.optimizer for player in model.players.values()]
    assert optimizers[0] is not optimizers[1]
    for optimizer in optimizers:
        w, g = keras.Variable([1.0]), [tf.constant([2.0])]
        made = type(optimizer).from_config(optimizer.get_config())
        made.apply(g, [w])
        assert w.numpy().item() == pytest.approx(1 - 0.1 * 2)
        made.apply(g)
        assert w.numpy().item() == pytest.approx(1 - 0.1 * 2 - 0.1 * (2 + 0.5 * 2))
    assert all(type(p.optimizer).__name__ == "Adam" for p in small().players.values())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("units", 0),
        ("maxout_units", 0),
        ("image_size", 0),
        ("latent_size", 0),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("ema", 1.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
