"""CycleGAN: the paper's networks, its losses against NumPy, and which weights a step updates."""

from common.errors import UserError
from common.training import options
from cyclegan.cyclegan import CycleGAN, conv_down, conv_up, depths
from tests.helpers.models import (
    assert_gradients,
    changed_networks,
    count_weights,
    magnify,
    state_restored,
    unchanged_weights,
    values,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
PLAYERS = ["generator", "discriminator_a", "discriminator_b"]


def images(count=2):
    return tf.constant(RANDOM.uniform(-1, 1, (count, 16, 16, 3)), tf.float32)


def small(**options):
    """A model with ten times the initial weights, so that every loss depends on them."""
    keras.utils.set_random_seed(1)
    model = CycleGAN(**({"image_size": 16, "width": 2, "blocks": 1} | options))
    magnify(model)
    model.compile(jit="off")  # compiling takes longer than the steps
    return model


@pytest.fixture(scope="module")
def model():
    """Read-only; `restored` is the same model for tests that change it."""
    return small()


@pytest.fixture
def restored(model):
    """The model, whose state is restored after the test."""
    with state_restored(model):
        yield model


# The networks.


@pytest.mark.parametrize(("blocks", "with_biases"), [(9, 11_378_179), (6, 7_837_699)])
def test_the_papers_translator(model, monkeypatch, blocks, with_biases):
    monkeypatch.setattr(model, "width", 64)
    monkeypatch.setattr(model, "blocks", blocks)
    translator = model.build_translator("x")
    biases = 64 + 128 + 256 + 2 * blocks * 256 + 128 + 64  # that normalization would cancel
    assert count_weights(translator) == with_biases - biases
    assert translator(keras.Input((256, 256, 3))).shape == (None, 256, 256, 3)


def test_the_papers_discriminator(model, monkeypatch):
    monkeypatch.setattr(model, "width", 64)
    monkeypatch.setattr(model, "strided", 3)
    discriminator = model.build_discriminator("a")
    assert count_weights(discriminator) == 2_764_737 - (128 + 256 + 512)
    assert discriminator(keras.Input((256, 256, 3))).shape == (None, 30, 30, 1)
    kinds = [type(layer).__name__ for layer in discriminator.layers]
    assert kinds.count("InstanceNormalization") == 3
    first = kinds.index("InstanceNormalization")
    assert kinds[:first].count("Conv2D") == 2  # not after the first
    assert kinds[-2:] == ["Conv2D", "Activation"]
    assert not any("Batch" in kind for kind in kinds)


def test_default_depths_by_image_size(model):
    assert [depths(size) for size in (32, 64, 128, 256)] == [(3, 2), (3, 3), (6, 3), (9, 3)]
    assert (model.blocks, model.strided) == (1, 2)  # an option; the default


def test_residual_blocks_pad_by_reflection_and_have_no_activation_after_the_sum(model):
    translator = model.generator.get_layer("AtoB")
    kinds = [type(layer).__name__ for layer in translator.layers]
    reflections = [h for h in translator.layers if "Reflection" in type(h).__name__]
    assert [layer.padding for layer in reflections] == [3, 1, 1, 3]
    after = kinds[kinds.index("Add") + 1]
    assert after == "DoublingConvolution"  # no ReLU
    assert kinds.count("InstanceNormalization") == 3 + 2 + 2
    assert kinds[-3:] == ["ReflectionPadding", "Conv2D", "Activation"]  # no normalization
    assert translator.layers[-1].activation is keras.activations.tanh
    assert not model.generator.non_trainable_variables


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_without_transposed_convolutions(upsampling):
    translator = small(upsampling=upsampling).generator.get_layer("AtoB")
    kinds = [type(layer).__name__ for layer in translator.layers]
    assert "DoublingConvolution" not in kinds and kinds.count("ResizeConvolution") == 2
    x = np.zeros((1, 16, 40, 3), "float32")
    assert translator(x).shape == x.shape


@pytest.mark.parametrize("sides", [(8, 8), (16, 40), (24, 8)])
def test_translators_take_all_sides_that_are_multiples(model, sides):
    x = np.zeros((1, *sides, 3), "float32")
    assert model.generator.get_layer("BtoA")(x).shape == x.shape
    assert all(side % model.multiple == 0 for side in sides)


def test_a_translation_does_not_depend_on_the_other_images_of_its_batch(model):
    x = images(3)
    translate = model.generator.get_layer("AtoB")
    alone = translate(x[1:2], training=False)
    np.testing.assert_allclose(alone[0], translate(x, training=True)[1], atol=1e-5)


def test_conv_down_is_aligned_as_in_torch_and_conv_up_is_its_adjoint():
    """Output pixel j of `conv_down` is a sum over pixels 2j - 1, 2j and 2j + 1."""
    x = keras.Input((8, 8, 1))
    down, up = keras.Model(x, conv_down(x, 1)), keras.Model(x, conv_up(x, 1, "transposed"))
    kernel = RANDOM.normal(size=(3, 3, 1, 1)).astype("float32")
    for network in (down, up):
        network.set_weights([kernel])
    one, other = (RANDOM.normal(size=(1, n, n, 1)).astype("float32") for n in (8, 4))
    padded = np.pad(one[0, :, :, 0], 1)
    expected = [
        [
            (padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * kernel[:, :, 0, 0]).sum()
            for j in range(4)
        ]
        for i in range(4)
    ]
    small_one = np.asarray(down(one))
    np.testing.assert_allclose(small_one[0, :, :, 0], expected, atol=1e-5)
    large = np.asarray(up(np.pad(other, [(0, 0), (0, 4), (0, 4), (0, 0)])))  # zeros beyond
    assert large.shape == (1, 16, 16, 1)
    product = (small_one * other).sum()
    assert (one * large[:, :8, :8]).sum() == pytest.approx(product, rel=1e-4)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("strided", 0),
        ("blocks", -1),
        ("cycle_weight", -1.0),
        ("identity_weight", -0.5),
        ("pool_size", -1),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize(("size", "strided"), [(30, None), (8, None), (20, 3), (0, None)])
def test_invalid_image_sizes_are_refused_by_name(size, strided):
    with pytest.raises(UserError, match=f"--image_size {size}: give a multiple of 4 from"):
        CycleGAN(size, strided=strided)


# The objective.


def forward(model, a, b):
    """(G(a), F(b), F(G(a)), G(F(b)), G(b), F(a)) as arrays."""
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    fake_b, fake_a = G(a), F(b)
    return [np.asarray(x) for x in (fake_b, fake_a, F(fake_b), G(fake_a), G(b), F(a))]


def squared_error(D, x, target):
    return np.square(np.asarray(D(tf.constant(x))) - target).mean()


def l1(x, y):
    return np.abs(np.asarray(x) - np.asarray(y)).mean()


def generator_loss(model, a, b, cycle_weight, identity_weight):
    fake_b, fake_a, cycle_a, cycle_b, same_b, same_a = forward(model, a, b)
    adversarial = squared_error(model.discriminator_b, fake_b, 1)
    adversarial += squared_error(model.discriminator_a, fake_a, 1)
    cycle = l1(cycle_a, a) + l1(cycle_b, b)
    identity = l1(same_b, b) + l1(same_a, a)
    return adversarial + cycle_weight * (cycle + identity_weight * identity)


def test_losses_match_the_papers_equations(restored):
    a, b = images(), images()
    losses, _ = restored.losses_and_gradients(a, b)
    fake_b, fake_a, cycle_a, cycle_b, *_ = forward(restored, a, b)
    assert float(losses["cycle_a"]) == pytest.approx(l1(cycle_a, a), rel=1e-4)
    assert float(losses["cycle_b"]) == pytest.approx(l1(cycle_b, b), rel=1e-4)
    assert float(losses["g_loss"]) == pytest.approx(
        generator_loss(restored, a, b, 10, 0.5), rel=1e-4
    )
    for name, D, real, fake in (
        ("d_a_loss", restored.discriminator_a, a, fake_a),
        ("d_b_loss", restored.discriminator_b, b, fake_b),
    ):
        expected = 0.5 * (squared_error(D, real, 1) + squared_error(D, fake, 0))
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4)


