"""CoGAN: tied layers, the paper's losses against NumPy, which weights and labels a step uses."""

from cogan.cogan import CoGAN, conv_transpose
from common.errors import UserError
from tests.helpers.models import (
    assign,
    changed,
    changed_networks,
    next_noise,
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
ADAPTATION = {"class_weight": 10.0, "feature_weight": 0.01}


def small(**options):
    keras.utils.set_random_seed(1)
    defaults = {"image_size": 16, "width": 2, "classes": CLASSES, "latent_size": 5}
    model = CoGAN(**(defaults | options))
    model.compile(jit="off")  # compiling takes longer than the steps
    return model


@pytest.fixture(scope="module")
def shared():
    """With a classifier; use `restored` to change it."""
    return small(**ADAPTATION)


@pytest.fixture
def restored(shared):
    """The model, whose state is restored after the test."""
    with state_restored(shared):
        yield shared


def images(count=6):
    return tf.constant(RANDOM.uniform(-1, 1, (count, 16, 16, 1)), tf.float32)


def labels(count=6, first=0):
    return tf.constant((np.arange(count) + first) % CLASSES, tf.int32)


def batch():
    return images(), labels(), images(), labels(first=1)


def cross_entropy(logits, classes):
    """Mean -log softmax(logits)[class]."""
    logits = np.asarray(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(log_p)), np.broadcast_to(classes, len(log_p))].mean()


# The networks.


@pytest.mark.parametrize(("width", "generator"), [(128, 7_842_694), (64, 2_373_062), (32, 799_462)])
def test_the_numbers_of_weights(width, generator):
    counts = {"generator": generator, "discriminator": 427_593}
    assert weight_counts(CoGAN(width=width)) == counts
    if width == 32:
        assert weight_counts(CoGAN(width=32, **ADAPTATION))["discriminator"] == 432_603


def test_the_sides_of_the_layers():
    model = CoGAN(width=1)
    transposed = [h for h in model.generator.layers if isinstance(h, keras.layers.Conv2DTranspose)]
    assert [layer.output.shape[1:] for layer in transposed[:4]] == [
        *((4, 4, 8), (7, 7, 4), (13, 13, 2), (25, 25, 1))
    ]
    assert model.generator.output_shape == (None, 28, 56, 1)
    layers = [*model.f["a"].layers, *model.f["a"].get_layer("tied").layers]
    sides = [h.output.shape[1:] for h in layers if "conv2d" in h.name or "pooling" in h.name]
    expected = [(24, 24, 20), (12, 12, 20), (8, 8, 50), (4, 4, 50), (1, 1, 500)]
    assert sides == expected


