"""Noise-to-image models: the simultaneous step, what a model may override, classes."""

from common.errors import UserError
from common.nn import losses
from tests.helpers.models import (
    assert_close,
    assert_gradients,
    changed,
    changed_networks,
    log_sigmoid,
    next_noise,
    player_update,
    unchanged_weights,
    values,
)
from tests.helpers.toy_gan import (
    BATCH,
    CLASSES,
    ConditionalToy,
    Toy,
    features_of,
    forward,
    images_of,
    made,
)

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from keras.layers import Dense

# One step of both players.


@pytest.mark.parametrize("model_class", [Toy, ConditionalToy])
def test_an_update_changes_every_weight_of_its_own_player_and_no_other(model_class):
    model = made(model_class)
    _, gradients = model.losses_and_gradients(*BATCH)
    for player in ("generator", "discriminator"):
        weights = model.networks[player].trainable_variables
        before = values(weights)
        assert changed_networks(model, player_update(model, player, gradients)) == {player}
        assert all(changed(before, weights))


@pytest.mark.parametrize("model_class", [Toy, ConditionalToy])
def test_one_step_updates_every_weight(model_class):
    model = made(model_class)
    assert model.players["discriminator"].optimizer is not model.players["generator"].optimizer
    assert unchanged_weights(model, lambda: model.train_step(BATCH)) == []


def cross_entropy(target, logits):
    return -(target * log_sigmoid(logits) + (1 - target) * log_sigmoid(-logits)).mean()


def least_squares(target, scores):
    return np.square(scores - target).mean()


def hinge(target, scores):
    return np.maximum(0, 1 - target * scores).mean()


@pytest.mark.parametrize(
    ("loss", "in_numpy", "targets"),
    [
        (losses.cross_entropy, cross_entropy, (1.0, 0.0)),
        (losses.cross_entropy, cross_entropy, (0.9, 0.1)),
        (losses.least_squares, least_squares, (1.0, -1.0)),
        (losses.hinge, hinge, (1.0, -1.0)),
    ],
)
def test_losses_compare_ds_outputs_with_the_targets(loss, in_numpy, targets):
    model = made(Toy, loss, loss_weights=0.5)
    model.targets = targets
    _, real, fake = forward(model)
    logs, _ = model.losses_and_gradients(*BATCH)
    on_real, on_fake = targets
    d_loss = in_numpy(on_real, real.numpy()) + in_numpy(on_fake, fake.numpy())
    assert float(logs["d_loss"]) == pytest.approx(0.5 * d_loss, rel=1e-5)
    g_loss = in_numpy(on_real, fake.numpy())
    assert float(logs["g_loss"]) == pytest.approx(0.5 * g_loss, rel=1e-5)


def test_each_players_gradients_are_those_of_its_own_loss():
    """Compared with one tape that records everything."""
    model = made(Toy, losses.least_squares)
    with tf.GradientTape(persistent=True) as tape:
        _, real, fake = forward(model)
        d_loss = tf.reduce_mean(tf.square(real - 1)) + tf.reduce_mean(tf.square(fake))
        g_loss = tf.reduce_mean(tf.square(fake - 1))
    _, gradients = model.losses_and_gradients(*BATCH)
    assert_gradients(model, gradients, tape, {"discriminator": d_loss, "generator": g_loss})


# What a model overrides.


class TwoHeads(Toy):
    """D predicts a logit and the class, as in ACGAN."""

    def __init__(self):
        class_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        super().__init__([losses.cross_entropy, class_loss])

    def build_discriminator(self):
        x = keras.Input((4, 4, 1))
        h = features_of(x)
        return keras.Model(x, [Dense(1)(h), Dense(CLASSES)(h)], name="discriminator")

    def d_loss(self, real, fake):
        target = [tf.ones_like(real.output[0]), real.classes]
        loss = self.discriminator.compute_loss(y=target, y_pred=real.output)
        return loss + losses.cross_entropy(0.0, fake.output[0])

    def g_loss(self, real, fake):
        target = [tf.ones_like(fake.output[0]), fake.classes]
        return self.combined.compute_loss(y=target, y_pred=fake.output)

    def logs(self, real, fake):
        return {"accuracy": ops.mean(ops.argmax(real.output[1], axis=1) == real.classes)}


def class_loss(logits, labels):
    logits = np.asarray(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(log_p)), labels].mean()