def test_loss_weights_and_no_passes_for_an_identity_weight_of_0():
    model = small(cycle_weight=3.0, identity_weight=0.0)
    a, b = images(), images()
    losses, _ = model.losses_and_gradients(a, b)
    assert float(losses["g_loss"]) == pytest.approx(generator_loss(model, a, b, 3, 0), rel=1e-4)
    assert len(model.combined.outputs) == 4  # neither G(b) nor F(a)


def test_only_the_discriminators_train_on_the_history(restored, monkeypatch):
    a, b = images(), images()
    old_a, old_b = images(), images()
    without_history, _ = restored.losses_and_gradients(a, b)
    monkeypatch.setattr(
        type(restored.pool_a), "__call__", lambda pool, x: {"a": old_a, "b": old_b}[pool.name]
    )
    losses, _ = restored.losses_and_gradients(a, b)
    for name, D, real, old in (
        ("d_a_loss", restored.discriminator_a, a, old_a),
        ("d_b_loss", restored.discriminator_b, b, old_b),
    ):
        expected = 0.5 * (squared_error(D, real, 1) + squared_error(D, old, 0))
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4)
    assert float(losses["g_loss"]) == float(without_history["g_loss"])


def test_each_domain_has_its_own_history(restored):
    a, b = images(), images()
    fake_b, fake_a, *_ = forward(restored, a, b)
    restored.losses_and_gradients(a, b)
    np.testing.assert_allclose(restored.pool_a.images[:2], fake_a, atol=1e-5)
    np.testing.assert_allclose(restored.pool_b.images[:2], fake_b, atol=1e-5)
    assert int(restored.pool_a.count) == int(restored.pool_b.count) == 2


