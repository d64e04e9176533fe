"""Triple-GAN: the networks, the losses of three players against NumPy, whose labels count."""

from common.errors import UserError
from common.nn.layers import Dropout, GaussianNoise
from common.nn.weight_normalization import WeightNormDense
from tests.helpers.few_labels import trained_state, write_dataset
from tests.helpers.models import (
    assign,
    changed_networks,
    random_batch,
    unchanged_weights,
    values,
    weight_counts,
)
from triplegan.triplegan import TripleGAN, regularization

import keras
import numpy as np
import pytest
import tensorflow as tf

SIZE, CLASSES, LABELS = 12, 3, 6
BEFORE, GAME, PSEUDO = range(3)  # stages


def small(quiet=False, stage=PSEUDO, labels=LABELS, **options):
    """A small model with its labelled images, in a stage; `quiet` without noise and dropout."""
    keras.utils.set_random_seed(1)
    sizes = {"image_size": SIZE, "classes": CLASSES, "latent_size": 5, "labels": labels}
    lengths = {"width": 2, "units": 16, "pretrain_steps": 2, "pseudo_after": 3}
    model = TripleGAN(**(sizes | lengths | options))
    model.compile(jit="off")
    model.stage = stage
    model.labelled = type(model.labelled)(*random_batch(SIZE, labels, classes=CLASSES, seed=5))
    if quiet:
        for layer in [*model.discriminator.layers, *model.classifier.layers]:
            if isinstance(layer, GaussianNoise):
                layer.stddev = 0.0
            if isinstance(layer, Dropout):
                layer.rate = 0.0
    return model


def batch(count=12):
    return random_batch(SIZE, count, classes=CLASSES)


def softplus(x):
    return np.logaddexp(0, np.asarray(x, "float64"))


