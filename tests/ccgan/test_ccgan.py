"""CC-GAN: its networks, its losses against NumPy, what each update changes, and few labels."""

from functools import cache

from ccgan.ccgan import CCGAN
from common.data.label_subset import FewLabels
from common.data.labelled import LabelledImages
from common.errors import UserError
from tests.helpers.models import (
    assign,
    changed,
    changed_networks,
    log_sigmoid,
    random_batch,
    state_variables,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

SIDE, CLASSES, LABELS = 16, 3, 7
RANDOM = np.random.default_rng(0)


class LabelledData:
    """The part of a labelled dataset from which `prepare` takes its subset."""

    classes, class_names, training_count = CLASSES, ("a", "b", "c"), 60

    def arrays(self, split, count):
        x = np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 1), "uint8")
        return x, np.arange(count, dtype="int32") % CLASSES


@cache
def built(**options):
    """A small model with its initial state; weights are large, so that losses depend on them."""
    keras.utils.set_random_seed(1)
    sizes = {"image_size": SIDE, "classes": CLASSES, "labels": LABELS, "width": 4, "d_width": 4}
    model = CCGAN(**(sizes | {"shift": 0} | options))
    model.compile(jit="off")
    model.prepare(LabelledData())
    random = np.random.default_rng(2)
    for network in model.networks.values():
        for v in network.trainable_variables:
            if "kernel" in v.path:
                v.assign(random.normal(0, 0.2, v.shape))
    return model, values(state_variables(model))


def small(**options):
    """A small model in its initial state. Tests with the same options share it."""
    model, state = built(**options)
    assign(state_variables(model), state)
    return model


def batch(count=6):
    return random_batch(SIDE, count, 1, CLASSES)


def next_masks(model, count=6):
    """The masks that the model's next update will draw: the random state is restored."""
    state = model.noise.state.numpy()
    m = model.masks(count).numpy()
    model.noise.state.assign(state)
    return m


def next_chosen(model, count):
    """The labelled images that the next update of the classifier will draw."""
    state = model.noise.state.numpy()
    chosen = keras.random.randint((count,), 0, LABELS, seed=model.noise).numpy()
    model.noise.state.assign(state)
    return chosen


def in_training(model, network, x):
    """A network's output in training mode; moving statistics and random states are restored."""
    before = values(state_variables(model))
    output = tf.nest.map_structure(np.asarray, network(x, training=True))
    assign(state_variables(model), before)
    return output


def cross_entropy(target, logits):
    return -np.mean(target * log_sigmoid(logits) + (1 - target) * log_sigmoid(-np.asarray(logits)))


# The networks.


def test_the_numbers_of_weights_for_digits():
    assert weight_counts(CCGAN()) == {"generator": 363_105, "discriminator": 287_739}
    without = CCGAN(labels=0)
    assert weight_counts(without)["discriminator"] == 287_739 - 5_130
    assert [head.shape for head in without.discriminator.outputs] == [(None, 1)]


@pytest.mark.parametrize(
    ("size", "last"), [(16, (2, 2, 4)), (24, (3, 3, 4)), (28, (2, 2, 8)), (64, (2, 2, 8))]
)
def test_d_pools_until_it_sees_the_image_whole(size, last):
    model = small(image_size=size, d_width=1, width=1, labels=0)
    pooled = [layer for layer in model.discriminator.layers if "pooling" in layer.name]
    assert pooled[-1].output.shape[1:] == last


def dropout_of(model):
    (dropout,) = (each for each in model.discriminator.layers if "dropout" in each.name)
    return dropout


