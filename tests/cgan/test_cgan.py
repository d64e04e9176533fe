"""CGAN: both kinds of networks, where the class enters, the losses, what an update changes."""

from cgan.cgan import CGAN, with_class
from common.errors import UserError
from tests.helpers.models import (
    assert_close,
    assign,
    changed,
    changed_networks,
    fixed_latent,
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
    defaults = {"image_size": 8, "classes": CLASSES, "width": 4, "latent_size": 5}
    return CGAN(**(defaults | {"l2": 0.0} | options))


@pytest.fixture(scope="module")
def convolutional():
    return small()


@pytest.fixture(scope="module")
def paper():
    """The paper's layers. Weights are large, so that the outputs of so narrow a network depend on
    its inputs; there is no dropout, so that a pass can be repeated."""
    model = small(network="fully_connected", dropout=0.0, pixel_dropout=0.0)
    for network in model.networks.values():
        network.set_weights([RANDOM.normal(0, 0.5, w.shape) for w in network.get_weights()])
    return model


@pytest.fixture(params=["convolutional", "paper"])
def either(request):
    return request.getfixturevalue(request.param)


def batch(count=6):
    return random_batch(8, count, classes=CLASSES)


def one_hot(labels):
    return tf.one_hot(labels, CLASSES)


def noise(count):
    return tf.constant(np.random.default_rng(2).uniform(-1, 1, (count, 5)), tf.float32)


def d_outputs(model, x, labels, fake_labels=None, wrong_labels=None):
    """D's logits in the next step: of real, generated and mismatched pairs. Restores the state.

    Args:
        fake_labels: classes of the generated images; default `labels`.
        wrong_labels: classes of the mismatched pairs; None for no such pairs.
    """
    before = values(model.variables)
    z = model.latent.draw(x.shape[0], model.noise)
    y_fake = one_hot(labels if fake_labels is None else fake_labels)
    fake = model.discriminator([model.generator([z, y_fake], training=True), y_fake], training=True)
    real = model.discriminator([x, one_hot(labels)], training=True)
    wrong = None
    if wrong_labels is not None:
        wrong = model.discriminator([x, one_hot(wrong_labels)], training=True)
    assign(model.variables, before)
    return real, fake, wrong


def test_the_numbers_of_weights():
    """They are these only if the class enters every layer."""
    model = CGAN()
    assert weight_counts(model) == {"generator": 405_403, "discriminator": 79_307}
    model = CGAN(network="fully_connected")
    assert weight_counts(model) == {"generator": 2_413_984, "discriminator": 1_224_351}


@pytest.mark.parametrize("network", ["convolutional", "fully_connected"])
@pytest.mark.parametrize(("size", "channels"), [(20, 3), (64, 1)])
def test_other_image_sizes_channels_and_numbers_of_classes(network, size, channels):
    model = small(network=network, image_size=size, channels=channels, classes=2, width=2)
    x, y = keras.Input((size, size, channels)), keras.Input((2,))
    assert model.generator([keras.Input((5,)), y]).shape == (None, size, size, channels)
    assert model.discriminator([x, y]).shape == (None, 1)


def test_with_class_appends_the_one_hot_class_as_constant_maps():
    h, y = RANDOM.normal(size=(2, 3, 4, 5)).astype("float32"), one_hot([2, 0])
    spatial = np.asarray(with_class(tf.constant(h), y))
    assert spatial.shape == (2, 3, 4, 5 + CLASSES)
    np.testing.assert_array_equal(spatial[..., :5], h)
    np.testing.assert_array_equal(spatial[0, ..., 5:], np.broadcast_to([0, 0, 1], (3, 4, 3)))
    np.testing.assert_array_equal(spatial[1, ..., 5:], np.broadcast_to([1, 0, 0], (3, 4, 3)))
    np.testing.assert_array_equal(
        with_class(tf.constant(h[:, 0, 0]), y), np.concatenate([h[:, 0, 0], y], 1)
    )


def test_both_networks_depend_on_the_class(either):
    x, z = batch(4)[0], noise(4)
    a, b = one_hot([0] * 4), one_hot([1] * 4)
    assert np.abs(either.sampler([z, a]) - either.sampler([z, b])).max() > 1e-3
    assert np.abs(either.discriminator([x, a]) - either.discriminator([x, b])).max() > 1e-4


def test_the_papers_networks_work_on_pixels_from_0_to_1(paper):
    """Compared with NumPy: the paper's sigmoid and [0, 1] inside, [-1, 1] outside."""

    def weights_of(network):
        return [w.astype("float64") for w in network.get_weights()]

    x, labels = batch(4)
    z, y = noise(4).numpy(), one_hot(labels).numpy()
    wz, bz, wy, by, wh, bh, wo, bo = weights_of(paper.generator)
    h = np.concatenate([np.maximum(z @ wz + bz, 0), np.maximum(y @ wy + by, 0)], 1)
    pixels = 1 / (1 + np.exp(-(np.maximum(h @ wh + bh, 0) @ wo + bo)))
    drawn = paper.generator([noise(4), one_hot(labels)])
    np.testing.assert_allclose(drawn, 2 * pixels.reshape(4, 8, 8, 1) - 1, atol=1e-5)

    def largest(affine, pieces):
        return affine.reshape(4, -1, pieces).max(2)

    wx, bx, wy, by, wh, bh, wo, bo = weights_of(paper.discriminator)
    pixels = (np.asarray(x, "float64").reshape(4, -1) + 1) / 2
    h = np.concatenate([largest(pixels @ wx + bx, 5), largest(y @ wy + by, 5)], 1)
    logits = largest(h @ wh + bh, 4) @ wo + bo
    np.testing.assert_allclose(paper.discriminator([x, one_hot(labels)]), logits, atol=1e-5)


def test_the_papers_networks_have_small_initial_weights_and_d_drops_a_fifth_of_the_pixels():
    """With larger weights or all pixels, D wins before G has learned anything."""
    model = small(network="fully_connected", width=32, image_size=28)
    for network, reach in ((model.generator, 0.05), (model.discriminator, 0.005)):
        for kernel in (w for w in network.get_weights() if w.ndim == 2):
            assert 0.9 * reach < np.abs(kernel).max() <= reach
            assert kernel.std() == pytest.approx(reach / 3**0.5, rel=0.15)
    (first, *_) = (h for h in model.discriminator.layers if isinstance(h, keras.layers.Dropout))
    pixels = np.asarray(first(tf.ones((20, 784)), training=True))
    assert (pixels == 0).mean() == pytest.approx(0.2, abs=0.02)


def test_losses_match_the_papers_equations(either):
    x, labels = batch()
    real, fake, _ = d_outputs(either, x, labels)
    losses, _ = either.losses_and_gradients(x, labels)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-np.asarray(fake)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-4)


