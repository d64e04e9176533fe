"""AAE: the paper's networks, its losses in NumPy, and who moves in which phase."""

from aae.aae import AAE
from tests.aae.small_aae import (
    SIDE,
    batch,
    classify_labelled,
    decoded,
    dense_layers,
    discriminate,
    drawn,
    encoded,
    kept,
    log_sigmoid,
    perceptron,
    reconstruct,
    regularize,
    small,
    values,
)

import numpy as np
import pytest
import tensorflow as tf


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize(
    ("code_size", "counts"),
    [(8, (1_794_008, 1_794_784, 1_011_001)), (2, (1_788_002, 1_788_784, 1_005_001))],
)
def test_the_papers_networks(code_size, counts):
    model = AAE(code_size=code_size)
    assert tuple(count(network) for network in model.networks.values()) == counts
    assert list(model.networks) == ["encoder", "decoder", "discriminator"]
    kernels = [v for v in model.encoder.weights if "kernel" in v.name]
    assert [np.std(v) for v in kernels] == pytest.approx([0.01] * 3, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_encoder_decoder_and_reconstruction_are_numpys(channels):
    model, (x, y) = small(channels=channels), batch(channels=channels)
    code, x_hat = encoded(model, x), decoded(model, encoded(model, x))
    np.testing.assert_allclose(model.encoder(x), code, atol=1e-5)
    np.testing.assert_allclose(model.decoder(code.astype("f")), 2 * x_hat - 1, atol=1e-5)
    expected = np.mean(((np.asarray(x) + 1) / 2 - x_hat) ** 2)  # of pixels in [0, 1]
    assert float(reconstruct(model, x, y)["reconstruction_loss"]) == pytest.approx(
        expected, rel=1e-5
    )


def test_adversarial_losses_are_numpys_and_the_prior_is_the_real_one():
    model, (x, _) = small(prior_std=2.0), batch()
    code, prior = encoded(model, x), drawn(model)
    real = perceptron(dense_layers(model.discriminator), prior)
    fake = perceptron(dense_layers(model.discriminator), code)
    losses = regularize(model, x)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    right = np.concatenate([real > 0, fake < 0]).mean()
    assert float(losses["d_accuracy"]) == pytest.approx(right)
    moved = perceptron(dense_layers(model.discriminator), code)  # by the D that has moved
    assert np.abs(moved - fake).max() > 1e-4
    assert float(losses["encoder_loss"]) == pytest.approx(-log_sigmoid(moved).mean(), rel=1e-5)


def test_a_step_is_its_phases_in_the_papers_order():
    model, (x, y) = small(), batch()
    first = float(reconstruct(model, x, y)["reconstruction_loss"])
    prior, code = drawn(model), encoded(model, x)  # of the encoder that phase 1 has moved
    real, fake = (perceptron(dense_layers(model.discriminator), part) for part in (prior, code))
    by_phases = regularize(model, x)
    weights = kept(model)
    losses = small().train_step((x, y))
    assert float(losses["reconstruction_loss"]) == pytest.approx(first)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["encoder_loss"]) == pytest.approx(
        float(by_phases["encoder_loss"]), rel=1e-5
    )
    for name in model.networks:
        for v, value in zip(model.networks[name].variables, weights[name], strict=True):
            np.testing.assert_allclose(v, value, atol=1e-6)


def moved(model, phase, *arguments):
    """Names of the networks with a weight that the phase moves."""
    before = {name: values(network.variables) for name, network in model.networks.items()}
    phase(*arguments)
    return {
        name
        for name, network in model.networks.items()
        if any(np.any(a != b) for a, b in zip(before[name], values(network.variables), strict=True))
    }


@pytest.mark.parametrize("options", [{}, {"supervised": True}, {"labels": 7}])
def test_a_phase_moves_only_its_players(options):
    model, (x, y) = small(**options), batch()
    assert moved(model, reconstruct, model, x, y) == {"encoder", "decoder"}
    assert moved(model, discriminate, model, model.encoder(x)) == {"discriminator"}
    assert moved(model, regularize, model, x) == {"encoder", "discriminator"}
    model.discriminator.optimizer.learning_rate = 0.0
    assert moved(model, regularize, model, x) == {"encoder"}
    if model.labels:
        assert moved(model, classify_labelled, model, 8) == {"encoder"}


def test_one_step_moves_every_weight():
    model = small(labels=7)
    before = {name: values(network.variables) for name, network in model.networks.items()}
    model.train_step(batch())
    for name, network in model.networks.items():
        pairs = zip(before[name], values(network.variables), strict=True)
        assert all(np.any(a != b) for a, b in pairs), name


def test_the_prior_is_what_discriminator_and_encoder_take_for_real():
    model, (x, _) = small(), batch(64)
    model.discriminator.optimizer.learning_rate = 1e-2
    code = model.encoder(x) + 5.0
    for _ in range(40):
        last = discriminate(model, code)
    assert (
        np.mean(model.discriminator(model.prior_sample(200)))
        > 1
        > -1
        > np.mean(model.discriminator(code))
    )
    assert float(last["d_accuracy"]) > 0.9
    model.discriminator.optimizer.learning_rate = 0.0
    before = np.mean(model.discriminator(model.encoder(x)))
    for _ in range(10):
        regularize(model, x)
    assert np.mean(model.discriminator(model.encoder(x))) > before


def test_codes_follow_the_prior_only_with_the_adversarial_phases():
    """Images of two free numbers; the code's deviations must become those of the prior."""
    random = np.random.default_rng(0)
    free = random.uniform(-1, 1, (64, 2))
    x = np.tanh(free @ random.normal(size=(2, SIDE * SIDE))).reshape(64, SIDE, SIDE, 1)
    x, y = tf.constant(x, tf.float32), tf.zeros(64, tf.int32)
    away = {}
    for rate in (5e-4, 0.0):
        model = small(code_size=2, prior_std=3.0, hidden=32)
        model.discriminator.optimizer.learning_rate = rate
        model.combined.optimizer.learning_rate = rate
        model.make_train_function()
        batches = iter([(x, y)] * 400)
        for _ in range(400):
            losses = model.train_function(batches)
        code = model.encoder(x).numpy()
        away[rate] = np.abs(code.mean(0)).max() + np.abs(code.std(0) - 3).max()
        assert float(losses["reconstruction_loss"]) < 0.02
    assert away[5e-4] < 0.5 * away[0.0] and away[5e-4] < 1.0  # 0.3 to 0.6 with other seeds