def test_the_classifier_drops_whole_channels():
    dropout = dropout_of(small())
    assert dropout.rate == 0.5 and dropout.output.shape[1:3] == (1, 1)
    x, _ = batch()
    once, again = (small().classifier(x, training=True) for _ in range(2))
    np.testing.assert_array_equal(once, again)  # from the same random state
    model = small()
    first, second = (model.classifier(x, training=True) for _ in range(2))  # the state advances
    assert np.abs(first - second).max() > 1e-5
    dropout_of(model).rate = 0.0
    first, second = (model.classifier(x, training=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("sides", [(16, 16), (1, 1), (5, 23), (40, 18)])
def test_g_takes_images_of_any_size_and_sees_the_visible_pixels_alone(sides):
    model = small()
    x, other = RANDOM.uniform(-1, 1, (2, 2, *sides, 1)).astype("float32")
    m = (RANDOM.uniform(size=(2, *sides, 1)) < 0.6).astype("float32")
    x_i = model.sampler([x, m], training=False).numpy()
    assert x_i.shape == x.shape and np.abs(x_i).max() <= 1
    np.testing.assert_array_equal(x_i[m == 1], x[m == 1])
    hidden = np.where(m == 1, x, other)
    np.testing.assert_array_equal(model.sampler([hidden, m], training=False), x_i)
    x_g = model.generator([x, m], training=False).numpy()
    np.testing.assert_allclose(x_i[m == 0], x_g[m == 0], atol=1e-6)


def test_an_image_is_completed_by_itself():
    model = small()
    for statistic in model.generator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    x, m = batch(4)[0].numpy(), next_masks(model, 4)
    before = values(state_variables(model))
    together = model.sampler([x, m], training=False).numpy()
    assert not any(changed(before, state_variables(model)))
    for i in range(4):
        alone = model.sampler([x[i : i + 1], m[i : i + 1]], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


# The losses.


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("objective", "t"), [("cc_gan", 0.9), ("cc_gan2", 1.0)])
def test_the_losses_of_d_and_then_g_match_numpy(objective, t, whole):
    model, (x, _) = small(objective=objective, reconstruction_weight=3.0), batch()
    m, x = next_masks(model), x.numpy()
    x_g = in_training(model, model.generator, [x, m])
    x_i = x_g if whole else np.where(m == 1, x, x_g)
    real, fake = (in_training(model, model.adversary, images) for images in (x, x_i))
    logs = model.completing(tf.constant(x), whole=whole)
    d_loss = cross_entropy(t, real) + cross_entropy(0, fake)
    assert float(logs["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    of_updated_d = in_training(model, model.adversary, x_i)
    assert np.abs(of_updated_d - fake).max() > 1e-4
    g_loss = cross_entropy(t, of_updated_d) + 3.0 * np.abs(x - x_i).mean()
    assert float(logs["g_loss"]) == pytest.approx(g_loss, rel=1e-5)
    hole_l1 = np.abs(x - x_g)[m == 0].mean()
    assert float(logs["hole_l1"]) == pytest.approx(hole_l1, rel=1e-5)


def test_the_paper_has_no_pixel_loss():
    assert CCGAN().combined._compile_loss._user_loss_weights == [1.0, 0.0]


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_classifiers_loss_is_the_cross_entropy_of_labelled_images(weight):
    model = small(class_weight=weight)
    x, y = (part.numpy() for part in model.labelled)
    assert np.bincount(y).tolist() == [3, 2, 2] and x.min() >= -1 and x.max() <= 1
    for count in (6, 20):  # a larger batch takes each image once
        chosen = next_chosen(model, count) if count < LABELS else np.arange(LABELS)
        assert len(set(chosen)) > 2
        logits = in_training(model, model.classifier, x[chosen])
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected = -weight * log_p[np.arange(len(chosen)), y[chosen]].mean()
        losses, _ = model.classification(count)
        assert float(losses["discriminator"]) == pytest.approx(expected, rel=1e-4)


def test_a_step_has_the_updates_of_its_objective():
    logged = {
        "cc_gan": {"d_loss", "g_loss", "hole_l1", "class_loss"},
        "cc_gan2": {"d_loss", "g_loss", "hole_l1", "class_loss"}
        | {"d_loss_whole", "g_loss_whole", "hole_l1_whole"},
    }
    for objective, names in logged.items():
        assert set(small(objective=objective).train_step(batch())) == names
    assert set(small(baseline=True).train_step(batch())) == {"class_loss"}
    assert set(small(labels=0).train_step(batch())) == logged["cc_gan"] - {"class_loss"}


def test_holes_and_shifts_are_new_in_each_update():
    model, seen = small(objective="cc_gan2", shift=2), []

    def noted(x, m, *_, **__):
        seen.append((x.numpy(), m.numpy()))
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "update", noted)
        x, _ = batch()
        for whole in (False, True, False):
            model.completing(x, whole=whole)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert not np.array_equal(seen[i][0], seen[j][0])
        assert not np.array_equal(seen[i][1], seen[j][1])
    assert any(v is model.noise.state for v in model.state()["model"])  # so resuming is exact


# What an update changes.


def head_weights(model, head):
    """D's weights that only one of its heads has."""
    heads = {"adversary": model.adversary, "classifier": model.classifier}
    own = {name: {id(v) for v in each.trainable_variables} for name, each in heads.items()}
    (other,) = own.keys() - {head}
    return [v for v in heads[head].trainable_variables if id(v) not in own[other]]


def test_an_update_changes_its_own_player_and_its_own_head():
    model, (x, _) = small(), batch()

    def discriminate():
        model.update(x, -x, objectives=model.discrimination, only=["discriminator"])

    def classify():
        model.update(6, objectives=model.classification, only=["discriminator"])

    for update, own, other in (
        (discriminate, "adversary", "classifier"),
        (classify, "classifier", "adversary"),
    ):
        kept_head, moved_head = (head_weights(model, name) for name in (other, own))
        before_kept, before_moved = values(kept_head), values(moved_head)
        assert changed_networks(model, update) == {"discriminator"}
        assert len(kept_head) == 2 and not any(changed(before_kept, kept_head))
        assert all(changed(before_moved, moved_head))
    model.adversary.optimizer.learning_rate = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "discrimination", lambda x, x_i: ({}, {}))
        assert changed_networks(model, lambda: model.completing(x, whole=False)) == {"generator"}
    model.adversary.optimizer.learning_rate = 2e-4


@pytest.mark.parametrize("objective", ["cc_gan", "cc_gan2"])
def test_one_step_updates_every_weight(objective):
    model = small(objective=objective, shift=1)
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []


def test_the_baseline_trains_the_classifier_alone():
    model = small(baseline=True)
    adversarial = [v.path for v in head_weights(model, "adversary")]
    left_alone = [v.path for v in model.generator.trainable_variables] + adversarial
    unchanged = unchanged_weights(model, lambda: model.train_step(batch()))
    assert sorted(unchanged) == sorted(left_alone)


def test_d_has_one_optimizer_for_all_its_updates():
    model = small()
    model.train_step(batch())
    assert int(model.adversary.optimizer.iterations) == 2
    assert list(model.state()) == [
        "discriminator",
        "generator",
        "model",
        "discriminator_optimizer",
        "generator_optimizer",
    ]


def test_moving_statistics_of_d_follow_whole_images_only():
    model, (x, _) = small(), batch()
    statistics = model.discriminator.non_trainable_weights
    before = values(statistics)
    model.adversary(x, training=True)
    expected = values(statistics)
    assign(statistics, before)
    model.completing(x, whole=False)
    assert len(expected) > 4
    for value, variable in zip(expected, statistics, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-6, atol=1e-9)


def test_d_and_g_each_lower_their_loss():
    model, (x, _) = small(), batch(16)
    g_optimizer, d_optimizer = model.combined.optimizer, model.adversary.optimizer

    def losses(name, still, moving):
        still.learning_rate, moving.learning_rate = 0.0, 5e-3
        logs = [model.completing(x, whole=False)[name] for _ in range(25)]
        return float(np.mean(logs[:5])), float(np.mean(logs[-5:]))

    first, last = losses("d_loss", g_optimizer, d_optimizer)
    assert last < 0.8 * first
    first, last = losses("g_loss", d_optimizer, g_optimizer)
    assert last < 0.8 * first
    g_optimizer.learning_rate = d_optimizer.learning_rate = 2e-4


# Few labels.


@pytest.fixture
def poisoned(tmp_path):
    """poisoned(own, others) -> losses of steps on data whose labels are wrong in part."""
    y = np.arange(48) % CLASSES
    x = RANDOM.integers(0, 256, (48, SIDE, SIDE), np.uint8)
    np.savez(tmp_path / "some.npz", x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])

    def run(own=0, others=0):
        data = LabelledImages(0, str(tmp_path / "some.npz"))
        model = small(shift=1)
        model.prepare(data)
        used = {image.tobytes() for image in model.labelled[0].numpy()}
        train = data.splits["train"]
        images = np.float32(train.take(np.arange(48)) / np.float32(127.5) - 1)
        is_used = np.array([image.tobytes() in used for image in images])
        assert is_used.sum() == LABELS
        if own:
            x, y = model.labelled
            model.labelled = FewLabels(x, (y + own) % CLASSES)
        if others:  # no class at all, in the dataset as well as in its batches
            train.labels[~is_used] = -others
            before = model.labelled
            model.prepare(data)
            for value, other in zip(model.labelled, before, strict=True):
                np.testing.assert_array_equal(value, other)
        for x, y in data.stream(6, 0, 3):
            model.train_step((x, y))
        return [v.tobytes() for v in values(state_variables(model))]

    return run


def test_only_the_given_labels_are_used(poisoned):
    clean = poisoned()
    assert poisoned(others=1000) == clean
    assert poisoned(own=1) != clean


def test_classify_returns_probabilities_of_each_image_by_itself():
    model, (x, _) = small(), batch(4)
    for statistic in model.discriminator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    before = values(state_variables(model))
    together = model.classify(x).numpy()
    assert not any(changed(before, state_variables(model)))
    for i in range(4):
        np.testing.assert_allclose(model.classify(x[i : i + 1])[0], together[i], atol=1e-6)
    logits = np.asarray(model.discriminator(x)[1], "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(together, expected, rtol=1e-4)
    assert small(labels=0).classify is None


def test_the_classifier_learns_the_labelled_images():
    model = small(baseline=True)
    model.adversary.optimizer.learning_rate = 0.02
    losses = [float(model.train_step(batch(20))["class_loss"]) for _ in range(40)]
    model.adversary.optimizer.learning_rate = 2e-4
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    x, y = model.labelled
    assert (np.argmax(model.classify(x), axis=1) == y.numpy()).mean() > 0.8


def test_a_step_without_labelled_images_is_an_error(monkeypatch):
    model = small()
    monkeypatch.setattr(model, "labelled", FewLabels())
    with pytest.raises(ValueError, match="prepare"):
        model.train_step(batch())


def test_more_labels_than_images_are_refused():
    with pytest.raises(UserError, match=r"--labels 61: needs 21 .* class a, which has 20"):
        small(labels=61)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 2}, "--labels 2: .*3 or more"),
        ({"labels": -1}, "--labels -1"),
        ({"classes": 0}, "--labels 7: the dataset has no labels; give --labels 0"),
        ({"classes": 1}, "--labels 7: the dataset has one class; give --labels 0"),
        ({"baseline": True, "labels": 0}, "--baseline: .*--labels"),
        ({"hole": 16}, "--hole 16: give 1 to 15"),
        ({"hole": 0}, "--hole 0"),
        ({"image_size": 15}, "--image_size 15: give 16 or more"),
        ({"width": 0}, "--width 0"),
        ({"d_width": 0}, "--d_width 0"),
        ({"class_weight": 0.0}, "--class_weight 0.0"),
        ({"reconstruction_weight": -1.0}, "--reconstruction_weight -1.0"),
        ({"shift": -1}, "--shift -1"),
        ({"learning_rate": 0.0}, "--learning_rate 0.0"),
        ({"beta_1": 1.0}, "--beta_1 1.0"),
    ],
)
def test_invalid_options_are_refused_by_name(options, message):
    with pytest.raises(UserError, match=message):
        CCGAN(**({"image_size": SIDE, "classes": CLASSES, "labels": 7} | options))


@pytest.mark.parametrize(("size", "channels"), [(16, 3), (28, 1), (40, 3)])
def test_other_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=1, d_width=1, labels=0, hole=5)
    x, _ = random_batch(size, 2, channels)
    logs = model.train_step((x, tf.zeros(2, tf.int32)))
    assert all(np.isfinite(value) for value in logs.values())
    assert model.masks(3).shape == (3, size, size, 1)
