"""WGAN: the published networks, whose turn it is, what is clipped, and the estimate's sign."""

from types import SimpleNamespace

from common.errors import UserError
from common.nn.optimizers import rmsprop
from wgan.wgan import WGAN

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 0}
    return WGAN(**(sizes | {"n_critic": 2, "warm_up": 3, "ema": 0.5} | options))


@pytest.fixture(scope="module")
def shared():
    """A model that tests may move where what they check does not depend on where it is."""
    model = small()
    model.compile(jit="off")
    model.make_train_function()
    return model


def batch(size=16, count=4, channels=1):
    x = RANDOM.uniform(-1, 1, (count, size, size, channels))
    return tf.constant(x, tf.float32), tf.zeros(count, tf.int32)


def step(model):
    """One compiled step; its losses as numbers."""
    return {k: float(v) for k, v in model.train_function(iter([batch()])).items()}


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def set_turn(model, generator_steps, critic_steps=0):
    model.g_steps.assign(generator_steps)
    model.d_steps.assign(critic_steps)


def d_gradients(model, x):
    """What an update of the critic logs, and its gradients."""
    labels = tf.zeros(x.shape[0], tf.int32)
    return model.losses_and_gradients(
        x, labels, objectives=model.d_objectives, only=["discriminator"]
    )


def g_gradients(model, count=4):
    """What an update of the generator logs, and its gradients."""
    x, labels = batch(count=count)
    return model.losses_and_gradients(x, labels, objectives=model.g_objectives, only=["generator"])


def next_noise(model, size=4):
    """The z of the model's next draw, which it draws nevertheless."""
    state = model.noise.state.numpy()
    z = model.latent.draw(size, model.noise)
    model.noise.state.assign(state)
    return z


def values(variables):
    return [v.numpy() for v in variables]


def moved(before, variables):
    return [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)
    ]


@pytest.mark.parametrize(
    ("size", "channels", "G", "critic"),
    [(64, 3, 3_576_704, 2_765_568), (32, 1, 1_066_880, 661_248)],
)
def test_the_published_networks(size, channels, G, critic):
    model = WGAN(image_size=size, channels=channels)
    assert (count(model.generator), count(model.discriminator)) == (G, critic)
    assert model.generator.output.shape == (None, size, size, channels)


def test_digits_as_they_are():
    # G: 7x7x128 from z, 128 to 64 to 1 channels; critic: 1 to 64 to 128, one score of 7x7x128.
    model = WGAN(dense_units=0)
    assert count(model.generator) == 100 * 6272 + 2 * 128 + 16 * 128 * 64 + 2 * 64 + 16 * 64
    assert count(model.discriminator) == 16 * 64 + 16 * 64 * 128 + 2 * 128 + 6272
    assert model.discriminator.output.shape == (None, 1)


def test_a_hidden_dense_layer_in_each_player():
    # 100 to 10 (normalised) to 7x7x128; 7x7x128 to 10 (normalised) to a score
    model, plain = WGAN(dense_units=10), WGAN(dense_units=0)
    more = count(model.generator) - count(plain.generator)
    assert more == 100 * 10 + 2 * 10 + (10 - 100) * 6272
    assert count(model.discriminator) - count(plain.discriminator) == 6272 * 10 + 2 * 10 + 10 - 6272


def test_the_critic_is_linear_and_normalised_but_at_its_ends(shared):
    kinds = [type(layer).__name__ for layer in shared.discriminator.layers[1:]]
    first, second = ["Conv2D", "LeakyReLU"], ["Conv2D", "BatchNormalization", "LeakyReLU"]
    assert kinds == [*first, *second, "Flatten", "Dense", "Activation"]
    assert shared.discriminator.layers[-1].activation is keras.activations.linear
    assert shared.discriminator.layers[-2].activation is keras.activations.linear


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image_size", 30),
        ("width", 0),
        ("latent_size", 0),
        ("dense_units", -1),
        ("n_critic", 0),
        ("warm_up", 0),
        ("clip", 0.0),
        ("learning_rate", 0.0),
    ],
)
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