def test_uniform_fake_labels_are_the_same_for_both_networks():
    model, (x, labels) = small(fake_labels="uniform"), batch(12)
    before = values(model.variables)
    model.latent.draw(12, model.noise)
    drawn = model.fake_classes(labels)
    many = model.fake_classes(tf.zeros(3000, tf.int32))
    assign(model.variables, before)
    assert not np.array_equal(drawn, labels)
    np.testing.assert_allclose(np.bincount(many) / 3000, [1 / 3] * 3, atol=0.04)

    _, fake, _ = d_outputs(model, x, labels, drawn)
    real, of_labels, _ = d_outputs(model, x, labels)
    losses, _ = model.losses_and_gradients(x, labels)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-np.asarray(fake)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)
    assert np.abs(np.asarray(fake) - of_labels).max() > 1e-4  # D can tell the difference


def test_the_matching_term_counts_real_images_with_a_wrong_class_as_fake():
    model, (x, labels) = small(matching_weight=2.0), batch(12)
    before = values(model.variables)
    model.latent.draw(12, model.noise)
    ones = tf.ones(3000, tf.int32)
    others, many = (
        ((y + model.uniform_classes(y, start=1)) % CLASSES).numpy() for y in (labels, ones)
    )
    assign(model.variables, before)
    assert np.all(others != labels)
    np.testing.assert_allclose(np.bincount(many, minlength=3) / 3000, [0.5, 0, 0.5], atol=0.04)

    real, fake, wrong = d_outputs(model, x, labels, wrong_labels=others)
    losses, _ = model.losses_and_gradients(x, labels)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-np.asarray(fake)).mean()
    d_loss -= 2 * log_sigmoid(-np.asarray(wrong)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)


