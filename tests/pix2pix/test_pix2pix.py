"""pix2pix: the paper's networks, its losses in NumPy, and who moves in a step."""

from common.errors import UserError
from pix2pix.pix2pix import Pix2Pix

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def batch(size=32, count=1, channels=(3, 3)):
    return tuple(
        tf.constant(RANDOM.uniform(-1, 1, (count, size, size, c)), tf.float32) for c in channels
    )


def small(**options):
    keras.utils.set_random_seed(1)
    return Pix2Pix(**({"image_size": 32, "width": 4} | options))


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.fixture(scope="module")
def paper():
    return Pix2Pix()


def test_the_papers_networks(paper):
    # The counts with a bias in every convolution, less those that normalisation would cancel.
    assert count(paper.generator) == 54_419_459 - 4_928
    assert count(paper.discriminator) == 2_769_601 - 896
    x = keras.Input((256, 256, 3))
    assert paper.generator(x).shape == (None, 256, 256, 3)
    assert paper.discriminator([x, x]).shape == (None, 30, 30, 1)


def test_no_norm_on_the_first_and_the_innermost_level_and_dropout_in_three(paper):
    kinds = [type(layer).__name__ for layer in paper.generator.layers]
    assert kinds.count("BatchNormalization") == 6 + 7
    assert kinds.count("Dropout") == 3
    innermost = max(i for i, kind in enumerate(kinds) if kind == "Conv2D")
    assert kinds[innermost + 1 : innermost + 4] == ["ReLU", "Conv2DTranspose", "BatchNormalization"]
    first_up = kinds.index("Conv2DTranspose")
    assert kinds[first_up:].index("Dropout") == 2  # right after the first normalisation


@pytest.mark.parametrize("size", [32, 64, 128])
def test_every_power_of_two_and_its_multiples(size):
    model = small(image_size=size, width=2)
    bottleneck = [layer for layer in model.generator.layers if layer.name.startswith("conv2d")]
    assert len([b for b in bottleneck if "transpose" not in b.name]) == np.log2(size)
    shape = (1, size, 2 * size, 3)
    assert model.generator(np.zeros(shape, "float32")).shape == shape


@pytest.mark.parametrize("size", [16, 48, 100, 0])
def test_other_sides_are_refused_by_name(size):
    with pytest.raises(UserError, match=f"--image_size {size}: .*power of two"):
        Pix2Pix(image_size=size)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("l1_weight", -1.0),
    ],
)
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize("channels", [(1, 3), (3, 1)])
def test_grey_and_rgb(channels):
    model = small(channels_in=channels[0], channels_out=channels[1])
    losses = model.train_step(batch(channels=channels))
    assert all(np.isfinite(value) for value in losses.values())


def forward(model, x, y):
    """What both players say, with dropout off: (y_hat, fake logits, real logits)."""
    y_hat = model.generator(x, training=True)
    fake = model.discriminator([x, y_hat], training=True)
    return (
        np.asarray(y_hat),
        np.asarray(fake),
        np.asarray(model.discriminator([x, y], training=True)),
    )


def test_losses_are_the_papers():
    model, (x, y) = small(dropout=0.0, l1_weight=10.0), batch()
    y_hat, fake, real = forward(model, x, y)
    losses, _ = model.losses_and_gradients(x, y)
    l1 = np.abs(np.asarray(y) - y_hat).mean()
    d_loss = -0.5 * (log_sigmoid(real).mean() + log_sigmoid(-fake).mean())
    assert float(losses["l1"]) == pytest.approx(l1, rel=1e-5)
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean() + 10 * l1, rel=1e-5)


def test_least_squares_objective():
    model, (x, y) = small(dropout=0.0, objective="least_squares", l1_weight=0.0), batch()
    _, fake, real = forward(model, x, y)
    losses, _ = model.losses_and_gradients(x, y)
    d_loss = 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(((fake - 1) ** 2).mean(), rel=1e-5)