def test_rmsprop_is_torchs():
    """s = 0.99 s + 0.01 g^2, w -= lr g / (sqrt(s) + 1e-8), also where g is small."""
    optimizer, w = rmsprop(0.1), keras.Variable(np.zeros(3, "float32"))
    expected, s = np.zeros(3), np.zeros(3)
    random = np.random.default_rng(4)
    for _ in range(3):
        g = random.normal(size=3) * [1, 1e-3, 1e-6]
        s = 0.99 * s + 0.01 * g**2
        expected -= 0.1 * g / (np.sqrt(s) + 1e-8)
        optimizer.apply([tf.constant(g, tf.float32)], [w])
    np.testing.assert_allclose(w.numpy(), expected, rtol=0.1)
    np.testing.assert_allclose(w.numpy()[:2], expected[:2], rtol=1e-3)


@pytest.mark.parametrize(
    ("generator_steps", "share"),
    [(0, 3), (24, 3), (25, 2), (499, 2), (500, 3), (501, 2), (1000, 3)],
)
def test_the_critics_share_is_larger_at_first_and_at_every_500th(shared, generator_steps, share):
    set_turn(shared, generator_steps)
    assert int(shared.due()) == share


def test_the_generator_moves_after_the_critics_share_and_not_before(shared):
    set_turn(shared, 23)
    turns = []
    for _ in range(3 + 3 + 2 + 2):
        before = values(shared.generator.trainable_variables), values(shared.clipped)
        step(shared)
        changes = moved(before[0], shared.generator.trainable_variables)
        assert all(changes) or not any(changes)
        assert any(moved(before[1], shared.clipped))  # the critic moves in every step
        turns.append(all(changes))
    assert turns == [False, False, True] * 2 + [False, True] * 2
    assert int(shared.g_steps) == 27 and int(shared.d_steps) == 0


def test_the_average_follows_only_when_the_generator_moves(shared):
    set_turn(shared, 25)
    n = int(shared.averaged)
    decay = min(0.5, (1 + n) / (10 + n))
    average = shared.average_generator.trainable_variables
    before = values(average)
    step(shared)
    assert not any(moved(before, average))
    step(shared)
    weights = shared.generator.trainable_variables
    for old, new, weight in zip(before, average, weights, strict=True):
        expected = decay * old + (1 - decay) * weight.numpy()
        np.testing.assert_allclose(new, expected, atol=1e-6)


def test_every_move_has_noise_of_its_own(shared):
    """The second number of a Keras seed counts the draws: one for the critic, one for G."""
    set_turn(shared, 25)
    draws = [int(shared.noise.state[1])]
    for _ in range(2):
        step(shared)
        draws.append(int(shared.noise.state[1]))
    assert np.diff(draws).tolist() == [1, 2]


def clipped_from_one_half(**options):
    """Critic and generator whose weights were all 0.5 before one step of the critic."""
    model = small(ema=0.0, **options)
    for weight in model.discriminator.variables + model.generator.variables:
        weight.assign(np.full(weight.shape, 0.5, "float32"))
    weights = model.discriminator.trainable_variables
    model._apply_gradients({"discriminator": [keras.ops.zeros(weight.shape) for weight in weights]})
    return model.discriminator, model.generator


def test_every_weight_of_the_critic_is_clipped_and_nothing_else():
    critic, generator = clipped_from_one_half()
    for weight in critic.trainable_variables:
        assert (weight.numpy() == np.float32(0.01)).all()
    for other in critic.non_trainable_variables + generator.variables:
        assert (other.numpy() == 0.5).all()


def test_of_the_normalisation_nothing_is_clipped_where_asked():
    critic, _ = clipped_from_one_half(clip_normalization=False)
    for weight in critic.trainable_variables:
        within = (weight.numpy() == np.float32(0.01)).all()
        assert within == ("kernel" in weight.path)


def test_biases_would_be_clipped():
    model = small(ema=0.0, clip_normalization=False)
    x = keras.Input((4,))
    model.discriminator = keras.Model(x, keras.layers.Dense(1)(x))
    assert [v.path.split("/")[-1] for v in model.clipped] == ["kernel", "bias"]


