"""SRGAN: the paper's networks, its losses in NumPy, and who moves in which stage."""

from common.errors import UserError
from srgan.srgan import SRGAN

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
SMALL = {"image_size": 16, "blocks": 1, "width": 4, "content": "mse"}


def batch(size=16, count=3, scale=4):
    lr = RANDOM.uniform(0, 1, (count, size // scale, size // scale, 3))
    return tf.constant(lr, tf.float32), tf.constant(
        RANDOM.uniform(-1, 1, (count, size, size, 3)), tf.float32
    )


def small(**options):
    keras.utils.set_random_seed(1)
    return SRGAN(**(SMALL | {"pretrain_steps": 2, "gan_steps": 4} | options))


@pytest.fixture(scope="module")
def shared():
    """A model of both stages that tests may move, its step compiled."""
    model = small(ema=0.5)
    model.compile(jit="off")
    model.make_train_function()
    return model


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def test_the_papers_networks():
    model = SRGAN(content="mse")
    assert count(model.generator) == 1_550_659
    assert count(model.discriminator) == 23_565_505
    assert model.discriminator.output_shape == (None, 1)
    light = SRGAN(blocks=4, width=32, image_size=64, pooling="global", content="mse")
    assert count(light.generator) == 173_603


@pytest.mark.parametrize("scale", [2, 4])
def test_any_size_goes_through_the_generator(scale):
    generator = small(scale=scale, stage="mse").generator
    for height, width in ((1, 1), (5, 9)):
        x = RANDOM.uniform(0, 1, (2, height, width, 3)).astype("float32")
        assert generator(x).shape == (2, scale * height, scale * width, 3)
    kinds = [type(layer).__name__ for layer in generator.layers]
    assert kinds.count("PixelShuffle") == scale // 2
    assert kinds.count("BatchNormalization") == 2 + 1  # none in the upsampling
    assert kinds.count("PReLU") == 1 + 1 + scale // 2


@pytest.mark.parametrize(("scale", "blocks"), [(4, 1), (4, 3), (2, 2)])
def test_the_halo_is_as_far_as_the_generator_looks(scale, blocks):
    model = small(scale=scale, blocks=blocks, stage="mse")
    side = 2 * model.halo + 5
    x = RANDOM.uniform(0, 1, (1, side, side, 3)).astype("float32")
    other = x.copy()
    middle = side // 2
    other[0, middle, middle] += 50
    changed = np.abs(model.generator(other) - model.generator(x))[0].max((1, 2)) > 0
    (rows,) = np.nonzero(changed)
    reach = max(middle - rows.min() // scale, rows.max() // scale - middle)
    assert reach == model.halo


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
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize("options", [{"stage": "gan"}, {"begin": "runs/x"}])
def test_stage_gan_and_begin_belong_together(options):
    with pytest.raises(UserError, match="--stage gan and --begin RUN"):
        _ = small(**options).plan


def test_the_course_of_the_stages():
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


def test_stage_2_goes_on_from_the_end_of_stage_1():
    plan = small(stage="gan", begin="runs/x").plan
    assert plan.initial_run == "runs/x" and small(stage="mse").plan.initial_run is None
    of_both = {"stage": "both", "pretrain_steps": 10}
    assert [plan.initial_step(of_both, newest) for newest in (7, 12)] == [7, 10]
    assert plan.initial_step(of_both | {"stage": "mse"}, 12) == 12  # prolonged


def stage_1(model, lr, hr):
    """Losses and gradients of stage 1."""
    return model.losses_and_gradients(lr, hr, objectives=model.resnet_objectives, only=["resnet"])


def log_sigmoid(logits):
    return -np.logaddexp(0, -np.asarray(logits, "float64"))


def test_losses_of_stage_2_are_the_papers(shared):
    lr, hr = batch()
    fake, sr = (np.asarray(each) for each in shared.combined(lr, training=True))
    real = shared.discriminator(hr, training=True)
    losses, _ = shared.losses_and_gradients(lr, hr)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["adversarial"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)
    assert float(losses["mse"]) == pytest.approx(np.square(hr - sr).mean(), rel=1e-5)
    assert float(losses["content"]) == pytest.approx(np.square(hr - sr).mean(), rel=1e-4)


def test_gradients_are_those_of_the_losses_alone(shared):
    """Against a plain tape: G by content and 1e-3 of what D says, D by its own loss."""
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
    for ours, loss, network in (
        (gradients["discriminator"], d_loss, shared.discriminator),
        (gradients["generator"], g_loss, shared.generator),
        (of_stage_1["resnet"], mse, shared.generator),
    ):
        variables = [v.value for v in network.trainable_variables]
        for one, plain in zip(ours, tape.gradient(loss, variables), strict=True):
            np.testing.assert_allclose(one, plain, rtol=1e-3, atol=1e-5)


def values(variables):
    return [v.numpy() for v in variables]


def moved(before, variables):
    return [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)
    ]


def test_stage_1_moves_the_generator_alone_and_stage_2_both(shared):
    shared.steps_done.assign(0)
    shared.make_train_function(force=True)
    for stage in (1, 1, 2):  # pretrain_steps is 2
        before = {name: values(net.variables) for name, net in shared.networks.items()}
        trainable = values(shared.generator.trainable_variables)
        losses = shared.train_function(iter([batch()]))
        assert all(moved(trainable, shared.generator.trainable_variables))
        assert any(moved(before["average_generator"], shared.average_generator.variables))
        of_d = moved(before["discriminator"], shared.discriminator.variables)
        assert any(of_d) if stage == 2 else not any(of_d)
        assert (float(losses["d_loss"]) > 0) == (stage == 2)
    assert all(
        moved(before["discriminator"], shared.discriminator.variables)[i]
        for i, v in enumerate(shared.discriminator.variables)
        if v.trainable
    )
    assert int(shared.steps_done) == 3


@pytest.mark.parametrize(
    ("update", "player"),
    [("resnet", "generator"), ("generator", "generator"), ("discriminator", "discriminator")],
)
def test_an_update_moves_only_its_own_player(shared, update, player):
    _, one = shared.losses_and_gradients(*batch())
    _, two = stage_1(shared, *batch())
    before = {name: values(shared.networks[name].variables) for name in shared.networks}
    shared.players[update].optimizer.apply((one | two)[update], shared.players[update].variables)
    for name in ("generator", "discriminator"):
        assert any(moved(before[name], shared.networks[name].variables)) == (name == player)


def test_it_learns_one_image():
    model = small(stage="mse", learning_rate=5e-3)
    model.make_train_function()
    hr = np.repeat(np.repeat(RANDOM.uniform(-1, 1, (1, 4, 4, 3)), 4, 1), 4, 2).astype("float32")
    one = (tf.constant((hr[:, ::4, ::4] + 1) / 2), tf.constant(hr))
    losses = [float(model.train_function(iter([one]))["mse"]) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
