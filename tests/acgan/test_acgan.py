"""ACGAN: the networks, both losses on logits, the classifier, which weights a step updates."""

from acgan.acgan import ACGAN
from common.errors import UserError
from tests.helpers.models import (
    assign,
    changed,
    changed_networks,
    log_sigmoid,
    player_update,
    random_batch,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
CLASSES = 3


def small(**options):
    keras.utils.set_random_seed(1)
    defaults = {"image_size": 8, "classes": CLASSES, "width": 4, "latent_size": 5, "dropout": 0.0}
    return ACGAN(**(defaults | options))


@pytest.fixture(scope="module")
def shared():
    """Without dropout, so that a pass can be repeated; D has two layers, one of them normalized."""
    return small(image_size=16)


def batch(count=6, size=16):
    return random_batch(size, count, classes=CLASSES)


def noise(count):
    return tf.constant(np.random.default_rng(2).normal(size=(count, 5)), tf.float32)


def class_loss(logits, labels):
    """Mean -log softmax(logits)[label]."""
    logits = np.asarray(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(log_p)), np.asarray(labels)].mean()


def d_outputs(model, x):
    """The classes c' of the next step, and D's outputs for generated and real images."""
    before = values(model.variables)
    z = model.latent.draw(x.shape[0], model.noise)
    c_fake = keras.random.randint(x.shape[:1], 0, CLASSES, "int32", model.noise)
    drawn = model.generator([z, tf.one_hot(c_fake, CLASSES)], training=True)
    fake = model.discriminator(drawn, training=True)
    real = model.discriminator(x, training=True)
    assign(model.variables, before)
    return c_fake, fake, real


def test_the_numbers_of_weights_for_digits():
    model = ACGAN()
    assert weight_counts(model) == {"generator": 397_153, "discriminator": 115_403}
    rates = [layer.rate for layer in model.discriminator.layers if "dropout" in layer.name]
    assert rates == [0.3] * 3