def test_losses_and_gradients_are_the_papers():
    """Against a plain tape over everything, images scored high and fakes low."""
    fresh = small()  # unclipped: one that is clipped has gradients as small as float32's noise
    x, _ = batch()
    z = next_noise(fresh)
    with tf.GradientTape(persistent=True) as tape:
        fake = tf.reduce_mean(fresh.discriminator(fresh.generator(z, training=True), training=True))
        estimate = tf.reduce_mean(fresh.discriminator(x, training=True)) - fake
        losses = {"discriminator": -estimate, "generator": -fake}
    state = fresh.noise.state.numpy()
    logged, of_critic = d_gradients(fresh, x)
    fresh.noise.state.assign(state)
    of_g, of_generator = g_gradients(fresh)
    assert float(logged["wasserstein"]) == pytest.approx(float(estimate), abs=1e-6)
    assert float(logged["g_loss"]) == pytest.approx(-float(fake), abs=1e-6)
    assert float(of_g["g_loss"]) == pytest.approx(-float(fake), abs=1e-6)
    for name, ours in (of_critic | of_generator).items():
        variables = [v.value for v in fresh.networks[name].trainable_variables]
        for g, plain in zip(ours, tape.gradient(losses[name], variables), strict=True):
            np.testing.assert_allclose(g, plain, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("player", "other"), [("generator", "discriminator"), ("discriminator", "generator")]
)
def test_an_update_moves_only_its_own_player(shared, player, other):
    networks = shared.networks
    gradients = d_gradients(shared, batch()[0])[1] | g_gradients(shared)[1]
    before = values(networks[player].variables), values(networks[other].variables)
    shared._apply({player: gradients[player]})
    assert any(moved(before[0], networks[player].variables))
    assert not any(moved(before[1], networks[other].variables))


def test_the_estimate_grows_positive_as_the_critic_learns():
    model = small(warm_up=1000, width=8)
    model.compile(jit="off")
    model.make_train_function()
    x = np.sign(np.arange(16) - 7.5) * np.ones((16, 16, 1)) * 0.8  # dark left, bright right
    noisy = x[..., None] + RANDOM.uniform(-0.2, 0.2, (16, 16, 16, 1))
    data = iter(
        tf.data.Dataset.from_tensors(
            (tf.constant(noisy, tf.float32), tf.zeros(16, tf.int32))
        ).repeat()
    )
    estimates = [float(model.train_function(data)["wasserstein"]) for _ in range(40)]
    assert min(estimates[10:]) > 0
    assert np.mean(estimates[-5:]) > 1.5 * np.mean(estimates[5:10])


def test_a_run_goes_on_bit_for_bit_from_its_state(shared):
    """Also in the middle of a share: whose turn it is, is part of the state."""
    set_turn(shared, 25)
    step(shared)
    variables = [v for group in shared.state().values() for v in group]
    for wanted in (shared.g_steps, shared.d_steps, shared.noise.state):
        assert any(v is wanted for v in variables)
    before, batches = values(variables), [batch() for _ in range(3)]
    ends = []
    for _ in range(2):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        for one in batches:
            shared.train_function(iter([one]))
        ends.append(values(variables))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sample_depends_on_its_z_alone(shared):
    z = shared.latent.of_seed(3, 5)
    before = values(shared.variables)
    together = shared.sampler(z, training=False)
    np.testing.assert_allclose(together[2:3], shared.sampler(z[2:3], training=False), atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-4
    assert not any(moved(before, shared.variables))


def test_xla_gives_what_the_plain_graph_gives(shared, monkeypatch):
    """The whole step, generator included: XLA compiles the condition around its move."""
    x, y = batch()
    z = next_noise(shared)  # a seed's noise is another under XLA
    monkeypatch.setattr(shared, "latent", SimpleNamespace(draw=lambda count, generator: z))
    variables = [v for group in shared.state().values() for v in group]
    before = values(variables)

    def whole():
        return d_gradients(shared, x), g_gradients(shared), shared.train_step((x, y))

    results = []
    for jit in (True, False):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        set_turn(shared, 25, critic_steps=1)
        results.append(tf.nest.flatten(tf.function(whole, autograph=False, jit_compile=jit)()))
        assert int(shared.g_steps) == 26 and int(shared.d_steps) == 0
        assert any(moved(before, variables))
    for compiled, plain in zip(*results, strict=True):
        tolerance = 1e-4 * np.abs(plain).max()
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=tolerance)
