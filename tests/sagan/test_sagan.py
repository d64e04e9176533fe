"""SAGAN: the networks, the losses, what each update changes, and when u is stored."""

from common import recipes, registry
from common.errors import UserError
from common.nn.attention import attention_of
from common.nn.conditional_normalization import ConditionalBatchNormalization
from common.nn.spectral import SpectralLayer
from common.signatures import pick
from sagan.sagan import SAGAN
from tests.helpers.models import (
    assign,
    changed,
    changed_networks,
    magnify,
    random_batch,
    state_restored,
    values,
    weight_counts,
)
from tests.helpers.shown_commands import parse

import keras
import numpy as np
import pytest
import tensorflow as tf

CLASSES = 3
X, Y = random_batch(32, 4, classes=CLASSES)


def small(**options):
    keras.utils.set_random_seed(1)
    return SAGAN(**({"classes": CLASSES, "width": 2, "latent_size": 5} | options))


@pytest.fixture(scope="module")
def shared():
    """Read-only: a test restores what it changes."""
    model = small()
    magnify(model)
    return model


def one_hot(classes):
    return tf.one_hot(classes, CLASSES)


def noise(count):
    return tf.constant(np.random.default_rng(2).normal(size=(count, 5)), tf.float32)


def vectors(network):
    """The vectors u of the network's spectral normalizations."""
    return [v for v in network.non_trainable_variables if v.name == "u"]


# The networks.


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"width": 64, "channels": 3, "latent_size": 128}, (4_386_308, 4_289_282)),
        ({"width": 32, "latent_size": 64}, (1_105_410, 1_073_026)),
        ({"width": 16, "latent_size": 64}, (314_114, 269_250)),
        ({"width": 8, "latent_size": 64}, (97_410, 67_810)),
    ],
)
def test_the_numbers_of_weights_for_32_pixels(options, counts):
    generator, discriminator = counts
    expected = {"generator": generator, "discriminator": discriminator}
    assert weight_counts(SAGAN(**options)) == expected


def test_the_papers_networks_for_imagenet(monkeypatch):
    """Their shapes and weights; the initial values would take the memory and the time."""
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)
    options = parse(["sagan/sagan.py", "--config", "imagenet128"])
    model = SAGAN(**pick(SAGAN, options) | {"classes": 1000})
    counts = {"generator": 42_078_852, "discriminator": 39_463_618}
    assert weight_counts(model) == counts
    maps = [attention_of(each).input.shape[1:] for each in (model.generator, model.discriminator)]
    assert maps == [(32, 32, 256), (32, 32, 128)]
    assert model.generator.output.shape[1:] == (128, 128, 3)


def zeros(self, shape, dtype=None):
    return tf.zeros(shape, dtype or "float32")


def test_every_weight_but_the_tables_and_the_last_normalization_is_spectrally_normalized(shared):
    for network, convolutions in ((shared.generator, 15), (shared.discriminator, 16)):
        layers = list(network._flatten_layers(include_self=False))
        spectral = {
            v.path
            for layer in layers
            if isinstance(layer, SpectralLayer)
            for v in layer.trainable_variables
        }
        tables = {
            v.path
            for layer in layers
            if isinstance(layer, ConditionalBatchNormalization)
            for v in layer.trainable_variables
        }
        rest = {v.path for v in network.trainable_variables} - spectral - tables
        assert {path.rsplit("/")[-1] for path in rest} <= {"gamma", "beta"}
        assert len(vectors(network)) == convolutions


@pytest.mark.parametrize("size", [64, 256])
def test_other_sizes(size):
    model = small(image_size=size, channels=3, width=1)
    assert model.generator.output.shape == (None, size, size, 3)
    assert model.discriminator.output.shape == (None, 1)
    for network in (model.generator, model.discriminator):
        assert attention_of(network).input.shape[1:3] == (32, 32)


@pytest.mark.parametrize("side", [0, 8, 16])
def test_the_attention_is_where_it_was_asked_for(side):
    model = small(attention_size=side)
    layers = [attention_of(each) for each in (model.generator, model.discriminator)]
    assert [layer and layer.input.shape[1] for layer in layers] == [side or None] * 2
    logs = model.logs(None, None)
    assert set(logs) == ({"g_gamma", "d_gamma"} if side else set())


# The objectives.


def test_losses_match_the_equations(shared):
    with state_restored(shared):
        losses, _ = shared.losses_and_gradients(X, Y)
    with state_restored(shared):
        images, classes = shared.generate(Y)
        both = [tf.concat([X, images], 0), one_hot(tf.concat([Y, classes], 0))]
        scores = shared.discriminator(both, training=True).numpy()[:, 0]
    real, fake = scores[:4], scores[4:]
    d_loss = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(losses["g_loss"]) == pytest.approx(-fake.mean(), rel=1e-4, abs=1e-5)
    assert float(losses["g_gamma"]) == 0


def test_real_and_generated_images_do_not_mix_in_d(shared):
    both = [tf.concat([X, -X], 0), one_hot(tf.concat([Y, Y], 0))]
    together = shared.discriminator(both)
    np.testing.assert_allclose(together[:4], shared.discriminator([X, one_hot(Y)]), rtol=1e-4)


