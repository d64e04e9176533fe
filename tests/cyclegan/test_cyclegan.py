"""CycleGAN: the paper's networks, its losses in NumPy, and who moves in a step."""

from common.errors import UserError
from common.training import options
from cyclegan.cyclegan import CycleGAN, conv_down, conv_up, depths

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
PLAYERS = ["generator", "discriminator_a", "discriminator_b"]


def images(count=2, size=16, channels=3):
    x = RANDOM.uniform(-1, 1, (count, size, size, channels))
    return tf.constant(x, tf.float32)


def small(**options):
    """Weights ten times as large as a start gives, so that every loss depends on them."""
    keras.utils.set_random_seed(1)
    model = CycleGAN(**({"image_size": 16, "width": 2, "blocks": 1} | options))
    for network in model.networks.values():
        for variable in network.trainable_variables:
            variable.assign(10 * variable)
    model.compile(jit="off")  # XLA would take longer than the step
    return model


@pytest.fixture(scope="module")
def model():
    """Not to be changed for good: tests put its weights back, or leave them alone."""
    return small()


@pytest.fixture
def restored(model):
    variables = [v for group in model.state().values() for v in group]
    before = [v.numpy() for v in variables]
    yield model
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


# The networks.


@pytest.mark.parametrize(("blocks", "with_biases"), [(9, 11_378_179), (6, 7_837_699)])
def test_the_papers_translator(model, monkeypatch, blocks, with_biases):
    monkeypatch.setattr(model, "width", 64)
    monkeypatch.setattr(model, "blocks", blocks)
    translator = model.build_translator("x")
    that_normalisation_cancels = 64 + 128 + 256 + 2 * blocks * 256 + 128 + 64
    assert count(translator) == with_biases - that_normalisation_cancels
    assert translator(keras.Input((256, 256, 3))).shape == (None, 256, 256, 3)


def test_the_papers_discriminator(model, monkeypatch):
    monkeypatch.setattr(model, "width", 64)
    monkeypatch.setattr(model, "strided", 3)
    discriminator = model.build_discriminator("a")
    assert count(discriminator) == 2_764_737 - (128 + 256 + 512)
    assert discriminator(keras.Input((256, 256, 3))).shape == (None, 30, 30, 1)
    kinds = [type(layer).__name__ for layer in discriminator.layers]
    assert kinds.count("InstanceNormalization") == 3
    first = kinds.index("InstanceNormalization")
    assert kinds[:first].count("Conv2D") == 2  # none after the first one
    assert kinds[-2:] == ["Conv2D", "Activation"]
    assert not any("Batch" in kind for kind in kinds)


def test_depths_by_size(model):
    assert [depths(size) for size in (32, 64, 128, 256)] == [(3, 2), (3, 3), (6, 3), (9, 3)]
    assert (model.blocks, model.strided) == (1, 2)  # one was asked for, the other is by size


def test_blocks_reflect_and_add_without_activation(model):
    translator = model.generator.get_layer("AtoB")
    kinds = [type(layer).__name__ for layer in translator.layers]
    assert [
        layer.padding for layer in translator.layers if "Reflection" in type(layer).__name__
    ] == [3, 1, 1, 3]
    after = kinds[kinds.index("Add") + 1]
    assert after == "DoublingConvolution"  # not a ReLU
    assert kinds.count("InstanceNormalization") == 3 + 2 + 2
    assert kinds[-3:] == ["ReflectionPadding", "Conv2D", "Activation"]  # none at the end
    assert translator.layers[-1].activation is keras.activations.tanh
    assert not model.generator.non_trainable_variables


@pytest.mark.parametrize("sides", [(8, 8), (16, 40), (24, 8)])
def test_every_multiple_is_translated(model, sides):
    x = np.zeros((1, *sides, 3), "float32")
    assert model.generator.get_layer("BtoA")(x).shape == x.shape
    assert all(side % model.multiple == 0 for side in sides)


def test_translations_do_not_depend_on_their_neighbours(model):
    x = images(3)
    translate = model.generator.get_layer("AtoB")
    alone = translate(x[1:2], training=False)
    np.testing.assert_allclose(alone[0], translate(x, training=True)[1], atol=1e-5)


def test_down_and_up_are_aligned():
    """Down weighs pixels 2j - 1, 2j, 2j + 1 for j, as Torch's padding of 1; up is its adjoint."""
    x = keras.Input((8, 8, 1))
    down, up = keras.Model(x, conv_down(x, 1)), keras.Model(x, conv_up(x, 1))
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
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize(("size", "strided"), [(30, None), (8, None), (20, 3), (0, None)])
def test_other_sides_are_refused_by_name(size, strided):
    with pytest.raises(UserError, match=f"--image_size {size}: give a multiple of 4 from"):
        CycleGAN(size, strided=strided)


# The objective.


def forward(model, a, b):
    """What all networks say: (G(a), F(b), F(G(a)), G(F(b)), G(b), F(a)) as arrays."""
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    fake_b, fake_a = G(a), F(b)
    return [np.asarray(x) for x in (fake_b, fake_a, F(fake_b), G(fake_a), G(b), F(a))]


