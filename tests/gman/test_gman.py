"""GMAN: parts of a batch, soft means and losses against NumPy, lambda, and the value of a rival."""

from common.errors import UserError
from common.training import checkpoint
from gman.gman import GMAN, MEANS, REWARD, SoftMean
from tests.helpers.models import (
    assert_gradients,
    assign,
    changed_networks,
    player_update,
    random_batch,
    randomize,
    state_restored,
    state_variables,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

N, BATCH = 3, 6
BATCH_OF_IMAGES = random_batch(count=BATCH)


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 5, "batch_size": 12}
    model = GMAN(**(sizes | {"discriminators": N} | options))
    model.compile(jit="off")
    for network in (model.generator, *model.discriminators):
        randomize(network, 0.2)
    return model


@pytest.fixture(scope="module")
def star():
    """A model that learns lambda; use `restored` to change it."""
    return small(softmax_lambda="learned", mean="geometric")


@pytest.fixture
def restored(star):
    """The model, whose state is restored after the test."""
    with state_restored(star):
        yield star


# The networks.


def test_networks_for_digits():
    # G: 100 to 7x7x32, 156,800; transposed convolutions 12,800 and 400 + 1; two weights for each of
    # the 32 + 16 normalized channels. D_i: 160; 4,640; 18,496; 7 * 7 * 64 to 128, 401,536; 129.
    counts = weight_counts(GMAN())
    assert counts == {"generator": 170_097, "discriminator": 5 * 424_961}
    assert weight_counts(GMAN(1, dense_units=0))["discriminator"] == 26_433


@pytest.mark.parametrize(("width", "channels", "G", "D"), [(32, 1, 464_193, 100_865)])
def test_networks_of_the_authors_code(width, channels, G, D):
    counts = weight_counts(GMAN(2, image_size=32, width=width, channels=channels))
    biases = 4 * 4 * 4 * width + 2 * width + width  # of layers that are normalized
    assert counts == {"generator": G - biases, "discriminator": 2 * D}


def test_discriminators_differ_in_dropout_and_on_request_in_depth():
    model = small(discriminators=4, depths=[2, 4])
    for i, D in enumerate(model.discriminators):
        kinds = [type(layer).__name__ for layer in D.layers]
        assert kinds.count("Conv2D") == [2, 4, 2, 4][i] and "BatchNormalization" not in kinds
        rates = [layer.rate for layer in D.layers if hasattr(layer, "rate")]
        assert rates == pytest.approx(2 * [1 - (0.4 + 0.2 * (i + 1) / 4)])
    (D,) = small(discriminators=1).discriminators
    assert [layer.rate for layer in D.layers if hasattr(layer, "rate")] == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (64, 3)])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((6, 6), "float32"), training=False)
    assert images.shape == (6, size, size, channels)
    assert model.judge(images, None, True).shape == (2, N)


# The parts of a batch.


