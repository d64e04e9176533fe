"""PixelDA: the paper's networks, its losses against NumPy, which weights and labels a step uses."""

from common.errors import UserError
from pixelda.pixelda import PixelDA
from tests.helpers.models import (
    assert_gradients,
    assign,
    changed,
    changed_networks,
    count_weights,
    log_sigmoid,
    magnify,
    player_update,
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

RANDOM = np.random.default_rng(0)
CLASSES = 3


def small(**options):
    keras.utils.set_random_seed(1)
    defaults = {"image_size": 8, "channels": 1, "classes": CLASSES, "width": 2, "blocks": 1}
    model = PixelDA(**(defaults | options))
    model.compile(jit="off")  # compiling takes longer than the steps
    return model


@pytest.fixture(scope="module")
def shared():
    """Ten times the initial weights, so that every loss depends on them; no dropout or noise."""
    model = small()
    magnify(model)
    for layer in model.discriminator.layers:
        if "dropout" in layer.name:
            layer.rate = 0
        if "gaussian_noise" in layer.name:
            layer.stddev = 0
    return model


@pytest.fixture
def restored(shared):
    """The model, whose state is restored after the test."""
    with state_restored(shared):
        yield shared


def images(count=6):
    return tf.constant(RANDOM.uniform(-1, 1, (count, 8, 8, 1)), tf.float32)


def labels(count=6, first=0):
    return tf.constant((np.arange(count) + first) % CLASSES, tf.int32)


def batch():
    return images(), labels(), images(), labels(first=1)


def cross_entropy(logits, classes):
    """Mean -log softmax(logits)[class]."""
    logits = np.asarray(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(log_p)), np.asarray(classes)].mean()


# The networks.


def test_the_papers_networks():
    model = PixelDA(width=64, blocks=6, first_strides=1)
    counts = {"generator": 456_963, "discriminator": 1_559_169, "classifier": 356_858 + 2 * 2_432}
    assert weight_counts(model) == counts
    convolutions = [layer for layer in model.discriminator.layers if "conv2d" in layer.name]
    assert [layer.filters for layer in convolutions] == [64, 128, 256, 512]
    assert [layer.output.shape[1] for layer in convolutions] == [32, 16, 8, 4]
    assert model.players["discriminator"].optimizer.epsilon == 1e-8


def test_the_default_networks():
    model = PixelDA()
    assert count_weights(model.generator) == 68_035
    convolutions = [layer for layer in model.discriminator.layers if "conv2d" in layer.name]
    assert [layer.filters for layer in convolutions] == [32, 64, 128]
    assert [layer.output.shape[1] for layer in convolutions] == [16, 8, 4]
    assert count_weights(PixelDA(image_size=28, blocks=3).generator) == 65_395


def test_dropout_and_noise_follow_every_convolution_of_d_and_never_the_image():
    kinds = [type(layer).__name__ for layer in PixelDA(first_strides=1).discriminator.layers]
    activated = ["LeakyReLU", "Dropout", "GaussianNoise"]
    first = [kind for kind in kinds if kind != "ZeroPadding2D"][1:]
    assert first == [
        *("Conv2D", *activated),
        *(3 * ["Conv2D", "BatchNormalization", *activated]),
        *("Flatten", "Dense", "Activation"),
    ]


def test_batch_normalization_has_an_offset_and_no_scale():
    model = small(image_size=16)
    for network in (model.generator, model.discriminator):
        found = [layer for layer in network.layers if "batch_normalization" in layer.name]
        assert found
        for layer in found:
            assert layer.center and not layer.scale and layer.epsilon == 1e-3
            assert layer.momentum == 0.9


def test_a_block_has_no_activation_after_its_sum(shared):
    layers = shared.generator.layers
    (add,) = [n for n, layer in enumerate(layers) if type(layer).__name__ == "Add"]
    assert type(layers[add + 1]).__name__ == "Conv2D" and layers[add + 1].kernel_size == (1, 1)


def test_the_noise_is_a_channel_of_the_image(shared):
    """Noise of 10 components, uniform in [-1, 1], changes the translation."""
    (x_s, z) = shared.generator.inputs
    assert x_s.shape == (None, 8, 8, 1) and z.shape == (None, 10)
    drawn = shared.latent.draw(2000, keras.random.SeedGenerator(0)).numpy()
    assert -1 <= drawn.min() < -0.99 < 0.99 < drawn.max() <= 1
    x = images(2)
    z = tf.constant(drawn[:4])
    one, other = (shared.sampler([x, z[i : i + 2]], training=False) for i in (0, 2))
    assert np.abs(one - other).max() > 1e-5


def test_towers_share_all_layers_but_the_first(shared):
    source, target = (values_of(tower) for tower in (shared.source_tower, shared.target_tower))
    tied = source & target
    assert len(source) == len(target) == 10 and len(tied) == 8
    assert len(values_of(shared.classifier)) == 12


