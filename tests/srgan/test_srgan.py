"""SRGAN: the paper's networks, its losses against NumPy, and which weights a stage updates."""

from common.errors import UserError
from srgan.srgan import SRGAN
from tests.helpers.models import (
    assert_gradients,
    changed,
    changed_networks,
    count_weights,
    log_sigmoid,
    player_update,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
SMALL = {"image_size": 16, "blocks": 1, "width": 4, "content": "mse"}


def batch():
    """Low-resolution images in [0, 1] and high-resolution ones in [-1, 1]."""
    lr, hr = RANDOM.uniform(0, 1, (3, 4, 4, 3)), RANDOM.uniform(-1, 1, (3, 16, 16, 3))
    return tf.constant(lr, tf.float32), tf.constant(hr, tf.float32)


def small(**options):
    keras.utils.set_random_seed(1)
    return SRGAN(**(SMALL | {"pretrain_steps": 2, "gan_steps": 4} | options))


@pytest.fixture(scope="module")
def shared():
    """A model of both stages with a compiled step; tests may change its weights."""
    model = small(ema=0.5)
    model.compile(jit="off")
    model.make_train_function()
    return model


def test_the_papers_networks():
    model = SRGAN(content="mse")
    assert weight_counts(model) == {"generator": 1_550_659, "discriminator": 23_565_505}
    assert model.discriminator.output_shape == (None, 1)
    light = SRGAN(blocks=4, width=32, image_size=64, pooling="global", content="mse")
    assert count_weights(light.generator) == 173_603


@pytest.mark.parametrize("scale", [2, 4])
def test_the_generator_takes_images_of_any_size(scale):
    generator = small(scale=scale, stage="mse").generator
    for height, width in ((1, 1), (5, 9)):
        x = RANDOM.uniform(0, 1, (2, height, width, 3)).astype("float32")
        assert generator(x).shape == (2, scale * height, scale * width, 3)
    kinds = [type(layer).__name__ for layer in generator.layers]
    assert kinds.count("PixelShuffle") == scale // 2
    assert kinds.count("BatchNormalization") == 2 + 1  # none in the upsampling
    assert kinds.count("PReLU") == 1 + 1 + scale // 2


@pytest.mark.parametrize(("scale", "blocks"), [(4, 1), (4, 3), (2, 2)])
def test_the_halo_is_the_radius_of_the_generators_receptive_field(scale, blocks):
    model = small(scale=scale, blocks=blocks, stage="mse")
    side = 2 * model.halo + 5
    x = RANDOM.uniform(0, 1, (1, side, side, 3)).astype("float32")
    other = x.copy()
    middle = side // 2
    other[0, middle, middle] += 50
    differences = np.abs(model.generator(other) - model.generator(x))[0].max((1, 2))
    (rows,) = np.nonzero(differences)
    radius = max(middle - rows.min() // scale, rows.max() // scale - middle)
    assert radius == model.halo


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image_size", 18),
        ("image_size", 8),
        ("blocks", 0),
        ("width", 0),
        ("pretrain_steps", 0),
        ("gan_steps", 0),
        ("learning_rate", 0.0),
        ("adversarial_weight", -1.0),
        ("beta_1", 1.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize("options", [{"stage": "gan"}, {"begin": "runs/x"}])
def test_stage_gan_and_begin_belong_together(options):
    with pytest.raises(UserError, match="--stage gan and --begin RUN"):
        _ = small(**options).plan


def test_the_plan_follows_the_options_of_the_stages():
    plan = small(pretrain_steps=10, gan_steps=6).plan
    assert plan.total_steps == 16 and plan.milestones == (10,)
    assert [plan.rate_factor(step) for step in range(16)] == [1.0] * 13 + [0.1] * 3
    model = small(stage="mse", pretrain_steps=10)
    assert model.plan.total_steps == 10 and model.plan.milestones == ()
    assert {model.plan.rate_factor(step) for step in range(10)} == {1.0}
    assert list(model.networks) == ["generator"]  # no discriminator to store
    second = small(stage="gan", gan_steps=6, begin="runs/x").plan
    assert second.total_steps == 6
    assert [second.rate_factor(step) for step in range(6)] == [1.0] * 3 + [0.1] * 3


def test_stage_2_starts_from_the_end_of_stage_1():
    plan = small(stage="gan", begin="runs/x").plan
    assert plan.initial_run == "runs/x" and small(stage="mse").plan.initial_run is None
    of_both = {"stage": "both", "pretrain_steps": 10}
    assert [plan.initial_step(of_both, newest) for newest in (7, 12)] == [7, 10]
    assert plan.initial_step(of_both | {"stage": "mse"}, 12) == 12  # a longer stage 1


def stage_1(model, lr, hr):
    """Losses and gradients of stage 1."""
    return model.losses_and_gradients(lr, hr, objectives=model.resnet_objectives, only=["resnet"])


def test_losses_of_stage_2_match_the_papers_equations(shared):
    lr, hr = batch()
    fake, sr = (np.asarray(each) for each in shared.combined(lr, training=True))
    real = shared.discriminator(hr, training=True)
    losses, _ = shared.losses_and_gradients(lr, hr)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["adversarial"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)
    assert float(losses["mse"]) == pytest.approx(np.square(hr - sr).mean(), rel=1e-5)
    assert float(losses["content"]) == pytest.approx(np.square(hr - sr).mean(), rel=1e-4)


def test_each_players_gradients_are_those_of_its_own_loss(shared):
    """Compared with one tape that records everything."""
    lr, hr = batch()
    shared.content_distance = lambda x, y: tf.reduce_mean(tf.abs(x - y))  # instead of VGG's
    with tf.GradientTape(persistent=True) as tape:
        sr = shared.generator(lr, training=True)
        fake = shared.discriminator(sr, training=True)
        real = shared.discriminator(hr, training=True)
        bce = tf.nn.sigmoid_cross_entropy_with_logits
        d_loss = tf.reduce_mean(bce(tf.ones_like(real), real))
        d_loss += tf.reduce_mean(bce(tf.zeros_like(fake), fake))
        g_loss = 1e-3 * tf.reduce_mean(bce(tf.ones_like(fake), fake))
        g_loss += tf.reduce_mean(tf.abs(hr - sr))
        mse = tf.reduce_mean(tf.square(hr - sr))
    try:
        losses, gradients = shared.losses_and_gradients(lr, hr)
    finally:
        shared.content_distance = SRGAN(**SMALL).content_distance
    _, of_stage_1 = stage_1(shared, lr, hr)
    assert float(losses["content"]) == pytest.approx(float(tf.reduce_mean(tf.abs(hr - sr))), 1e-4)
    all_losses = {"discriminator": d_loss, "generator": g_loss, "resnet": mse}
    assert_gradients(shared, gradients | of_stage_1, tape, all_losses, atol=1e-5)


def test_stage_1_updates_the_generator_alone_and_stage_2_both_players(shared):
    shared.steps_done.assign(0)
    shared.make_train_function(force=True)
    G, D = shared.generator, shared.discriminator
    for stage in (1, 1, 2):  # pretrain_steps is 2
        of_g, of_d, of_average = (
            values(network.variables) for network in (G, D, shared.average_generator)
        )
        losses = shared.train_function(iter([batch()]))
        assert all(changed(of_g, G.variables))
        assert any(changed(of_average, shared.average_generator.variables))
        d_changes = changed(of_d, D.variables)
        assert all(d_changes) if stage == 2 else not any(d_changes)
        assert (float(losses["d_loss"]) > 0) == (stage == 2)
    assert int(shared.steps_done) == 3


@pytest.mark.parametrize(
    ("player", "network"),
    [("resnet", "generator"), ("generator", "generator"), ("discriminator", "discriminator")],
)
def test_an_update_changes_only_its_own_network(shared, player, network):
    _, of_stage_2 = shared.losses_and_gradients(*batch())
    _, of_stage_1 = stage_1(shared, *batch())
    update = player_update(shared, player, of_stage_1 | of_stage_2)
    assert changed_networks(shared, update) == {network}


def test_training_on_one_image_lowers_the_mse():
    model = small(stage="mse", learning_rate=5e-3)
    model.make_train_function()
    hr = np.repeat(np.repeat(RANDOM.uniform(-1, 1, (1, 4, 4, 3)), 4, 1), 4, 2).astype("float32")
    batch = (tf.constant((hr[:, ::4, ::4] + 1) / 2), tf.constant(hr))
    losses = [float(model.train_function(iter([batch]))["mse"]) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