def test_each_discriminator_sees_its_own_images_alone(star):
    x = BATCH_OF_IMAGES[0]
    parts = star.parts(x)
    seen = np.stack([image for part in parts for image in part.numpy()])
    assert [len(part) for part in parts] == [BATCH // N] * N
    assert {image.tobytes() for image in seen} == {image.tobytes() for image in x.numpy()}
    with tf.GradientTape() as tape:
        tape.watch(x)
        one = star.judge(x, None, True)[:, 1]
    seen = np.abs(tape.gradient(one, x)).sum((1, 2, 3)) > 0
    assert seen.tolist() == [False, True, False] * 2


def test_a_batch_that_cannot_be_divided_is_refused(star):
    with pytest.raises(UserError, match=r"--batch_size: 4 .*--discriminators 3"):
        star.objectives(*random_batch(count=4))


# The means.

OF_NUMPY = {
    "arithmetic": lambda w, v: np.sum(w * v),
    "geometric": lambda w, v: np.sign(v[0]) * np.prod(np.abs(v) ** w),
    "harmonic": lambda w, v: 1 / np.sum(w / v),
}


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 7.5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_soft_means_equal_those_of_numpy(mean, sharpness, sign):
    v = sign * np.array([0.2, 1.5, 0.7, 3.0])
    w = np.exp(sharpness * v) / np.exp(sharpness * v).sum()
    found = SoftMean(mean, sharpness)(v[None].astype("float32"))
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(OF_NUMPY[mean](w, v), rel=1e-5)
    sharp = SoftMean(mean, 1000.0)(v[None].astype("float32"))
    assert float(sharp[0]) == pytest.approx(v.max(), rel=1e-5)  # the most severe one


# The losses.


def log_d(logits):
    return np.log(0.01 + 0.98 / (1 + np.exp(-np.asarray(logits, "float64"))))


@pytest.mark.parametrize("objective", ["original", "modified"])
def test_losses_of_known_logits(monkeypatch, objective):
    """The discriminator that recognizes the images best has the largest weight."""
    model = small(objective=objective, softmax_lambda=2.0)
    real = np.array([[0.3, 2.0, -1.0], [1.0, 30.0, 0.0]])
    fake = np.array([[0.5, -3.0, 1.0], [-0.5, -40.0, 2.0]])
    monkeypatch.setattr(
        model, "judge", lambda x, y, of_real: tf.constant(real if of_real else fake, tf.float32)
    )
    losses, logs = model.objectives(*BATCH_OF_IMAGES)
    of_fake = log_d(-fake).mean(0)
    assert float(losses["discriminator"]) == pytest.approx(
        -(log_d(real).mean(0) + of_fake).sum(), rel=1e-5
    )
    each = of_fake if objective == "original" else -log_d(fake).mean(0)
    w = np.exp(2 * each) / np.exp(2 * each).sum()
    assert float(losses["generator"]) == pytest.approx((w * each).sum(), rel=1e-5)
    assert w.argmax() == 1 and logs == {}


def test_each_players_gradients_are_those_of_its_own_loss(restored):
    """Compared with one tape that records everything, with the same noise and dropout."""
    before = values(state_variables(restored))
    with tf.GradientTape(persistent=True) as tape:
        losses, _ = restored.objectives(*BATCH_OF_IMAGES)
    assign(state_variables(restored), before)
    _, gradients = restored.losses_and_gradients(*BATCH_OF_IMAGES)
    assert gradients.keys() == {"discriminator", "generator", "lambda"}
    assert_gradients(restored, gradients, tape, losses)


def test_one_step_updates_every_weight_from_one_pass_of_each_network(restored, monkeypatch):
    calls = []
    for name in ("generator", "discriminator"):
        network = getattr(restored, name)

        def counted(*inputs, name=name, call=network.call, **options):
            assert options["training"]  # dropout is on for G as well
            calls.append(name)
            return call(*inputs, **options)

        monkeypatch.setattr(network, "call", counted)
    assert unchanged_weights(restored, lambda: restored.train_step(BATCH_OF_IMAGES)) == []
    assert sorted(calls) == ["discriminator", "discriminator", "generator"]


@pytest.mark.parametrize("player", ["generator", "discriminator", "lambda"])
def test_an_update_changes_only_its_own_player(restored, player):
    _, gradients = restored.losses_and_gradients(*BATCH_OF_IMAGES)
    network = "soft_mean" if player == "lambda" else player
    assert changed_networks(restored, player_update(restored, player, gradients)) == {network}


# lambda of GMAN*.


def test_the_gradient_of_a_learned_lambda(restored, monkeypatch):
    """That of F - c lambda, by a difference quotient in NumPy."""
    fake = np.array([[0.5, -3.0, 1.0]])
    monkeypatch.setattr(restored, "judge", lambda x, y, real: tf.constant(fake, tf.float32))
    each = log_d(-fake)[0]

    def of_lambda(t):
        sharpness = np.log1p(np.exp(t))
        w = np.exp(sharpness * each) / np.exp(sharpness * each).sum()
        return OF_NUMPY["geometric"](w, each) - REWARD * sharpness

    losses, logs = restored.objectives(*BATCH_OF_IMAGES)
    assert float(logs["lambda"]) == pytest.approx(0.126928, rel=1e-4)  # softplus(-2)
    assert float(losses["lambda"]) == pytest.approx(of_lambda(-2.0), rel=1e-5)
    with tf.GradientTape() as tape:
        loss = restored.objectives(*BATCH_OF_IMAGES)[0]["lambda"]
    (weight,) = restored.soft_mean.trainable_variables
    slope = (of_lambda(-2 + 1e-5) - of_lambda(-2 - 1e-5)) / 2e-5
    assert float(tape.gradient(loss, weight.value)) == pytest.approx(slope, rel=1e-3)


def test_lambda_grows_where_all_discriminators_agree(restored, monkeypatch):
    monkeypatch.setattr(restored, "judge", lambda x, y, real: tf.ones((2, N)))
    with tf.GradientTape() as tape:
        loss = restored.objectives(*BATCH_OF_IMAGES)[0]["lambda"]
    (weight,) = restored.soft_mean.trainable_variables
    assert float(tape.gradient(loss, weight.value)) < 0


def test_a_resumed_run_continues_with_lambda_and_the_last_losses(restored, tmp_path):
    for _ in range(2):
        restored.train_step(BATCH_OF_IMAGES)
    path = checkpoint.save(tmp_path, 2, restored)
    other = small(softmax_lambda="learned", mean="geometric")
    checkpoint.load(path, other)
    one, same = (model.train_step(BATCH_OF_IMAGES) for model in (restored, other))
    assert {k: float(v) for k, v in one.items()} == {k: float(v) for k, v in same.items()}
    assert float(one["g_loss_deviation"]) > 0
    for a, b in zip(values(state_variables(restored)), values(state_variables(other)), strict=True):
        np.testing.assert_array_equal(a, b)


# The value by which runs are compared.


def test_the_value_is_that_of_all_images_without_dropout(star):
    x = BATCH_OF_IMAGES[0]
    logits = star.logits(x)
    for i, D in enumerate(star.discriminators):
        np.testing.assert_allclose(logits[:, i], D(x, training=False)[:, 0])
    V = log_d(logits).mean(0) + log_d(-np.asarray(-logits)).mean(0)
    w = np.exp(0.126928 * V) / np.exp(0.126928 * V).sum()
    expected = OF_NUMPY["geometric"](w, V)
    assert float(star.value(logits, -logits)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("option", "value"),
    [("discriminators", 0), ("softmax_lambda", -1.0), ("dense_units", -1), ("image_size", 30)],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})
    with pytest.raises(UserError, match="--batch_size 7: give a multiple of --discriminators 3"):
        small(batch_size=7)
    with pytest.raises(UserError, match="--depths 0"):
        small(depths=[2, 0])