def test_the_score_is_linear_in_the_class(shared):
    """D(x, y) - D(x, y') = <V y - V y', h>, so a mixture of classes has the mixture of scores."""
    scores = [shared.discriminator([X, one_hot([c] * 4)]).numpy() for c in range(CLASSES)]
    mixture = shared.discriminator([X, tf.fill((4, CLASSES), 1 / CLASSES)])
    np.testing.assert_allclose(mixture, np.mean(scores, axis=0), rtol=1e-3, atol=1e-4)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3


def test_classes_of_generated_images_are_uniform_and_g_depends_on_them(shared):
    with state_restored(shared):
        drawn = shared.fake_classes(tf.zeros(3000, tf.int32)).numpy()
    np.testing.assert_allclose(np.bincount(drawn) / 3000, [1 / 3] * 3, atol=0.04)
    a, b = (small_tables(shared, c) for c in (0, 1))
    assert np.abs(a - b).max() > 1e-3


def small_tables(model, label):
    """Images of a class, with tables that differ by class."""
    with state_restored(model):
        for layer in model.generator._flatten_layers():
            if isinstance(layer, ConditionalBatchNormalization):
                layer.biases.assign(np.random.default_rng(0).normal(size=layer.biases.shape))
        return model.generator([noise(2), one_hot([label] * 2)]).numpy()


# The updates.


def test_each_update_changes_its_own_player():
    model = small()
    magnify(model)
    only_d = changed_networks(
        model, lambda: model.update(X, Y, objectives=model.d_objectives, only=["discriminator"])
    )
    # A pass of G updates its moving statistics and vectors u, but none of its weights.
    assert "discriminator" in only_d
    weights = model.generator.trainable_variables
    before, of_d = values(weights), values(model.discriminator.variables)
    model.update(X, Y, objectives=model.d_objectives, only=["discriminator"])
    assert not any(changed(before, weights))
    of_d = values(model.discriminator.variables)
    model.g_step(X, Y)
    assert not any(changed(of_d, model.discriminator.variables))
    names = {v.name for v, flag in zip(weights, changed(before, weights), strict=True) if flag}
    assert {"kernel", "gains", "biases", "gamma", "bias"} <= names


def test_u_of_d_moves_once_a_step_and_not_with_g_or_at_inference(shared):
    with state_restored(shared):
        u = vectors(shared.discriminator)
        before = values(u)
        shared.discriminator([X, one_hot(Y)])
        shared.g_objectives(X, Y)
        assert not any(changed(before, u))
        shared.d_objectives(X, Y)
        once = values(u)
        assert all(changed(before, u))
        assign(u, before)
        shared.discriminator([X, one_hot(Y)], training=True)
        for one, other in zip(once, u, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_g_has_fresh_noise_for_its_update(shared):
    with state_restored(shared):
        first = shared.generate(Y)[0]
        assert np.abs(first - shared.generate(Y)[0]).max() > 1e-3


def test_the_learning_rates_are_unequal():
    model = small(learning_rate=1e-3, d_learning_rate=2e-3, beta_2=0.8)
    rates = {name: float(p.optimizer.learning_rate) for name, p in model.players.items()}
    assert rates == pytest.approx({"generator": 1e-3, "discriminator": 2e-3})
    for player in model.players.values():
        assert (player.optimizer.beta_1, player.optimizer.beta_2) == (0.0, 0.8)


def test_n_critic_updates_of_d_for_each_of_g():
    model = small(n_critic=2)
    model.compile(jit="off")
    counts = [float(model.train_step((X, Y))["generator_steps"]) for _ in range(4)]
    assert counts == [0, 1, 1, 2]


# Inference.


def test_a_sample_depends_on_its_noise_and_class_alone(shared):
    z, y = noise(3), one_hot([0, 1, 2])
    before = values(shared.generator.variables)
    together = shared.sampler([z, y], training=False).numpy()
    for i in range(3):
        alone = shared.sampler([z[i : i + 1], y[i : i + 1]], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    assert not any(changed(before, shared.generator.variables))
    assert together.dtype == np.float32 and np.abs(together).max() <= 1


def test_the_recipes_are_for_the_networks_of_the_tests():
    files = recipes.named(registry.file_of("sagan"))
    assert set(files) == {"mnist", "mnist_fast", "cifar10", "imagenet128"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_size": 28}, "--image_size 28: give one of 32, 64"),
        ({"attention_size": 32}, "--attention_size 32: images of 32 pixels have maps of 16, 8"),
        ({"classes": 1}, "2 classes or more, here are 1"),
        ({"d_learning_rate": 0.0}, "--d_learning_rate 0.0"),
        ({"beta_2": 1.0}, "--beta_2 1.0"),
        ({"n_critic": 0}, "--n_critic 0"),
        ({"width": 0}, "--width 0"),
    ],
)
def test_invalid_options_are_refused_by_name(options, said):
    with pytest.raises(UserError, match=said):
        small(**options)
