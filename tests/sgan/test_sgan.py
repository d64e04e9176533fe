"""SGAN: the networks, both objectives against NumPy, whose labels count, what an update changes."""

from common.errors import UserError
from common.nn.layers import GaussianNoise
from common.nn.weight_normalization import WeightNormDense, initialize_by_data
from sgan.sgan import SGAN
from tests.helpers.few_labels import trained_state, write_dataset
from tests.helpers.models import (
    assign,
    changed_networks,
    log_sigmoid,
    random_batch,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
SIZE, CLASSES = 8, 3
OBJECTIVES = pytest.mark.parametrize("objective", ["fm", "odena"])


def small(objective="fm", quiet=False, labels=6, **options):
    """A small model with its labelled images; `quiet` without noise and dropout."""
    keras.utils.set_random_seed(1)
    sizes = {"image_size": SIZE, "classes": CLASSES, "latent_size": 5, "labels": labels}
    layers = {"width": 4, "dense_units": 8, "units": 16, "dropout": 0.0 if quiet else 0.4}
    model = SGAN(objective, **(sizes | layers | options))
    model.compile(jit="off")
    model.labelled = type(model.labelled)(*random_batch(SIZE, labels, classes=CLASSES, seed=5))
    if quiet:
        for layer in model.discriminator.layers:
            if isinstance(layer, GaussianNoise):
                layer.stddev = 0.0
    return model


def batch(count=8):
    return random_batch(SIZE, count, classes=CLASSES)


def class_loss(logits, labels):
    """Mean -log softmax(logits)[label]."""
    logits = np.asarray(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(log_p)), np.asarray(labels)].mean()


def with_generated(logits):
    """The logits of K + 1 classes: that of generated images, 0, is the last one."""
    return np.pad(np.asarray(logits, "float64"), [(0, 0), (0, 1)])


# The networks.


def test_the_networks_of_feature_matching():
    model = SGAN()
    assert weight_counts(model) == {
        "generator": 694_568,
        "discriminator": 1_538_770,
        "average_discriminator": 1_538_770,
    }
    noises = [each for each in model.discriminator.layers if isinstance(each, GaussianNoise)]
    assert [layer.stddev for layer in noises] == [0.3] + [0.5] * 5
    dense = [each for each in model.discriminator.layers if isinstance(each, WeightNormDense)]
    assert [layer.units for layer in dense] == [1000, 500, 250, 250, 250, 10]
    assert [layer.learned_scale for layer in dense] == [False] * 5 + [True]
    assert [output.shape for output in model.discriminator.outputs] == [(None, 10), (None, 250)]
    adam = model.discriminator.optimizer
    assert (adam.beta_1, adam.epsilon) == (0.5, 1e-4)
    assert float(adam.learning_rate) == pytest.approx(1e-3)


def test_the_networks_of_odena():
    model = SGAN("odena")
    counts = weight_counts(model)
    assert counts["discriminator"] == 1_664_459
    assert weight_counts(SGAN("odena", dense_units=0))["discriminator"] == 86_667
    assert counts["generator"] == 1_716_193
    adam = model.combined.optimizer
    assert (adam.beta_1, adam.epsilon) == (0.5, 1e-8)
    assert float(adam.learning_rate) == pytest.approx(2e-4)


def test_the_noise_is_uniform_between_0_and_1_for_the_papers_generator():
    model = small()
    z = model.latent.of_seed(0, 500)
    inside = keras.Model(model.generator.input, model.generator.layers[1].output)(z)
    assert 0 <= np.min(inside) < 0.01 < 0.99 < np.max(inside) <= 1


def test_the_features_are_the_last_hidden_layer_before_its_noise():
    model = small()
    f = model.discriminator.outputs[1]
    assert f.shape == (None, 4)
    x, _ = batch(5)
    logits, features = (np.asarray(each) for each in model.discriminator(x, training=False))
    head = [each for each in model.discriminator.layers if isinstance(each, WeightNormDense)][-1]
    np.testing.assert_allclose(head(features), logits, atol=1e-5)  # without noise
    once, again = (model.discriminator(x, training=True)[1] for _ in range(2))
    assert np.abs(once - again).max() > 1e-3  # that of the layers below is on