def test_a_discriminator_with_several_outputs():
    model, labels = made(TwoHeads), BATCH[1].numpy()
    _, (real, real_class), (fake, fake_class) = forward(model)
    logs, _ = model.losses_and_gradients(*BATCH)
    d_loss = cross_entropy(1, real.numpy()) + class_loss(real_class, labels)
    d_loss += cross_entropy(0, fake.numpy())
    assert float(logs["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    g_loss = cross_entropy(1, fake.numpy()) + class_loss(fake_class, labels)
    assert float(logs["g_loss"]) == pytest.approx(g_loss, rel=1e-5)
    accuracy = (np.argmax(real_class, axis=1) == labels).mean()
    assert float(logs["accuracy"]) == pytest.approx(accuracy)
    assert unchanged_weights(model, lambda: model.train_step(BATCH)) == []


class Energy(Toy):
    """D is an autoencoder and its reconstruction error an energy, as in EBGAN."""

    margin = 3.0

    def build_discriminator(self):
        x = keras.Input((4, 4, 1))
        return keras.Model(x, images_of(features_of(x)), name="discriminator")

    def energy(self, judged):
        return ops.sqrt(ops.sum(ops.square(judged.output - judged.images), axis=(1, 2, 3)))

    def d_loss(self, real, fake):
        return ops.mean(self.energy(real)) + ops.mean(ops.relu(self.margin - self.energy(fake)))

    def g_loss(self, real, fake):
        return ops.mean(self.energy(fake))


def test_a_discriminator_whose_output_is_a_reconstruction():
    """G's gradients are by the reconstruction and by the generated images it is compared with."""
    model = made(Energy)
    with tf.GradientTape(persistent=True) as tape:
        images, reconstructed, of_fake = forward(model)
        real = tf.norm(tf.reshape(reconstructed - BATCH[0], (6, -1)), axis=1)
        fake = tf.norm(tf.reshape(of_fake - images, (6, -1)), axis=1)
        d_loss = tf.reduce_mean(real) + tf.reduce_mean(tf.maximum(3 - fake, 0))
        g_loss = tf.reduce_mean(fake)
    logs, gradients = model.losses_and_gradients(*BATCH)
    assert 0 < float(g_loss) < 3  # within the margin
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    assert_gradients(model, gradients, tape, {"discriminator": d_loss, "generator": g_loss})
    assert unchanged_weights(model, lambda: model.train_step(BATCH)) == []


class Penalized(Toy):
    """A penalty on D's scores and on generated images, which are constant in it."""

    def penalty(self, real, fake):
        with tf.GradientTape() as tape:
            tape.watch(fake.images)
            score = ops.sum(self.discriminator(fake.images, training=True))
        slope = ops.mean(ops.square(tape.gradient(score, fake.images)))
        drift = ops.mean(ops.square(real.output))
        return drift + slope, {"drift": drift, "slope": slope}


def test_the_penalty_is_added_to_ds_loss_alone_and_logged():
    (plain, of_plain), (logs, gradients) = (
        made(model_class).losses_and_gradients(*BATCH) for model_class in (Toy, Penalized)
    )
    assert set(logs) == {"d_loss", "g_loss", "drift", "slope"}
    assert float(logs["drift"]) > 0 and float(logs["slope"]) > 0
    expected = float(plain["d_loss"] + logs["drift"] + logs["slope"])
    assert float(logs["d_loss"]) == pytest.approx(expected, rel=1e-6)
    assert float(logs["g_loss"]) == float(plain["g_loss"])
    assert_close(gradients["generator"], of_plain["generator"])
    last, plain_last = (g["discriminator"][-2].numpy() for g in (gradients, of_plain))
    assert np.abs(last - plain_last).max() > 1e-3


# Classes.


@pytest.mark.parametrize("conditional_d", [True, False])
def test_class_conditional_networks_take_the_classes_of_their_images(conditional_d, monkeypatch):
    """The generated images have other classes than the batch."""
    model, (x, labels) = made(ConditionalToy, conditional_d), BATCH
    fake_classes = (labels + 1) % CLASSES
    monkeypatch.setattr(model, "fake_classes", lambda labels: fake_classes)

    def judged(images, classes):
        inputs = [images, tf.one_hot(classes, CLASSES)] if conditional_d else images
        return model.discriminator(inputs, training=True).numpy()

    z = next_noise(model, 6)
    images = model.generator([z, tf.one_hot(fake_classes, CLASSES)], training=True)
    real, fake = judged(x, labels), judged(images, fake_classes)
    logs, _ = model.losses_and_gradients(x, labels)
    d_loss = cross_entropy(1, real) + cross_entropy(0, fake)
    assert float(logs["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(logs["g_loss"]) == pytest.approx(cross_entropy(1, fake), rel=1e-5)
    other = model.generator([z, tf.one_hot(labels, CLASSES)], training=True)
    assert np.abs(images - other).max() > 1e-3  # G depends on the class
    assert model.d_takes_class == conditional_d
    assert len(model.combined.inputs) == 2 and model.combined.output.shape == (None, 1)


def test_fake_classes_are_those_of_the_batch_or_drawn_uniformly():
    model = made(ConditionalToy)
    assert model.fake_classes(BATCH[1]) is BATCH[1]
    drawn = model.uniform_classes(tf.zeros(3000, tf.int32)).numpy()
    assert drawn.dtype == np.int32
    np.testing.assert_allclose(np.bincount(drawn) / 3000, [1 / 3] * 3, atol=0.04)
    assert set(model.uniform_classes(tf.zeros(100, tf.int32), start=1).numpy()) == {1, 2}


def test_generator_inputs_are_a_function_of_the_number_and_of_the_classes():
    z = made(Toy).generator_inputs(7, BATCH)
    again, one_hot = made(ConditionalToy).generator_inputs(7, BATCH)
    assert z.shape == (6, 3)
    np.testing.assert_array_equal(z, again)
    np.testing.assert_array_equal(one_hot, np.eye(CLASSES)[BATCH[1]])


@pytest.mark.parametrize("classes", [0, 1])
def test_a_class_conditional_model_needs_two_classes(classes):
    with pytest.raises(UserError, match=f"needs images of 2 classes or more, here are {classes}"):
        ConditionalToy(classes=classes)