def log_sigmoid(logits):
    return -np.logaddexp(0, -logits.astype("float64"))


def values(variables):
    return [v.numpy() for v in variables]


def moved(before, variables):
    return [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)
    ]


def test_one_step_moves_every_weight_of_both_players():
    model = small()
    before = {name: values(net.trainable_variables) for name, net in model.networks.items()}
    model.train_step(batch())
    for name, network in model.networks.items():
        assert all(moved(before[name], network.trainable_variables)), name


@pytest.mark.parametrize(
    ("player", "other"), [("generator", "discriminator"), ("discriminator", "generator")]
)
def test_an_update_moves_only_its_own_player(player, other):
    model = small()
    _, gradients = model.losses_and_gradients(*batch())
    own, others = (model.networks[name].variables for name in (player, other))
    before_own, before_others = values(own), values(others)
    update = model.players[player]
    update.optimizer.apply(gradients[player], update.variables)
    assert any(moved(before_own, own))
    assert not any(moved(before_others, others))


def test_gradients_are_those_of_the_losses_alone():
    """Against a plain tape over everything: D's loss differentiated by D, G's by G."""
    model, (x, y) = small(dropout=0.0), batch()
    with tf.GradientTape(persistent=True) as tape:
        y_hat = model.generator(x, training=True)
        fake = model.discriminator([x, y_hat], training=True)
        real = model.discriminator([x, y], training=True)
        bce = tf.nn.sigmoid_cross_entropy_with_logits
        d_loss = tf.reduce_mean(bce(tf.ones_like(real), real)) / 2
        d_loss += tf.reduce_mean(bce(tf.zeros_like(fake), fake)) / 2
        g_loss = tf.reduce_mean(bce(tf.ones_like(fake), fake))
        g_loss += 100 * tf.reduce_mean(tf.abs(y - y_hat))
    _, gradients = model.losses_and_gradients(x, y)
    for name, loss in (("discriminator", d_loss), ("generator", g_loss)):
        variables = [v.value for v in model.networks[name].trainable_variables]
        for ours, plain in zip(gradients[name], tape.gradient(loss, variables), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-5)


def test_discriminator_is_conditioned_on_x():
    model, (x, y) = small(), batch()
    other = tf.reverse(x, [2])
    a, b = (model.discriminator([condition, y], training=False) for condition in (x, other))
    assert np.abs(a - b).max() > 1e-6


def test_it_learns_one_pair():
    """The L1 between translation and counterpart falls to a fraction on a single easy pair."""
    model = small(width=8, dropout=0.0, learning_rate=2e-3)
    x = tf.constant(RANDOM.uniform(-1, 1, (1, 32, 32, 3)), tf.float32)
    model.make_train_function()
    pairs = iter(tf.data.Dataset.from_tensors((x, -x)).repeat())
    first = float(model.train_function(pairs)["l1"])
    for _ in range(60):
        last = float(model.train_function(pairs)["l1"])
    assert last < 0.5 * first


def test_inference_is_the_papers_by_default_and_can_be_switched_off():
    x, _ = batch(count=2)
    model = small()
    noisy = np.asarray(model.generator(x, training=False))
    plain = small(inference_dropout=False)
    plain.generator.set_weights(model.generator.get_weights())
    assert np.abs(noisy - plain.generator(x, training=False)).max() > 1e-4
    # Statistics: by default each image's own, so a neighbour changes nothing.
    np.testing.assert_allclose(model.generator(x[:1], training=False)[0], noisy[0], atol=1e-5)
    moving = small(inference_dropout=False, inference_statistics="moving")
    moving.generator.set_weights(model.generator.get_weights())
    assert np.abs(moving.generator(x) - plain.generator(x)).max() > 1e-4
    # Without dropout, inference at batch size 1 is the training forward pass.
    dry = small(dropout=0.0)
    np.testing.assert_allclose(
        dry.generator(x[:1], training=False), dry.generator(x[:1], training=True), atol=1e-4
    )