@pytest.mark.parametrize("size", [16, 28, 52, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_image_sizes_and_channels(size, channels):
    model = small(image_size=size, channels=channels, width=1)
    assert model.generator.output_shape == (None, size, 2 * size, channels)
    shape = (None, size, size, channels)
    assert model.discriminator.input_shape == [shape, shape]


def test_a_transposed_convolution_is_torchs_with_a_padding_of_1():
    """Pixel j contributes to the pixels 2j - 1, 2j and 2j + 1 of 2n - 1."""
    x = keras.Input((3, 3, 1))
    strided = {"strides": 2, "padding": "same", "output_padding": 0}
    network = keras.Model(x, conv_transpose(x, 1, 3, **strided))
    kernel = RANDOM.normal(size=(3, 3)).astype("float32")
    network.set_weights([kernel[..., None, None], np.zeros(1, "float32")])
    shown = RANDOM.normal(size=(3, 3)).astype("float32")
    expected = np.zeros((7, 7))
    for i in range(3):
        for j in range(3):
            expected[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += shown[i, j] * kernel
    y = network(shown[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(y, expected[1:-1, 1:-1], atol=1e-5)


def test_initial_weights_and_slopes(shared):
    """Uniform with Xavier's limit times sqrt(2), biases of 0.1, one slope of 0.25 a PReLU."""
    kernel = CoGAN().generator.layers[2].kernel
    limit = np.sqrt(2 * 6 / (16 * 100 + 16 * 512))
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    for variable in [*shared.generator.variables, *shared.discriminator.variables]:
        if variable.path.endswith("/bias"):
            assert (variable.numpy() == np.float32(0.1)).all()
        if "p_re_lu" in variable.path:
            assert variable.numpy().tolist() == [[[0.25]]]


def test_batch_normalization_has_neither_scale_nor_offset(shared):
    layers = [h for h in shared.generator.layers if "batch_normalization" in h.name]
    assert len(layers) == 3
    assert all(not h.trainable_variables for h in layers)
    assert not [h for h in shared.discriminator._flatten_layers() if "normalization" in h.name]


# Tied layers.


def ids(network):
    return {id(v) for v in network.trainable_variables}


def test_the_last_layers_of_the_discriminators_are_the_same_variables(shared):
    of_a, of_b = (ids(shared.f[domain]) for domain in "ab")
    tied = ids(shared.f["a"].get_layer("tied"))
    assert of_a & of_b == tied and len(of_a - tied) == len(of_b - tied) == 2
    assert shared.f["a"].get_layer("tied") is shared.f["b"].get_layer("tied")
    first = [shared.f[domain].trainable_variables[0] for domain in "ab"]
    assert all(v.shape == (5, 5, 1, 20) and id(v) not in tied for v in first)


def test_the_first_layers_of_the_generators_are_the_same_variables(shared):
    """Each image depends on its own last layer and on all others."""
    z = shared.latent.of_seed(0, 4)
    with tf.GradientTape(persistent=True) as tape:
        halves = tf.split(shared.generator(z, training=True), 2, axis=2)
        sums = [tf.reduce_sum(half**2) for half in halves]
    variables = {v.path: v.value for v in shared.generator.trainable_variables}
    assert variables["pixels/kernel"].shape == (6, 6, 2, 2)  # one output channel for each domain
    for domain, total in enumerate(sums):
        gradients = {path: np.abs(g) for path, g in tape.gradient(total, variables).items()}
        for name, axis in (("kernel", -2), ("bias", -1)):
            seen = np.moveaxis(gradients.pop(f"pixels/{name}"), axis, 0)
            assert seen[domain].max() > 0 and seen[1 - domain].max() == 0
        assert all(g.max() > 0 for path, g in gradients.items() if path.endswith("/kernel"))


def test_the_gradient_of_tied_layers_is_the_sum_of_both_domains(restored):
    """Of f's loss on real images, and of g's loss."""
    model, (x_a, _, x_b, _) = restored, batch()
    sparse = tf.nn.sparse_softmax_cross_entropy_with_logits
    real = tf.ones(6, tf.int32)
    z = model.latent.of_seed(1, 6)
    of_f = [v.value for v in model.f["a"].get_layer("tied").trainable_variables[:-2]]
    of_g = [v.value for v in model.generator.trainable_variables if "pixels" not in v.path]
    with tf.GradientTape(persistent=True) as tape:
        outputs = model.discriminator([x_a, x_b], training=True)
        parts = [tf.reduce_mean(sparse(real, each[0])) / 2 for each in outputs]
        fakes = model.combined(z, training=True)
        of_fakes = [tf.reduce_mean(sparse(real, each[0])) / 2 for each in fakes]
        sums = sum(parts), sum(of_fakes)
    for total, (one, other), variables in ((sums[0], parts, of_f), (sums[1], of_fakes, of_g)):
        whole = tape.gradient(total, variables)
        a, b = tape.gradient(one, variables), tape.gradient(other, variables)
        for each, of_a, of_b in zip(whole, a, b, strict=True):
            np.testing.assert_allclose(each, of_a + of_b, rtol=1e-3, atol=1e-7)
        assert max(np.abs(g).max() for g in a) > 0 and max(np.abs(g).max() for g in b) > 0


# The objective.


def decay(network, l2=5e-4):
    return l2 / 2 * sum(np.square(v).sum() for v in values(network.trainable_variables))


def split(pair):
    return tf.split(pair, 2, axis=2)


@pytest.mark.parametrize(
    "options",
    [{}, ADAPTATION, {"class_weight": 0.5, "feature_weight": 0.005, "l2": 0.0}, {"l2": 0.1}],
)
def test_losses_match_the_papers_equations(options):
    model, (x_a, y_a, x_b, y_b) = small(**options), batch()
    pair = model.generator(next_noise(model, 6), training=True)
    fake = model.discriminator(split(pair), training=True)
    real = model.discriminator([x_a, x_b], training=True)
    loss = sum(cross_entropy(each[0], 1) for each in real) / 2
    loss += sum(cross_entropy(each[0], 0) for each in fake) / 2
    if model.known_classes:
        loss += model.class_weight * cross_entropy(real[0][2], y_a)
    h_a, h_b = (np.asarray(each[1], "float64") for each in fake)
    loss += model.feature_weight * np.square(h_a - h_b).sum(axis=1).mean()
    loss += decay(model.discriminator, model.l2)
    losses, logs = model.d_objectives(x_a, y_a, x_b, y_b)
    assert float(losses["discriminator"]) == pytest.approx(loss, rel=1e-4)
    if model.known_classes:
        correct = np.argmax(real[0][2], axis=1) == np.asarray(y_a)
        assert float(logs["accuracy"]) == pytest.approx(correct.mean())

    pair = model.generator(next_noise(model, 6), training=True)
    fake = model.discriminator(split(pair), training=True)
    expected = sum(cross_entropy(each[0], 1) for each in fake) / 2 + decay(
        model.generator, model.l2
    )
    losses, _ = model.g_objectives(x_a, y_a, x_b, y_b)
    assert float(losses["generator"]) == pytest.approx(expected, rel=1e-4)


def test_both_images_are_of_the_same_noise_and_the_generators_loss_of_fresh_noise(restored):
    drawn = []
    draw = restored.latent.draw

    class Recording:
        size = restored.latent.size

        def draw(self, count, generator):
            drawn.append(draw(count, generator))
            return drawn[-1]

    latent, restored.latent = restored.latent, Recording()
    try:
        restored.train_step(batch())
    finally:
        restored.latent = latent
    first, second = drawn
    assert first.shape == second.shape == (6, 5) and np.abs(first - second).max() > 0.1


def test_the_generators_learn_from_the_updated_discriminators(restored):
    """f's update comes first: g's loss in the step is that after it."""
    given = batch()
    before = values(state_variables(restored))
    logs = restored.train_step(given)
    assign(state_variables(restored), before)
    restored.update(*given, objectives=restored.d_objectives, only=["discriminator"])
    losses, _ = restored.g_objectives(*given)
    assert float(logs["g_loss"]) == pytest.approx(float(losses["generator"]), rel=1e-5)


def test_weight_decay_is_added_to_the_gradient():
    """The gradients of a model with decay and of one without differ by 0.1 w."""
    given = batch()
    gradients = []
    for l2 in (0.0, 0.1):
        model = small(l2=l2)
        only = {"objectives": model.d_objectives, "only": ["discriminator"]}
        gradients.append(model.losses_and_gradients(*given, **only)[1]["discriminator"])
    weights = values(model.discriminator.trainable_variables)
    for without, decayed, w in zip(*gradients, weights, strict=True):
        np.testing.assert_allclose(decayed - without, 0.1 * w, atol=1e-5)


@pytest.mark.parametrize("options", [{}, ADAPTATION])
def test_the_labels_of_the_target_are_not_used(options):
    model, (x_a, y_a, x_b, _) = small(**options), batch()
    before = values(state_variables(model))
    states = []
    for poisoned in ([-1] * 6, [0] * 6, [2] * 6):
        assign(state_variables(model), before)
        model.train_step((x_a, y_a, x_b, tf.constant(poisoned, tf.int32)))
        states.append(values(state_variables(model)))
    for one, *others in zip(*states, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)


def test_without_a_class_weight_no_label_is_used():
    model, (x_a, _, x_b, y_b) = small(), batch()
    before = values(state_variables(model))
    states = []
    for y_a in ([-1] * 6, [2] * 6):
        assign(state_variables(model), before)
        model.train_step((x_a, tf.constant(y_a, tf.int32), x_b, y_b))
        states.append(values(state_variables(model)))
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.classify is None


@pytest.mark.parametrize("baseline", ["source", "target"])
def test_a_baseline_trains_the_classifier_of_the_target_on_one_domain(baseline):
    model, (x_a, y_a, x_b, y_b) = small(class_weight=10.0, baseline=baseline), batch()
    x, y = (x_a, y_a) if baseline == "source" else (x_b, y_b)
    expected = 10 * cross_entropy(model.f["b"](x)[2], y) + decay(model.f["b"])
    first = model.f["a"].trainable_variables[:2]
    before = values(first)
    logs = {}

    def step():
        logs.update(model.train_step((x_a, y_a, x_b, y_b)))

    assert changed_networks(model, step) == {"discriminator"}
    assert not any(changed(before, first))
    assert float(logs["d_loss"]) == pytest.approx(expected, rel=1e-5)


# Updates.


@pytest.mark.parametrize("options", [{}, ADAPTATION])
def test_one_step_updates_every_weight(options):
    model = small(**options)
    assert sorted(model.networks) == ["discriminator", "generator"]
    assert unchanged_weights(model, lambda: model.train_step(batch())) == []
    for player in model.players.values():
        assert int(player.optimizer.iterations) == 1


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_an_update_changes_only_its_own_player(restored, player):
    objectives = {"discriminator": restored.d_objectives, "generator": restored.g_objectives}
    which = {"objectives": objectives[player], "only": [player]}
    given = batch()
    before = values(restored.networks[player].trainable_variables)

    def update():
        restored.update(*given, **which)

    other = {"discriminator": "generator", "generator": "discriminator"}[player]
    untouched = values(restored.networks[other].trainable_variables)
    update()
    assert all(changed(before, restored.networks[player].trainable_variables))
    assert not any(changed(untouched, restored.networks[other].trainable_variables))


# The trained networks.


def test_classify_returns_probabilities_of_images_of_b_each_by_itself(shared):
    x = images(4)
    together = shared.classify(x).numpy()
    for i in range(4):
        np.testing.assert_allclose(shared.classify(x[i : i + 1])[0], together[i], atol=1e-6)
    logits = np.asarray(shared.f["b"](x)[2], "float64")
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(together, softmax, rtol=1e-4)


def test_a_pair_depends_on_its_noise_alone(restored):
    for statistic in restored.generator.non_trainable_weights:
        statistic.assign(RANDOM.uniform(0.5, 2, statistic.shape))
    z = restored.latent.of_seed(3, 4)
    together = restored.sampler(z, training=False).numpy()
    for i in range(4):
        alone = restored.sampler(z[i : i + 1], training=False)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    assert np.abs(together).max() <= 1


def test_the_average_generator_averages_pairs():
    model = small(ema=0.5)
    model.train_step(batch())
    assert model.sampler is model.average_generator
    assert model.sampler.output_shape == (None, 16, 32, 1)


def test_a_baseline_learns_classes_that_are_easy_to_tell_apart():
    """Black, grey and white images, with an accuracy above 90 % on new ones."""
    model = small(class_weight=10.0, baseline="source", learning_rate=1e-3)
    step = tf.function(model.train_step, autograph=False)
    y = np.arange(30) % CLASSES

    def drawn():
        levels = np.array([-0.9, 0.0, 0.9])[y][:, None, None, None]
        return tf.constant(RANDOM.normal(levels, 0.05, (30, 16, 16, 1)), tf.float32)

    for _ in range(100):
        step((drawn(), tf.constant(y, tf.int32), drawn(), tf.fill(30, -1)))
    assert (np.argmax(model.classify(drawn()), axis=1) == y).mean() > 0.9


INVALID = """
image_size=32 image_size=4 image_size=0 width=0 latent_size=0 class_weight=-1.0
feature_weight=-0.5 l2=-0.1 learning_rate=0.0 beta_1=1.0 ema=1.0
"""


@pytest.mark.parametrize("given", INVALID.split())
def test_invalid_options_are_refused_by_name(given):
    option, value = given.split("=")
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: float(value) if "." in value else int(value)})


@pytest.mark.parametrize("classes", [0, 1])
def test_labels_that_are_not_there_are_refused(classes):
    with pytest.raises(UserError, match=f"--class_weight 10.0: needs .*, here are {classes}; give"):
        small(classes=classes, class_weight=10.0)
    small(classes=classes)  # without a classifier no labels are needed


def test_a_baseline_needs_a_classifier():
    with pytest.raises(UserError, match="--baseline source: needs a --class_weight above 0"):
        small(baseline="source")