@OBJECTIVES
@pytest.mark.parametrize(("size", "channels"), [(16, 3), (32, 1)])
def test_other_image_sizes_and_channels(objective, size, channels):
    model = small(objective, image_size=size, channels=channels)
    assert model.generator(keras.Input((5,))).shape == (None, size, size, channels)
    logits, _ = model.discriminator(keras.Input((size, size, channels)))
    assert logits.shape == (None, CLASSES)


def test_d_of_feature_matching_is_initialized_by_images(tmp_path):
    class Data:
        def arrays(self, split, count):
            assert (split, count) == ("train", 500)
            return RANDOM.integers(0, 256, (count, SIZE, SIZE, 1), "uint8"), "no labels"

    model = small(quiet=True)
    model.initialize(Data())
    x = RANDOM.uniform(-1, 1, (500, SIZE, SIZE, 1)).astype("float32")
    logits, _ = model.discriminator(x)
    np.testing.assert_allclose(np.mean(logits, axis=0), 0, atol=0.2)
    np.testing.assert_allclose(np.std(logits, axis=0), 1, rtol=0.2)


# The objectives.


def outputs(model, x_u):
    """D's outputs in the next objectives: for labelled, unlabelled and generated images."""
    before = values(model.variables)
    z = model.latent.draw(x_u.shape[0], model.noise)
    images = (model.labelled.x, x_u, model.generator(z, training=True))
    found = [model.discriminator(x, training=True) for x in images]
    assign(model.variables, before)
    return found


def test_the_losses_of_feature_matching():
    model, (x_u, _) = small(quiet=True), batch(6)
    (logits, _), (of_real, f_real), (of_fake, f_fake) = outputs(model, x_u)
    y = model.labelled.y
    z_real, z_fake = (np.log(np.exp(each).sum(1)) for each in (of_real, of_fake))
    d_loss = class_loss(logits, y)
    d_loss += 0.5 * np.mean(np.logaddexp(0, z_real) - z_real) + 0.5 * np.logaddexp(0, z_fake).mean()
    losses, logs = model.d_objectives(x_u)
    assert float(losses["discriminator"]) == pytest.approx(d_loss, rel=1e-5)
    accuracy = (np.argmax(logits, 1) == np.asarray(y)).mean()
    assert float(logs["accuracy"]) == pytest.approx(accuracy)
    model = small(quiet=True)
    difference = np.mean(f_fake, axis=0, dtype="float64") - np.mean(f_real, axis=0)
    losses, _ = model.g_objectives(x_u)
    assert float(losses["generator"]) == pytest.approx(np.mean(difference**2), rel=1e-4)


def test_the_losses_of_odena_are_a_classification_into_one_class_more():
    model, (x_u, _) = small("odena", quiet=True), batch(6)
    (logits, _), (of_real, _), (of_fake, _) = outputs(model, x_u)
    d_loss = class_loss(with_generated(logits), model.labelled.y)
    d_loss += class_loss(with_generated(of_fake), [CLASSES] * 6)
    z_real, z_fake = (np.log(np.exp(each).sum(1)) for each in (of_real, of_fake))
    d_loss -= log_sigmoid(z_real).mean()
    losses, _ = model.d_objectives(x_u)
    assert float(losses["discriminator"]) == pytest.approx(d_loss, rel=1e-5)
    model = small("odena", quiet=True)
    losses, _ = model.g_objectives(x_u)
    assert float(losses["generator"]) == pytest.approx(-log_sigmoid(z_fake).mean(), rel=1e-5)


