"""DualGAN: the authors' networks, its losses against NumPy, and what keeps a critic Lipschitz."""

from common.errors import UserError
from common.nn import losses
from dualgan.dualgan import DualGAN
from tests.helpers.models import changed, count_weights, magnify, state_variables, values

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def images(count=2):
    return tf.constant(RANDOM.uniform(-1, 1, (count, 16, 16, 1)), tf.float32)


def small(**options):
    """A model with ten times the initial weights, so that every loss depends on them."""
    keras.utils.set_random_seed(1)
    model = DualGAN(**({"image_size": 16, "channels": 1, "width": 2} | options))
    magnify(model)
    model.compile(jit="off")  # compiling takes longer than the steps
    return model


@pytest.fixture(scope="module")
def model():
    """With a gradient penalty; tests may change its options."""
    return small()


@pytest.fixture(scope="module")
def clipped():
    """With clipped weights; tests may change its weights."""
    return small(mode="clip")


# The networks.


@pytest.mark.parametrize(
    ("size", "channels", "width", "translator", "critic"),
    [(256, 3, 64, 30_626_883, 3_949_441), (32, 1, 32, 2_346_337, None)],
)
def test_the_published_networks(model, monkeypatch, size, channels, width, translator, critic):
    for name, value in {"image_size": size, "channels": channels, "width": width}.items():
        monkeypatch.setattr(model, name, value)
    monkeypatch.setattr(model, "dropout", 0.5)
    network, D = model.build_translator("x"), model.build_discriminator("a")
    assert count_weights(network) == translator
    assert critic is None or count_weights(D) == critic
    assert not network.non_trainable_variables or all(
        "seed" in v.path for v in network.non_trainable_variables
    )
    kinds = [type(layer).__name__ for layer in network.layers]
    levels = int(np.log2(size))
    assert kinds.count("InstanceNormalization") == 2 * levels - 3  # neither ends nor bottleneck
    assert kinds.count("Dropout") == 3 and kinds.count("Concatenate") == levels - 1
    kernels = [layer.kernel_size[0] for layer in network.layers if hasattr(layer, "kernel_size")]
    assert kernels == [5] + [3] * (2 * levels - 2) + [5]
    (flat,) = (layer for layer in D.layers if type(layer).__name__ == "Flatten")
    assert flat.input.shape[1:3] == ((8, 8) if size == 256 else (4, 4))
    assert D.output.shape == (None, 1)
    assert not any("Batch" in type(layer).__name__ for layer in D.layers)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("n_critic", 0),
        ("penalty_weight", -1.0),
        ("clip", 0.0),
        ("reconstruction_weight", -1.0),
        ("dropout", 1.0),
        ("learning_rate", 0.0),
        ("image_size", 8),
        ("image_size", 48),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        DualGAN(**{option: value})


def test_the_reconstruction_weighs_less_in_small_images(model):
    """The gradient of lambda mean |x| by N values has the norm lambda / sqrt(N)."""
    norm = 500 / np.sqrt(256 * 256 * 3)
    assert model.reconstruction_weight == pytest.approx(norm * np.sqrt(16 * 16))
    assert small(image_size=32, channels=3, width=1).reconstruction_weight == pytest.approx(
        norm * np.sqrt(32 * 32 * 3)
    )
    assert small(reconstruction_weight=7.0).reconstruction_weight == 7