def squares(D, x, target):
    return np.square(np.asarray(D(tf.constant(x))) - target).mean()


def l1(x, y):
    return np.abs(np.asarray(x) - np.asarray(y)).mean()


def generator_loss(model, a, b, cycle_weight, identity_weight):
    fake_b, fake_a, cycle_a, cycle_b, same_b, same_a = forward(model, a, b)
    adversarial = squares(model.discriminator_b, fake_b, 1)
    adversarial += squares(model.discriminator_a, fake_a, 1)
    cycle = l1(cycle_a, a) + l1(cycle_b, b)
    identity = l1(same_b, b) + l1(same_a, a)
    return adversarial + cycle_weight * (cycle + identity_weight * identity)


def test_losses_are_the_papers(restored):
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
        expected = 0.5 * (squares(D, real, 1) + squares(D, fake, 0))
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4)


def test_weights_of_the_losses_and_passes_left_out():
    model = small(cycle_weight=3.0, identity_weight=0.0)
    a, b = images(), images()
    losses, _ = model.losses_and_gradients(a, b)
    assert float(losses["g_loss"]) == pytest.approx(generator_loss(model, a, b, 3, 0), rel=1e-4)
    assert len(model.combined.outputs) == 4  # neither G(b) nor F(a)


def test_discriminators_learn_from_the_history_and_translators_do_not(restored, monkeypatch):
    a, b = images(), images()
    old_a, old_b = images(), images()
    fresh, _ = restored.losses_and_gradients(a, b)
    monkeypatch.setattr(
        type(restored.pool_a), "__call__", lambda pool, x: {"a": old_a, "b": old_b}[pool.name]
    )
    losses, _ = restored.losses_and_gradients(a, b)
    for name, D, real, old in (
        ("d_a_loss", restored.discriminator_a, a, old_a),
        ("d_b_loss", restored.discriminator_b, b, old_b),
    ):
        expected = 0.5 * (squares(D, real, 1) + squares(D, old, 0))
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4)
    assert float(losses["g_loss"]) == float(fresh["g_loss"])


def test_each_domain_has_its_own_history(restored):
    a, b = images(), images()
    fake_b, fake_a, *_ = forward(restored, a, b)
    restored.losses_and_gradients(a, b)
    np.testing.assert_allclose(restored.pool_a.images[:2], fake_a, atol=1e-5)
    np.testing.assert_allclose(restored.pool_b.images[:2], fake_b, atol=1e-5)
    assert int(restored.pool_a.count) == int(restored.pool_b.count) == 2


def test_gradients_are_those_of_the_losses_alone(restored):
    """Against a plain tape over everything; both cycles must reach both translators."""
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
    for name, loss in zip(PLAYERS, (g_loss, d_a_loss, d_b_loss), strict=True):
        variables = [v.value for v in restored.networks[name].trainable_variables]
        assert len(gradients[name]) == len(variables)
        for ours, plain in zip(gradients[name], tape.gradient(loss, variables), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=2e-3, atol=2e-5)


# Who moves.


def values(variables):
    return [v.numpy() for v in variables]


def moved(before, variables):
    return [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)
    ]


def test_one_step_moves_every_weight_of_all_players(restored):
    before = {name: values(net.trainable_variables) for name, net in restored.networks.items()}
    assert sorted(before) == sorted(PLAYERS)
    losses = restored.train_step((images(), images()))
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    for name, network in restored.networks.items():
        assert all(moved(before[name], network.trainable_variables)), name
        assert int(restored.players[name].optimizer.iterations) == 1


@pytest.mark.parametrize("player", PLAYERS)
def test_an_update_moves_only_its_own_player(restored, player):
    before = {name: values(network.variables) for name, network in restored.networks.items()}
    update = restored.players[player]
    update.optimizer.apply([tf.ones_like(v.value) for v in update.variables], update.variables)
    for name, network in restored.networks.items():
        assert all(x == (name == player) for x in moved(before[name], network.variables)), name


def test_a_checkpoint_holds_the_histories_and_their_lots(model):
    held = {v.path for v in model.state()["model"]}
    for name in "ab":
        assert {f"{name}/images", f"{name}/count"} <= held
    assert len([path for path in held if "seed_generator" in path]) == 2


def test_the_average_is_of_both_translators():
    model = small(ema=0.5)
    before = values(model.generator.variables)
    model.train_step((images(), images()))
    assert model.sampling_network is model.average_generator
    for old, new, average in zip(
        before, model.generator.variables, model.average_generator.variables, strict=True
    ):  # the decay is 0.1 in the first update
        np.testing.assert_allclose(average, 0.1 * old + 0.9 * new.numpy(), atol=1e-6)


def test_the_rate_is_constant_for_the_first_half_and_then_falls_to_0():
    assert CycleGAN.defaults["schedule"] == "linear"
    factor = options.SCHEDULES["linear"]
    done = np.linspace(0, 1, 201)
    expected = np.where(done <= 0.5, 1, 1 - (done - 0.5) / 0.5)
    np.testing.assert_allclose([factor(x) for x in done], expected, atol=1e-12)