def test_the_papers_networks_for_cifar():
    model = ACGAN(network="cifar", image_size=32, channels=3)
    assert weight_counts(model) == {"generator": 2_993_763, "discriminator": 1_663_883}
    convolutions = [layer for layer in model.discriminator.layers if "conv2d" in layer.name]
    assert [layer.filters for layer in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [layer.output.shape[1] for layer in convolutions] == [16, 16, 8, 8, 4, 4]
    rates = [layer.rate for layer in model.discriminator.layers if "dropout" in layer.name]
    assert rates == [0.5] * 6


@pytest.mark.parametrize(
    ("size", "side"), [(8, 4), (16, 4), (20, 3), (24, 3), (28, 4), (32, 4), (48, 3), (64, 4)]
)
def test_d_for_digits_halves_the_side_to_4_pixels_or_less(size, side):
    model = small(image_size=size, width=1)
    flatten = next(layer for layer in model.discriminator.layers if "flatten" in layer.name)
    assert flatten.input.shape[1:3] == (side, side)


@pytest.mark.parametrize("network", ["digits", "cifar"])
@pytest.mark.parametrize(("size", "channels"), [(28, 3), (64, 1)])
def test_other_image_sizes_channels_and_numbers_of_classes(network, size, channels):
    model = small(network=network, image_size=size, channels=channels, classes=2, width=1)
    inputs = [keras.Input((5,)), keras.Input((2,))]
    assert model.generator(inputs).shape == (None, size, size, channels)
    heads = model.discriminator(keras.Input((size, size, channels)))
    assert [head.shape for head in heads] == [(None, 1), (None, 2)]


@pytest.mark.parametrize("weight", [1.0, 0.0, 0.3])
def test_losses_match_the_papers_equations(shared, weight):
    shared.fake_class_weight = weight
    x, c = batch()
    c_fake, fake, real = d_outputs(shared, x)
    losses, _ = shared.losses_and_gradients(x, c)
    d_loss = -log_sigmoid(real[0]).mean() - log_sigmoid(-np.asarray(fake[0])).mean()
    d_loss += class_loss(real[1], c) + weight * class_loss(fake[1], c_fake)
    g_loss = -log_sigmoid(fake[0]).mean() + class_loss(fake[1], c_fake)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(g_loss, rel=1e-5)
    accuracy = (np.argmax(real[1], 1) == np.asarray(c)).mean()
    assert float(losses["accuracy"]) == pytest.approx(accuracy)


def test_the_heads_end_in_logits_and_g_minimizes_the_class_loss():
    """The class logits are 30, 0 and -30; G's loss is how far that of its class is below 30."""
    model, (x, c) = small(), batch(size=8)
    source_kernel, source_bias, class_kernel, class_bias = model.discriminator.weights[-4:]
    assert source_kernel.shape[1] == 1
    assert class_kernel.shape[1] == CLASSES
    for variable in (source_kernel, source_bias, class_kernel):
        variable.assign(tf.zeros_like(variable))
    class_bias.assign([30.0, 0.0, -30.0])
    np.testing.assert_allclose(model.discriminator(x)[1], [[30, 0, -30]] * 6)
    c_fake, _, _ = d_outputs(model, x)
    losses, _ = model.losses_and_gradients(x, c)
    expected = np.log(2) + np.mean([[0, 30, 60][label] for label in c_fake.numpy()])
    assert float(losses["g_loss"]) == pytest.approx(expected, rel=1e-5)


def test_fake_classes_are_uniform_and_g_depends_on_them(shared):
    before = values(shared.variables)
    drawn = keras.random.randint((3000,), 0, CLASSES, "int32", shared.noise)
    np.testing.assert_allclose(np.bincount(drawn) / 3000, [1 / 3] * 3, atol=0.04)
    assign(shared.variables, before)
    z = noise(4)
    a, b = (shared.sampler([z, tf.one_hot([c] * 4, CLASSES)]) for c in (0, 1))
    assert np.abs(a - b).max() > 1e-5


def test_moving_statistics_of_d_follow_real_images_only(shared):
    """A step updates them as a pass over its real images alone does. G's are updated too."""
    x, c = batch()
    normalizations = [each for each in shared.discriminator.layers if "batch_norm" in each.name]
    before = values(shared.variables)
    shared.discriminator(x, training=True)
    expected = values(shared.discriminator.non_trainable_weights)
    assign(shared.variables, before)
    of_generator = values(shared.generator.non_trainable_weights)
    shared.losses_and_gradients(x, c)
    assert len(expected) == 2 * len(normalizations) > 0
    for value, variable in zip(expected, shared.discriminator.non_trainable_weights, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-6, atol=1e-9)
    assert all(changed(of_generator, shared.generator.non_trainable_weights))


def test_classify_returns_probabilities_of_each_image_by_itself():
    model = small(image_size=16, dropout=0.5, activation_noise=0.2)
    for statistic in model.discriminator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    x, _ = batch(4)
    before = values(model.variables)
    together = model.classify(x).numpy()
    np.testing.assert_array_equal(together, model.classify(x))
    for i in range(4):
        np.testing.assert_allclose(model.classify(x[i : i + 1])[0], together[i], atol=1e-6)
    assert not any(changed(before, model.variables))
    assert together.shape == (4, CLASSES)
    np.testing.assert_allclose(together.sum(1), 1, rtol=1e-5)
    logits = np.asarray(model.discriminator(x)[1], "float64")
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(together, softmax, rtol=1e-4)


def test_dropout_and_activation_noise_are_on_in_training():
    x, _ = batch(4)
    for options in ({"dropout": 0.5}, {"activation_noise": 0.2}):
        model = small(image_size=16, **options)
        once, again = (model.discriminator(x, training=True)[1] for _ in range(2))
        assert np.abs(once - again).max() > 1e-5


def test_the_classifier_learns_classes_that_are_easy_to_tell_apart():
    """Black, grey and white images, with an accuracy above 95 % on new ones."""
    model = small(learning_rate=5e-3)
    c = np.arange(48) % CLASSES

    def images():
        x = RANDOM.normal(np.array([-0.8, 0.0, 0.8])[c][:, None, None, None], 0.1, (48, 8, 8, 1))
        return tf.constant(x, tf.float32)

    model.compile(jit="off")
    step = tf.function(model.train_step, autograph=False)
    for _ in range(150):
        step((images(), tf.constant(c, tf.int32)))
    assert (np.argmax(model.classify(images()), 1) == c).mean() > 0.95


def test_an_update_changes_every_weight_of_its_own_player_and_no_other():
    model = small(dropout=0.3, image_size=16)
    _, gradients = model.losses_and_gradients(*batch())
    for player in ("generator", "discriminator"):
        weights = model.networks[player].trainable_variables
        before = values(weights)
        assert changed_networks(model, player_update(model, player, gradients)) == {player}
        assert all(changed(before, weights)), player


def test_a_sample_depends_on_its_noise_and_class_alone(shared):
    before = values(shared.variables)
    for statistic in shared.generator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    z, y = noise(4), tf.one_hot([0, 1, 2, 0], CLASSES)
    together = shared.sampler([z, y], training=False).numpy()
    np.testing.assert_array_equal(together, shared.sampler([z, y], training=False))
    for i in range(4):
        alone = shared.sampler([z[i : i + 1], y[i : i + 1]], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1
    assign(shared.variables, before)


@pytest.mark.parametrize("network", ["digits", "cifar"])
def test_mixed_precision_keeps_images_and_losses_in_float32(network):
    keras.config.set_dtype_policy("mixed_float16")
    model, (x, labels) = small(network=network), batch(size=8)
    losses, _ = model.losses_and_gradients(x, labels)
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    drawn = model.sampler([noise(2), tf.one_hot([0, 1], CLASSES)], training=False)
    assert drawn.dtype == tf.float32


@pytest.mark.parametrize("classes", [0, 1])
def test_datasets_of_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UserError, match=f"2 classes or more, here are {classes}; .*subfolder"):
        small(classes=classes)


INVALID = """
image_size=0 image_size=4 image_size=30 image_size=100 width=0 latent_size=0
fake_class_weight=-1.0 dropout=1.0 activation_noise=-0.1 learning_rate=0.0 beta_1=1.0 ema=1.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: float(value) if "." in value else int(value)})
