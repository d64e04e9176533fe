"""AAE: the paper's networks, its losses against NumPy, and which weights a phase updates."""

from aae.aae import AAE
from tests.aae.small_aae import (
    SIDE,
    batch,
    classify_labelled,
    decoded,
    discriminate,
    encoded,
    next_prior_sample,
    perceptron,
    reconstruct,
    regularize,
    small,
    state_of,
    weights_of,
)
from tests.helpers.models import (
    changed_networks,
    log_sigmoid,
    unchanged_weights,
    weight_counts,
)

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize(
    ("code_size", "counts"),
    [(8, (1_794_008, 1_794_784, 1_011_001)), (2, (1_788_002, 1_788_784, 1_005_001))],
)
def test_the_papers_networks(code_size, counts):
    model = AAE(code_size=code_size)
    names = "encoder", "decoder", "discriminator"
    assert weight_counts(model) == dict(zip(names, counts, strict=True))
    kernels = [v for v in model.encoder.weights if "kernel" in v.name]
    assert [np.std(v) for v in kernels] == pytest.approx([0.01] * 3, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_encoder_decoder_and_reconstruction_loss_match_numpy(channels):
    model, (x, y) = small(channels=channels), batch(channels=channels)
    code, x_hat = encoded(model, x), decoded(model, encoded(model, x))
    np.testing.assert_allclose(model.encoder(x), code, atol=1e-5)
    np.testing.assert_allclose(model.decoder(code.astype("f")), 2 * x_hat - 1, atol=1e-5)
    expected = np.mean(((np.asarray(x) + 1) / 2 - x_hat) ** 2)  # of pixels in [0, 1]
    loss = float(reconstruct(model, x, y)["reconstruction_loss"])
    assert loss == pytest.approx(expected, rel=1e-5)


def test_adversarial_losses_match_numpy_with_the_prior_as_real():
    model, (x, _) = small(prior_std=2.0), batch()
    code, prior = encoded(model, x), next_prior_sample(model)
    real = perceptron(weights_of(model.discriminator), prior)
    fake = perceptron(weights_of(model.discriminator), code)
    losses = regularize(model, x)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    accuracy = np.concatenate([real > 0, fake < 0]).mean()
    assert float(losses["d_accuracy"]) == pytest.approx(accuracy)
    of_updated_d = perceptron(weights_of(model.discriminator), code)
    assert np.abs(of_updated_d - fake).max() > 1e-4
    encoder_loss = -log_sigmoid(of_updated_d).mean()
    assert float(losses["encoder_loss"]) == pytest.approx(encoder_loss, rel=1e-5)


def test_a_step_runs_the_phases_in_the_papers_order():
    model, (x, y) = small(), batch()
    first = float(reconstruct(model, x, y)["reconstruction_loss"])
    prior, code = next_prior_sample(model), encoded(model, x)  # by the encoder updated in phase 1
    real, fake = (perceptron(weights_of(model.discriminator), part) for part in (prior, code))
    by_phases = regularize(model, x)
    weights = state_of(model)
    losses = small().train_step((x, y))
    assert float(losses["reconstruction_loss"]) == pytest.approx(first)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    encoder_loss = float(by_phases["encoder_loss"])
    assert float(losses["encoder_loss"]) == pytest.approx(encoder_loss, rel=1e-5)
    for name in model.networks:
        for v, value in zip(model.networks[name].variables, weights[name], strict=True):
            np.testing.assert_allclose(v, value, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"supervised": True}, {"labels": 7}])
def test_a_phase_changes_only_its_own_players(options):
    model, (x, y) = small(**options), batch()

    def changed(phase, *arguments):
        return changed_networks(model, lambda: phase(model, *arguments))

    assert changed(reconstruct, x, y) == {"encoder", "decoder"}
    assert changed(discriminate, model.encoder(x)) == {"discriminator"}
    assert changed(regularize, x) == {"encoder", "discriminator"}
    model.discriminator.optimizer.learning_rate = 0.0
    assert changed(regularize, x) == {"encoder"}
    if model.labels:
        assert changed(classify_labelled, 8) == {"encoder"}


def test_one_step_updates_every_weight():
    model = small(labels=7)
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []


def test_the_prior_is_real_to_the_discriminator_and_the_encoder():
    model, (x, _) = small(), batch(64)
    model.discriminator.optimizer.learning_rate = 1e-2
    code = model.encoder(x) + 5.0
    for _ in range(40):
        logs = discriminate(model, code)
    assert np.mean(model.discriminator(model.prior_sample(200))) > 1
    assert np.mean(model.discriminator(code)) < -1
    assert float(logs["d_accuracy"]) > 0.9
    model.discriminator.optimizer.learning_rate = 0.0
    before = np.mean(model.discriminator(model.encoder(x)))
    for _ in range(10):
        regularize(model, x)
    assert np.mean(model.discriminator(model.encoder(x))) > before


def test_codes_follow_the_prior_only_with_the_adversarial_phases():
    """For images with two degrees of freedom; compares means and deviations of the codes."""
    random = np.random.default_rng(0)
    factors = random.uniform(-1, 1, (64, 2))
    x = np.tanh(factors @ random.normal(size=(2, SIDE * SIDE))).reshape(64, SIDE, SIDE, 1)
    x, y = tf.constant(x, tf.float32), tf.zeros(64, tf.int32)
    distance = {}
    for rate in (5e-4, 0.0):
        model = small(code_size=2, prior_std=3.0, hidden=32)
        model.discriminator.optimizer.learning_rate = rate
        model.combined.optimizer.learning_rate = rate
        model.make_train_function()
        batches = iter([(x, y)] * 400)
        for _ in range(400):
            losses = model.train_function(batches)
        code = model.encoder(x).numpy()
        distance[rate] = np.abs(code.mean(0)).max() + np.abs(code.std(0) - 3).max()
        assert float(losses["reconstruction_loss"]) < 0.02
    assert distance[5e-4] < 0.5 * distance[0.0]
    assert distance[5e-4] < 1.0  # 0.3 to 0.6 with other seeds