def test_dropout_is_noise_in_training_and_one_mask_at_inference():
    translate = small(dropout=0.5).generator.get_layer("AtoB")
    x = images(2)
    first, second = (np.asarray(translate(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(translate(x), translate(x))
    np.testing.assert_allclose(translate(x[1:])[0], translate(x)[1], atol=1e-5)


# The objective.


def expected_losses(model, a, b):
    """Both losses by NumPy, without a penalty; cycle losses and distances of domains A and B."""
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    D_A, D_B = (model.discriminator.get_layer(f"discriminator_{domain}") for domain in "ab")
    fake_b, fake_a = G(a), F(b)
    cycles = [np.abs(np.asarray(F(fake_b) - a)).mean(), np.abs(np.asarray(G(fake_a) - b)).mean()]
    on_fake = [np.mean(D_A(fake_a)), np.mean(D_B(fake_b))]
    distances = [np.mean(D_A(a)) - on_fake[0], np.mean(D_B(b)) - on_fake[1]]
    g_loss = model.reconstruction_weight * sum(cycles) - sum(on_fake)
    return -sum(distances), g_loss, cycles, distances


def expected_penalty(model, a, b):
    """Of gradients with respect to the images, at the points that the next step will draw."""
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    state = model.noise.state.numpy()
    total = 0
    for domain, real, fake in (("a", a, F(b)), ("b", b, G(a))):
        x_hat = losses.interpolated(real, fake, model.noise)
        with tf.GradientTape() as tape:
            tape.watch(x_hat)
            scores = model.discriminator.get_layer(f"discriminator_{domain}")(x_hat)
        gradient = np.asarray(tape.gradient(scores, x_hat)).reshape(len(real), -1)
        total += np.square(np.linalg.norm(gradient, axis=1) - 1).mean()
    model.noise.state.assign(state)
    return total


@pytest.mark.parametrize("mode", ["gp", "clip"])
def test_losses_match_the_equations(model, clipped, mode):
    model = {"gp": model, "clip": clipped}[mode]
    a, b = images(), images()
    d_loss, g_loss, cycles, distances = expected_losses(model, a, b)
    penalty = 10 * expected_penalty(model, a, b) if mode == "gp" else 0
    found, logs = model.objectives(a, b)
    assert float(found["discriminator"]) == pytest.approx(d_loss + penalty, rel=1e-4)
    assert float(found["generator"]) == pytest.approx(g_loss, rel=1e-4)
    for name, pair in (("cycle", cycles), ("wasserstein", distances)):
        assert [float(logs[f"{name}_{d}"]) for d in "ab"] == pytest.approx(pair, rel=1e-3)


def test_the_penalty_is_none_of_the_translators_loss(model):
    a, b = images(), images()
    _, gradients = model.losses_and_gradients(a, b)
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    D_A, D_B = (model.discriminator.get_layer(f"discriminator_{domain}") for domain in "ab")
    variables = [v.value for v in model.generator.trainable_variables]
    with tf.GradientTape() as tape:
        fake_b, fake_a = G(a), F(b)
        cycles = tf.reduce_mean(abs(F(fake_b) - a)) + tf.reduce_mean(abs(G(fake_a) - b))
        scores = tf.reduce_mean(D_A(fake_a)) + tf.reduce_mean(D_B(fake_b))
        loss = model.reconstruction_weight * cycles - scores
    for one, other in zip(gradients["generator"], tape.gradient(loss, variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max() + 1e-6)


# The steps.


def step(model):
    """Takes a step; names of the networks whose trainable weights it changes."""
    networks = {"discriminator": model.discriminator, "generator": model.generator}
    before = {name: values(n.trainable_variables) for name, n in networks.items()}
    model.train_step((images(), images()))
    flags = {name: changed(before[name], n.trainable_variables) for name, n in networks.items()}
    return {name for name, each in flags.items() if any(each)}


def test_with_clipped_weights_the_translators_are_updated_at_every_third_step(clipped):
    both = {"discriminator", "generator"}
    updated = [step(clipped) for _ in range(4)]
    assert updated == [{"discriminator"}, {"discriminator"}, both, {"discriminator"}]
    assert any(v is clipped.steps_done for v in state_variables(clipped))
    assert all(np.abs(v).max() <= 0.01 for v in values(clipped.discriminator.trainable_variables))
    assert any(np.abs(v).max() > 0.01 for v in values(clipped.generator.trainable_variables))


def test_with_a_penalty_every_step_updates_both_and_nothing_is_clipped(model):
    assert step(model) == {"discriminator", "generator"}
    weights = values(model.discriminator.trainable_variables)
    assert any(np.abs(v).max() > 0.1 for v in weights)
    assert small(n_critic=4).n_critic == 4