def values_of(network):
    return {id(v) for v in network.trainable_variables}


def test_the_gradient_of_shared_layers_is_the_sum_of_both_towers(shared):
    x_s, y, x_f, _ = batch()
    variables = [v.value for v in shared.classifier.get_layer("source_tower").trainable_variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape(persistent=True) as tape:
        of_source, of_fake = shared.classifier([x_s, x_f])
        both = loss(y, of_source) + loss(y, of_fake)
        one, other = loss(y, shared.source_tower(x_s)), loss(y, shared.target_tower(x_f))
    total = tape.gradient(both, variables)
    parts = [tape.gradient(each, variables) for each in (one, other)]
    for whole, a, b in list(zip(total, *parts, strict=True))[2:]:  # without the first layer
        np.testing.assert_allclose(whole, a + b, rtol=1e-4, atol=1e-7)
        assert np.abs(a).max() > 0 and np.abs(b).max() > 0
    assert parts[1][0] is None  # the source's first layer does not see translations


# The objective.


def outputs(model, x_s, x_t):
    """x_f of the next step, and D's and T's outputs in that step."""
    before = values(model.variables)
    x_f = model.generator([x_s, model.latent.draw(len(x_s), model.noise)], training=True)
    fake, real = (np.asarray(model.discriminator(x, training=True)) for x in (x_f, x_t))
    of_source, of_fake = model.source_tower(x_s), model.target_tower(x_f)
    assign(model.variables, before)
    return fake, real, of_source, of_fake


@pytest.mark.parametrize("weights", [(0.1356036, 0.0113173, 0.0100960), (2.0, 3.0, 0.5)])
def test_losses_match_the_papers_equations(restored, weights):
    d_weight, g_weight, task_weight = weights
    model = small(d_weight=d_weight, g_weight=g_weight, task_weight=task_weight)
    for name, network in model.networks.items():
        network.set_weights(restored.networks[name].get_weights())
    for layer in model.discriminator.layers:
        for name in ("rate", "stddev"):
            if hasattr(layer, name):
                setattr(layer, name, 0)
    x_s, y_s, x_t, y_t = batch()
    fake, real, of_source, of_fake = outputs(model, x_s, x_t)
    losses, _ = model.losses_and_gradients(x_s, y_s, x_t, y_t)
    d_loss = d_weight * (-log_sigmoid(real).mean() - log_sigmoid(-fake).mean())
    t_loss = cross_entropy(of_source, y_s) + cross_entropy(of_fake, y_s)
    g_loss = g_weight * -log_sigmoid(fake).mean() + task_weight * cross_entropy(of_fake, y_s)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(losses["classifier_loss"]) == pytest.approx(t_loss, rel=1e-4)
    assert float(losses["g_loss"]) == pytest.approx(g_loss, rel=1e-4)
    expected = (np.argmax(of_fake, axis=1) == np.asarray(y_s)).mean()
    assert float(losses["accuracy"]) == pytest.approx(expected)


def test_each_players_gradients_are_those_of_its_own_loss(restored):
    """Compared with one tape that records everything."""
    model, (x_s, y_s, x_t, y_t) = restored, batch()
    D, mean = model.discriminator, tf.reduce_mean
    cross = tf.nn.sparse_softmax_cross_entropy_with_logits
    before = values(model.variables)
    with tf.GradientTape(persistent=True) as tape:
        x_f = model.generator([x_s, model.latent.draw(6, model.noise)], training=True)
        fake, real = D(x_f, training=True), D(x_t, training=True)
        of_fake = cross(y_s, model.target_tower(x_f))
        d_loss = 0.1356036 * (mean(tf.nn.softplus(-real)) + mean(tf.nn.softplus(fake)))
        t_loss = mean(of_fake) + mean(cross(y_s, model.source_tower(x_s)))
        g_loss = 0.0113173 * mean(tf.nn.softplus(-fake)) + 0.0100960 * mean(of_fake)
    assign(model.variables, before)
    _, gradients = model.losses_and_gradients(x_s, y_s, x_t, y_t)
    losses = {"discriminator": d_loss, "classifier": t_loss, "generator": g_loss}
    assert_gradients(model, gradients, tape, losses)


def test_the_labels_of_the_target_are_not_used(restored):
    x_s, y_s, x_t, _ = batch()
    before = values(state_variables(restored))
    states = []
    for poisoned in ([-1] * 6, [0] * 6, [2] * 6):
        assign(state_variables(restored), before)
        restored.train_step((x_s, y_s, x_t, tf.constant(poisoned, tf.int32)))
        states.append(values(state_variables(restored)))
    for one, *others in zip(*states, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("baseline", ["source", "target"])
def test_a_baseline_trains_the_classifier_of_the_target_on_one_domain(baseline):
    model, (x_s, y_s, x_t, y_t) = small(baseline=baseline), batch()
    x, y = (x_s, y_s) if baseline == "source" else (x_t, y_t)
    expected = cross_entropy(model.target_tower(x), y)
    first_of_source = model.source_tower.trainable_variables[:2]
    before = values(first_of_source)
    logs = {}

    def step():
        logs.update(model.train_step((x_s, y_s, x_t, y_t)))

    assert changed_networks(model, step) == {"classifier"}
    assert not any(changed(before, first_of_source))
    assert float(logs["classifier_loss"]) == pytest.approx(expected, rel=1e-5)
    assert set(logs) == {"classifier_loss", "accuracy"}


# Updates.


def test_one_step_updates_every_weight(restored):
    assert sorted(restored.networks) == ["classifier", "discriminator", "generator"]
    assert unchanged_weights(restored, lambda: restored.train_step(batch())) == []


@pytest.mark.parametrize("player", ["discriminator", "classifier", "generator"])
def test_an_update_changes_only_its_own_player(restored, player):
    _, gradients = restored.losses_and_gradients(*batch())
    update = player_update(restored, player, gradients)
    assert changed_networks(restored, update) == {player}


def test_the_gradient_of_each_variable_is_clipped_by_itself():
    """After one step of Adam the first moment is (1 - beta_1) times the clipped gradient."""
    model = small()
    player = model.players["generator"]
    gradients = [tf.fill(v.shape, 100.0) for v in player.variables]
    gradients[0] = tf.fill(player.variables[0].shape, 1e-3)
    player.build()
    player.apply(gradients)
    small_one, *others = [np.linalg.norm(m) for m in player.optimizer._momentums]
    assert small_one == pytest.approx(0.5 * np.linalg.norm(gradients[0]), rel=1e-4)
    np.testing.assert_allclose(others, 0.5 * 5.0, rtol=1e-4)


def test_the_learning_rate_decays_by_a_twentieth_every_10_000_steps(shared):
    factors = [shared.rate_factor(step) for step in (0, 9_999, 10_000, 20_000)]
    np.testing.assert_allclose(factors, [1, 1, 0.95, 0.95**2])


def test_noise_and_dropout_of_d_are_on_in_training_only():
    x = images()
    rates = {"dropout": ("rate", 0.1), "gaussian_noise": ("stddev", 0.2)}
    for alone in rates:  # the other one is turned off
        model = small()
        for layer, (attribute, value) in rates.items():
            found = [each for each in model.discriminator.layers if layer in each.name]
            assert found and all(getattr(each, attribute) == value for each in found)
            for each in found if layer != alone else ():
                setattr(each, attribute, 0)
        once, again = (model.discriminator(x, training=True) for _ in range(2))
        assert np.abs(once - again).max() > 1e-7, alone
    model = small()
    once, again = (model.discriminator(x, training=False) for _ in range(2))
    np.testing.assert_array_equal(once, again)


# The trained networks.


def test_classify_returns_probabilities_of_each_target_image_by_itself(restored):
    x = images(4)
    together = restored.classify(x).numpy()
    for i in range(4):
        np.testing.assert_allclose(restored.classify(x[i : i + 1])[0], together[i], atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, rtol=1e-5)
    logits = np.asarray(restored.target_tower(x), "float64")
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(together, softmax, rtol=1e-4)


def test_a_translation_depends_on_its_image_and_noise_alone(restored):
    for statistic in restored.generator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    x, z = images(4), restored.latent.of_seed(3, 4)
    together = restored.sampler([x, z], training=False).numpy()
    for i in range(4):
        alone = restored.sampler([x[i : i + 1], z[i : i + 1]], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    assert np.abs(together).max() <= 1


def test_the_classifier_learns_translations_that_are_easy_to_tell_apart():
    """Black, grey and white images; those of the target are darker by half."""
    model = small(learning_rate=3e-3, width=4)
    step = tf.function(model.train_step, autograph=False)
    y = np.arange(30) % CLASSES

    def drawn(levels):
        x = RANDOM.normal(np.array(levels)[y][:, None, None, None], 0.05, (30, 8, 8, 1))
        return tf.constant(x, tf.float32)

    unknown = tf.constant(np.full(30, -1), tf.int32)
    for _ in range(150):
        x_s, x_t = drawn([-0.9, 0.0, 0.9]), drawn([-0.9, -0.5, 0.0])
        logs = step((x_s, tf.constant(y, tf.int32), x_t, unknown))
    assert logs["accuracy"] > 0.9


INVALID = """
image_size=4 image_size=30 image_size=0 width=0 blocks=0 latent_size=0 d_weight=0.0
g_weight=-1.0 task_weight=-0.5 learning_rate=0.0 beta_1=1.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: float(value) if "." in value else int(value)})


@pytest.mark.parametrize("classes", [0, 1])
def test_sources_of_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UserError, match=f"2 classes or more, here are {classes}; give one with"):
        small(classes=classes)