@OBJECTIVES
def test_the_baselines_loss_is_the_labelled_term(objective):
    model, (x_u, _) = small(objective, quiet=True, baseline=True), batch(6)
    (logits, _), _, _ = outputs(model, x_u)
    logits = logits if objective == "fm" else with_generated(logits)
    losses, _ = model.d_objectives(x_u)
    expected = class_loss(logits, model.labelled.y)
    assert float(losses["discriminator"]) == pytest.approx(expected, rel=1e-5)


# The step.


@OBJECTIVES
def test_d_and_g_learn_from_different_halves_of_a_batch(objective, monkeypatch):
    model, (x, y) = small(objective), batch(8)
    seen = {}
    for player in ("d", "g"):
        objectives = getattr(model, f"{player}_objectives")

        def noted(x_u, player=player, objectives=objectives):
            seen[player] = x_u.numpy()
            return objectives(x_u)

        monkeypatch.setattr(model, f"{player}_objectives", noted)
    model.train_step((x, y))
    np.testing.assert_array_equal(seen["d"], x[:4])
    np.testing.assert_array_equal(seen["g"], x[4:])


@OBJECTIVES
def test_each_update_changes_its_own_player(objective):
    model, (x, _) = small(objective), batch()

    def d_step():
        model.update(x, objectives=model.d_objectives, only=["discriminator"])

    def g_step():
        model.update(x, objectives=model.g_objectives, only=["generator"])

    of_d = changed_networks(model, d_step) - {"generator"}  # whose moving statistics change
    assert of_d == {"discriminator", "average_discriminator"}
    before = values(model.generator.trainable_variables)
    d_step()
    for variable, value in zip(model.generator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    before = values(model.discriminator.trainable_variables)
    assert "generator" in changed_networks(model, g_step)
    for variable, value in zip(model.discriminator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@OBJECTIVES
def test_a_step_updates_every_weight(objective):
    model = small(objective)
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []


@OBJECTIVES
def test_the_baselines_step_leaves_the_generator(objective):
    model = small(objective, baseline=True)
    changed = changed_networks(model, lambda: model.train_step(batch()))
    assert changed == {"discriminator", "average_discriminator"}


def test_the_scales_of_ds_units_are_trained_in_the_last_layer_alone():
    model = small()
    dense = [each for each in model.discriminator.layers if isinstance(each, WeightNormDense)]
    before = [layer.scale.numpy() for layer in dense]
    model.train_step(batch())
    flags = [np.array_equal(a, b.scale) for a, b in zip(before, dense, strict=True)]
    assert flags == [True] * 5 + [False]


def test_moving_statistics_of_odenas_d_follow_real_images_alone():
    model, (x_u, _) = small("odena", quiet=True), batch(6)
    before = values(model.variables)
    for x in (model.labelled.x, x_u):
        model.discriminator(x, training=True)
    expected = values(model.discriminator.non_trainable_weights)
    assign(model.variables, before)
    model.d_objectives(x_u)
    model.g_objectives(x_u)
    for value, variable in zip(expected, model.discriminator.non_trainable_weights, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-7)


# The labels.


@OBJECTIVES
@pytest.mark.parametrize("baseline", [False, True])
def test_only_the_labels_that_were_asked_for_are_used(tmp_path, objective, baseline):
    """Poisoning all others changes nothing: the state after some steps has the same bytes."""
    file = write_dataset(tmp_path, SIZE, CLASSES)

    def make():
        return small(objective, baseline=baseline)

    assert trained_state(make, file, 2, poisoned=True) == trained_state(make, file, 2)


def test_the_baseline_does_not_depend_on_unlabelled_images():
    states = []
    for seed in (0, 1):
        model = small("odena", baseline=True)
        batches = [random_batch(SIZE, 8, seed=seed + k) for k in range(3)]
        model.set_average_batches(batches)
        for each in batches:
            model.train_step(each)
        model.update_average_statistics()
        states.append([v.numpy().tobytes() for v in model.average_discriminator.variables])
    assert states[0] == states[1]


@pytest.mark.parametrize(("labels", "drawn"), [(3, 3), (6, 6), (50, 8)])
def test_a_step_takes_all_labelled_images_or_as_many_as_unlabelled_ones(labels, drawn):
    model = small(labels=labels)
    x, y = model.labelled.draw(8, model.noise)
    assert x.shape == (drawn, SIZE, SIZE, 1) and y.shape == (drawn,)


# The classifier.


@OBJECTIVES
def test_the_average_of_d_classifies_into_the_real_classes(objective):
    model = small(objective)
    for network in (model.discriminator, model.average_discriminator):
        for v in network.trainable_variables:
            v.assign(RANDOM.normal(0, 0.5, v.shape))
    for statistic in model.average_discriminator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    x, _ = batch(4)
    before = values(model.variables)
    together = model.classify(x).numpy()
    assert together.shape == (4, CLASSES)
    np.testing.assert_allclose(together.sum(1), 1, rtol=1e-5)
    logits, _ = model.average_discriminator(x, training=False)
    np.testing.assert_allclose(together, keras.ops.softmax(logits), atol=1e-6)
    for i in range(4):
        np.testing.assert_allclose(model.classify(x[i : i + 1])[0], together[i], atol=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_without_an_average_d_classifies_itself():
    model = small(classifier_ema=0.0)
    assert set(model.networks) == {"discriminator", "generator"}
    logits, _ = model.discriminator(batch(4)[0], training=False)
    np.testing.assert_allclose(model.classify(batch(4)[0]), keras.ops.softmax(logits), atol=1e-6)


def test_the_sampler_takes_no_class():
    model = small()
    assert model.classes == 0 and model.sampler is model.generator
    assert model.sampler(model.latent.of_seed(0, 2)).shape == (2, SIZE, SIZE, 1)


@OBJECTIVES
def test_few_labels_and_many_images_are_told_apart(objective):
    """Black, grey and white images, two labels of each: accuracy above 95 % on new ones."""

    def images(seed, count=24):
        random = np.random.default_rng(seed)
        y = np.arange(count) % CLASSES
        level = np.array([-0.8, 0.0, 0.8])[y][:, None, None, None]
        x = np.clip(random.normal(level, 0.15, (count, SIZE, SIZE, 1)), -1, 1)
        return tf.constant(x, tf.float32), tf.constant(y, tf.int32)

    model = small(objective, units=200, classifier_ema=0.9, learning_rate=1e-3)
    model.labelled = type(model.labelled)(*images(0, 6))
    initialize_by_data(model.discriminator, images(5, 200)[0])
    model.set_average_batches([images(9)])
    step = model.compiled_step()
    for k in range(100):
        x, _ = images(10 + k)
        step((x, tf.zeros(len(x), tf.int32)))
    model.update_average_statistics()
    x, y = images(1)
    assert (np.argmax(model.classify(x), 1) == y.numpy()).mean() > 0.95


@OBJECTIVES
def test_mixed_precision_keeps_images_and_losses_in_float32(objective):
    keras.config.set_dtype_policy("mixed_float16")
    model = small(objective)
    losses = model.train_step(batch())
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    assert model.sampler(model.latent.of_seed(0, 2)).dtype == tf.float32
    assert model.classify(batch(2)[0]).dtype == tf.float32


# Errors.


@pytest.mark.parametrize("classes", [0, 1])
def test_datasets_of_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UserError, match=f"2 classes or more, here are {classes}; .*subfolder"):
        small(classes=classes)


INVALID = """
labels=0 units=3 dense_units=-1 dropout=1.0 classifier_ema=1.0 learning_rate=0.0 width=0 ema=1.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        SGAN("odena", **{option: float(value) if "." in value else int(value)})


def test_a_step_without_labelled_images_is_an_error():
    model = SGAN(image_size=SIZE, units=4)
    with pytest.raises(ValueError, match="prepare"):
        model.train_step(batch())