def test_the_l2_penalty_adds_l2_times_the_weights_to_the_gradients(convolutional):
    x, labels = batch()
    decaying = small(l2=0.5)
    assign(decaying.variables, values(convolutional.variables))
    losses, gradients = decaying.losses_and_gradients(x, labels)
    plain_losses, plain = convolutional.losses_and_gradients(x, labels)
    for name, loss in (("discriminator", "d_loss"), ("generator", "g_loss")):
        weights = values(decaying.networks[name].trainable_variables)
        for with_it, without, w in zip(gradients[name], plain[name], weights, strict=True):
            np.testing.assert_allclose(with_it - without, 0.5 * w, atol=1e-5)
        term = 0.25 * sum((w.astype("float64") ** 2).sum() for w in weights)
        assert float(losses[loss] - plain_losses[loss]) == pytest.approx(term, rel=1e-4)


@pytest.mark.parametrize("network", ["convolutional", "fully_connected"])
def test_an_update_changes_every_weight_of_its_own_player_and_no_other(network):
    model = small(network=network)
    _, gradients = model.losses_and_gradients(*batch())
    for player in ("generator", "discriminator"):
        weights = model.networks[player].trainable_variables
        before = values(weights)
        assert changed_networks(model, player_update(model, player, gradients)) == {player}
        assert all(changed(before, weights)), player


@pytest.mark.parametrize(
    "options",
    [
        {"fake_labels": "uniform", "matching_weight": 1.0},
        {"network": "fully_connected", "dropout": 0.0, "pixel_dropout": 0.0},
    ],
)
def test_xla_computes_what_the_plain_graph_computes(options):
    model, (x, labels) = small(width=2, l2=1e-3, **options), batch()
    model.latent = fixed_latent(noise(6))
    before, results = values(model.variables), []
    for jit in (True, False):
        assign(model.variables, before)
        step = tf.function(model.losses_and_gradients, autograph=False, jit_compile=jit)
        results.append(step(x, labels))
    assert_close(*results)


def test_a_sample_depends_on_its_noise_and_class_alone(either):
    for statistic in either.generator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    z, y = noise(4), one_hot([0, 1, 2, 0])
    before = values(either.variables)
    together = either.sampler([z, y], training=False).numpy()
    np.testing.assert_array_equal(together, either.sampler([z, y], training=False))
    for i in range(4):
        alone = either.sampler([z[i : i + 1], y[i : i + 1]], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    assert not any(changed(before, either.variables))
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1


@pytest.mark.parametrize("network", ["convolutional", "fully_connected"])
def test_mixed_precision_keeps_images_and_losses_in_float32(network):
    keras.config.set_dtype_policy("mixed_float16")
    model, (x, labels) = small(network=network), batch()
    losses, _ = model.losses_and_gradients(x, labels)
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    drawn = model.sampler([noise(2), tf.one_hot([0, 1], CLASSES)], training=False)
    assert drawn.dtype == tf.float32


@pytest.mark.parametrize("classes", [0, 1])
def test_datasets_of_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UserError, match=f"2 classes or more, here are {classes}; .*subfolder"):
        small(classes=classes)


INVALID = """
image_size=0 image_size=30 image_size=100 width=0 latent_size=0 dropout=1.0
pixel_dropout=1.0 matching_weight=-1.0 learning_rate=0.0 beta_1=1.0 l2=-0.1 ema=1.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: float(value) if "." in value else int(value)})