def test_each_players_gradients_are_those_of_its_own_loss(restored):
    """Compared with one tape that records everything; both cycles reach both translators."""
    a, b = images(), images()
    G, F = (restored.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    D_A, D_B = restored.discriminator_a, restored.discriminator_b
    mean, square = tf.reduce_mean, tf.square
    with tf.GradientTape(persistent=True) as tape:
        fake_b, fake_a = G(a), F(b)
        g_loss = mean(square(D_B(fake_b) - 1)) + mean(square(D_A(fake_a) - 1))
        g_loss += 10 * mean(abs(F(fake_b) - a)) + 10 * mean(abs(G(fake_a) - b))
        g_loss += 5 * mean(abs(G(b) - b)) + 5 * mean(abs(F(a) - a))
        d_a_loss = (mean(square(D_A(a) - 1)) + mean(square(D_A(fake_a)))) / 2
        d_b_loss = (mean(square(D_B(b) - 1)) + mean(square(D_B(fake_b)))) / 2
    _, gradients = restored.losses_and_gradients(a, b)
    losses = dict(zip(PLAYERS, (g_loss, d_a_loss, d_b_loss), strict=True))
    assert_gradients(restored, gradients, tape, losses, atol=2e-5)


# Updates.


def test_one_step_updates_every_weight(restored):
    assert sorted(restored.networks) == sorted(PLAYERS)
    assert unchanged_weights(restored, lambda: restored.train_step((images(), images()))) == []
    for player in restored.players.values():
        assert int(player.optimizer.iterations) == 1


@pytest.mark.parametrize("name", PLAYERS)
def test_an_update_changes_only_its_own_player(restored, name):
    player = restored.players[name]
    gradients = [tf.ones_like(v.value) for v in player.variables]
    assert changed_networks(restored, lambda: player.apply(gradients)) == {name}


def test_a_checkpoint_holds_the_histories_and_their_random_states(model):
    held = {v.path for v in model.state()["model"]}
    for name in "ab":
        assert {f"{name}/images", f"{name}/count"} <= held
    assert len([path for path in held if "seed_generator" in path]) == 2


def test_the_average_generator_averages_both_translators():
    model = small(ema=0.5)
    before = values(model.generator.variables)
    model.train_step((images(), images()))
    assert model.sampling_network is model.average_generator
    for old, new, average in zip(
        before, model.generator.variables, model.average_generator.variables, strict=True
    ):
        expected = 0.1 * old + 0.9 * new.numpy()  # the decay is warmed up from 1/10
        np.testing.assert_allclose(average, expected, atol=1e-6)


def test_the_learning_rate_is_constant_for_half_of_training_and_then_decays_to_0():
    assert CycleGAN.defaults["schedule"] == "linear"
    factor = options.SCHEDULES["linear"]
    done = np.linspace(0, 1, 201)
    expected = np.where(done <= 0.5, 1, 1 - (done - 0.5) / 0.5)
    np.testing.assert_allclose([factor(x) for x in done], expected, atol=1e-12)