def log_p(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def class_loss(logits, labels):
    return -log_p(logits)[np.arange(len(labels)), np.asarray(labels)].mean()


def penalty(model):
    return 1e-4 * np.sum(model.classifier.get_layer("logits").kernel.numpy().astype("float64") ** 2)


def classes(model, x):
    """C's logits in training mode; the model's state stays."""
    before = values(model.variables)
    logits = model.classifier(x, training=True).numpy()
    assign(model.variables, before)
    return logits


def verdict(model, x, y):
    """D's logits of pairs."""
    return model.discriminator([x, tf.one_hot(y, CLASSES)], training=True).numpy()


def next_generated(model, count):
    """The generated pairs of the next loss; the model's state stays."""
    before = values(model.variables)
    y = np.arange(count) % CLASSES
    z = model.latent.draw(count, model.noise)
    x = model.generator([z, tf.one_hot(y, CLASSES)], training=True)
    assign(model.variables, before)
    return x, y


# The networks.


def test_the_papers_networks():
    counts = weight_counts(TripleGAN(width=32))
    assert counts == {
        "generator": 713_408,
        "discriminator": 1_559_011,
        "classifier": 279_402,
        "average_classifier": 279_402,
    }
    assert weight_counts(TripleGAN())["classifier"] == 70_586


def test_the_discriminators_layers_have_noise_unit_weights_and_the_class():
    model = TripleGAN()
    noises = [each for each in model.discriminator.layers if isinstance(each, GaussianNoise)]
    assert [layer.stddev for layer in noises] == [0.3] + [0.5] * 5
    dense = [each for each in model.discriminator.layers if isinstance(each, WeightNormDense)]
    assert [layer.units for layer in dense] == [1000, 500, 250, 250, 250, 1]
    assert not any(layer.learned_scale for layer in dense)
    inputs = [layer.direction.shape[0] for layer in dense]
    assert inputs == [784 + 10, 1010, 510, 260, 260, 260]


def test_the_class_reaches_the_discriminator_without_noise():
    model = small()
    dense = [each for each in model.discriminator.layers if isinstance(each, WeightNormDense)]
    y = tf.one_hot([0, 2], CLASSES)
    for layer in dense:
        seen = keras.Model(model.discriminator.inputs, layer.input)
        h = seen([batch(2)[0], y], training=True)
        np.testing.assert_array_equal(h[:, -CLASSES:], y)


def test_the_players_optimizers_are_the_papers():
    model = TripleGAN()
    found = {
        name: (round(float(p.optimizer.learning_rate), 6), p.optimizer.beta_1)
        for name, p in model.players.items()
    }
    game = (1e-3, 0.5)
    expected = {"discriminator": game, "generator": game, "classifier": game}
    assert found == expected | {"pretraining": (3e-4, 0.9)}


def test_learning_rates_decay_by_half_a_percent_in_600_steps_in_the_end():
    model = TripleGAN(pretrain_steps=1000, decay_after=2000)
    factors = [model.rate_factor(step) for step in (0, 3599, 3600, 4199, 4200)]
    assert factors == pytest.approx([1, 1, 0.995, 0.995, 0.995**2])
    assert model.plan.rate_factor(3600) == pytest.approx(0.995)


def test_other_image_sizes_and_channels():
    model = small(image_size=28, channels=3)
    images = model.generator([keras.Input((5,)), keras.Input((CLASSES,))])
    assert images.shape == (None, 28, 28, 3)
    assert model.classifier(keras.Input((28, 28, 3))).shape == (None, CLASSES)


# The losses.


def test_the_discriminators_loss():
    model, (x, _) = small(quiet=True), batch(10)
    x, x_u = x[:5], x[5:]
    y, y_u = np.array([0, 1, 2, 0, 1]), np.array([2, 2, 0, 1, 0])
    before = values(model.variables)
    x_l, y_l = model.labelled.draw(1, model.noise)  # one of a hundred, or one
    x_g, y_g = next_generated(model, 5)
    assign(model.variables, before)
    true = verdict(model, tf.concat([x_l, x], axis=0), np.concatenate([y_l, y]))
    expected = softplus(-true).mean() + 0.5 * softplus(verdict(model, x_u, y_u)).mean()
    expected += 0.5 * softplus(verdict(model, x_g, y_g)).mean()
    pairs = x, tf.constant(y, tf.int32), x_u, tf.constant(y_u, tf.int32)
    losses, _ = model.d_objectives(*pairs)
    assert float(losses["discriminator"]) == pytest.approx(expected, rel=1e-5)


def test_the_generators_loss_is_on_classes_in_equal_shares():
    model = small(quiet=True)
    expected = 0.5 * softplus(-verdict(model, *next_generated(model, 7))).mean()
    losses, _ = model.g_objectives(7)
    assert float(losses["generator"]) == pytest.approx(expected, rel=1e-5)
    assert model.equal_shares(7).numpy().tolist() == [0, 1, 2, 0, 1, 2, 0]
    model.steps_done.assign(2)  # the classes go on, so that none is left out by small batches
    assert model.equal_shares(4).numpy().tolist() == [2, 0, 1, 2]


def test_the_classifiers_regularization():
    logits = np.random.default_rng(0).normal(0, 2, (7, CLASSES)).astype("float32")
    p = np.exp(log_p(logits))
    entropy = -(p * log_p(logits)).sum(axis=1).mean()
    balance = -np.log(p.mean(axis=0)).mean()
    for weight in (1e-3, 0.3):
        expected = 0.3 * entropy + weight * balance
        assert float(regularization(logits, weight)) == pytest.approx(expected, rel=1e-5)
    one_class = np.array([[100.0, 0.0, -100.0]] * 2, "float32")
    assert float(regularization(one_class, 1.0)) == pytest.approx(-2 / 3 * np.log(1e-6), rel=1e-5)


@pytest.mark.parametrize("pseudo", [False, True])
def test_the_classifiers_loss_in_the_game(pseudo):
    """With D and G that do not change, so that the losses of a step need no intermediate state."""
    model, (images, labels) = small(quiet=True), batch(12)
    for player in ("discriminator", "generator"):
        model.players[player].optimizer.learning_rate = 0.0
    x_u = images[6:]
    logits = classes(model, x_u)
    y_u = logits.argmax(axis=1)
    p = np.exp(log_p(logits)).max(axis=1)
    expected = 0.5 * np.mean(p * softplus(-verdict(model, x_u, y_u)[:, 0]))
    expected += class_loss(classes(model, model.labelled.x), model.labelled.y) + penalty(model)
    expected += float(regularization(logits, 1e-3))
    if pseudo:
        drawn = []
        generate, model.generate = model.generate, lambda y: drawn.append(generate(y)) or drawn[-1]
    losses, logs = model.game(images, labels, pseudo=pseudo)
    if pseudo:
        x_g, y_g = drawn[-1]
        expected += 0.1 * class_loss(classes(model, x_g), y_g)
    assert float(losses["classifier"]) == pytest.approx(expected, rel=1e-4)
    assert {"d_loss", "g_loss", "accuracy"} <= set(logs)


def test_the_classifiers_gradient_is_that_of_its_probability_not_of_its_choice():
    """Without the other terms: grad L_C = 1/2 mean(grad p * reward), with the reward constant."""
    model, (images, labels) = small(quiet=True), batch(12)
    for player in ("discriminator", "generator"):
        model.players[player].optimizer.learning_rate = 0.0
    x_u = images[6:]
    y_u = classes(model, x_u).argmax(axis=1)
    reward = tf.constant(softplus(-verdict(model, x_u, y_u)[:, 0]), tf.float32)
    weights = [v.value for v in model.classifier.trainable_variables]
    with tf.GradientTape() as tape:
        logits = model.classifier(x_u, training=True)
        p = tf.gather(tf.nn.softmax(logits), y_u, batch_dims=1)
        loss = 0.5 * tf.reduce_mean(p * reward) + regularization(logits, 1e-3)
        loss += model.loss_of_labels(6)[0]
    expected = tape.gradient(loss, weights)
    objectives = {"objectives": lambda *b: model.game(*b, pseudo=False), "only": ["classifier"]}
    _, gradients = model.losses_and_gradients(images, labels, **objectives)
    for one, other in zip(gradients["classifier"], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_the_classifiers_loss_before_the_game_is_on_all_unlabelled_images():
    model, (images, labels) = small(quiet=True, stage=BEFORE), batch()
    expected = class_loss(classes(model, model.labelled.x), model.labelled.y) + penalty(model)
    expected += float(regularization(classes(model, images), 0.3))
    losses, _ = model.before_the_game(images, labels)
    assert float(losses["pretraining"]) == pytest.approx(expected, rel=1e-5)


def test_the_baselines_loss_is_the_labelled_term():
    model, (images, labels) = small(quiet=True, stage=0, baseline=True), batch()
    expected = class_loss(classes(model, model.labelled.x), model.labelled.y) + penalty(model)
    logs = model.train_step((images, labels))
    assert float(logs["classifier_loss"]) == pytest.approx(expected, rel=1e-5)


# The step.


@pytest.mark.parametrize(
    ("stage", "baseline", "changed"),
    [
        (BEFORE, False, {"classifier", "average_classifier"}),
        (GAME, False, {"classifier", "average_classifier", "discriminator", "generator"}),
        (PSEUDO, False, {"classifier", "average_classifier", "discriminator", "generator"}),
        (0, True, {"classifier", "average_classifier"}),
    ],
)
def test_a_step_changes_the_players_of_its_stage(stage, baseline, changed):
    model = small(stage=stage, baseline=baseline)
    assert changed_networks(model, lambda: model.train_step(batch())) == changed
    if stage != BEFORE and not baseline:
        assert unchanged_weights(model, lambda: model.train_step(batch())) == []


def test_a_step_updates_d_then_g_then_c(monkeypatch):
    model, order = small(), []
    apply = model._apply
    monkeypatch.setattr(model, "_apply", lambda g: order.extend(g) or apply(g))
    model.train_step(batch())
    assert order == ["discriminator", "generator", "classifier"]


def test_d_takes_one_half_of_a_batch_for_true_and_the_other_for_false(monkeypatch):
    model, (images, labels) = small(), batch(8)
    seen = []
    judge = model.judge
    monkeypatch.setattr(
        model, "judge", lambda x, y, real: seen.append((x, real)) or judge(x, y, real)
    )
    model.train_step((images, labels))
    (true, real), (false, unreal), *_ = seen
    assert real and not unreal
    np.testing.assert_array_equal(true[1:], images[:4])  # after a labelled one
    np.testing.assert_array_equal(false, images[4:])


def test_the_stages_are_the_training_before_the_game_and_the_game_without_and_with_r_p():
    model = small()
    assert model.ends == (2, 5, np.inf)
    assert [stage.players for stage in model.stages] == [
        ("pretraining",),
        ("classifier",),
        ("classifier",),
    ]
    assert [stage.objectives.keywords for stage in model.stages[1:]] == [
        {"pseudo": False},
        {"pseudo": True},
    ]


def test_moving_statistics_of_c_follow_real_images_alone():
    model, (images, labels) = small(quiet=True), batch(12)
    before = values(model.variables)
    for x in (images[6:], images[:6], model.labelled.x):
        model.classifier(x, training=True)
    expected = values(model.classifier.non_trainable_weights)
    assign(model.variables, before)
    model.game(images, labels, pseudo=True)
    for value, variable in zip(expected, model.classifier.non_trainable_weights, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)


# The labels, and the classifier.


@pytest.mark.parametrize("baseline", [False, True])
def test_only_the_labels_that_were_asked_for_are_used(tmp_path, baseline):
    """Poisoning all others changes nothing: the state after some steps has the same bytes."""
    file = write_dataset(tmp_path, SIZE, CLASSES)

    def make():
        return small(baseline=baseline, stage=0 if baseline else PSEUDO)

    assert trained_state(make, file, 2, poisoned=True) == trained_state(make, file, 2)


def test_the_average_of_c_classifies():
    model = small()
    random = np.random.default_rng(0)
    for v in model.average_classifier.trainable_variables:
        v.assign(random.normal(0, 0.5, v.shape))
    for v in model.average_classifier.non_trainable_weights:
        v.assign(random.uniform(0.5, 2, v.shape))
    x, _ = batch(4)
    before = values(model.variables)
    together = model.classify(x).numpy()
    logits = model.average_classifier(x, training=False)
    np.testing.assert_allclose(together, keras.ops.softmax(logits), atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, rtol=1e-5)
    for i in range(4):
        np.testing.assert_allclose(model.classify(x[i : i + 1])[0], together[i], atol=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_sampler_takes_the_class():
    model = small()
    assert model.classes == CLASSES
    z = model.latent.of_seed(0, 2)
    one, other = (model.sampler([z, tf.one_hot([k] * 2, CLASSES)]) for k in (0, 1))
    assert one.shape == (2, SIZE, SIZE, 1) and np.abs(one - other).max() > 1e-3


def test_mixed_precision_keeps_images_and_losses_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    model = small()
    losses = model.train_step(batch())
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    assert model.classify(batch(2)[0]).dtype == tf.float32


INVALID = """
labels=0 units=3 image_size=11 width=0 classifier_ema=1.0 pretrain_steps=-1 pseudo_after=-1
decay_after=-1 learning_rate=0.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: float(value) if "." in value else int(value)})


@pytest.mark.parametrize("classes", [0, 1])
def test_datasets_of_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UserError, match=f"2 classes or more, here are {classes}; .*subfolder"):
        small(classes=classes)
