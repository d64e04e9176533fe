"""WGAN: the published networks, when G is updated, what is clipped, the sign of the estimate."""

from common.errors import UserError
from common.nn.optimizers import rmsprop
from tests.helpers.models import (
    assert_close,
    assert_gradients,
    assign,
    changed,
    changed_networks,
    count_weights,
    fixed_latent,
    next_noise,
    random_batch,
    state_variables,
    values,
    weight_counts,
)
from wgan.wgan import WGAN

import keras
import numpy as np
import pytest
import tensorflow as tf


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 0}
    return WGAN(**(sizes | {"n_critic": 2, "warm_up": 3, "ema": 0.5} | options))


@pytest.fixture(scope="module")
def shared():
    """A model whose weights tests may change, as none depends on their values."""
    model = small()
    model.compile(jit="off")
    model.make_train_function()
    return model


def step(model):
    """Losses of one compiled step."""
    return {k: float(v) for k, v in model.train_function(iter([random_batch()])).items()}


def set_steps(model, generator_steps, critic_steps=0):
    """Sets the number of G's updates, and of the critic's since the last one."""
    model.g_steps.assign(generator_steps)
    model.d_steps.assign(critic_steps)


def d_gradients(model):
    """What an update of the critic logs, and its gradients."""
    return model.losses_and_gradients(
        *random_batch(), objectives=model.d_objectives, only=["discriminator"]
    )


def g_gradients(model):
    """What an update of the generator logs, and its gradients."""
    return model.losses_and_gradients(
        *random_batch(), objectives=model.g_objectives, only=["generator"]
    )


@pytest.mark.parametrize(
    ("size", "channels", "G", "critic"),
    [(64, 3, 3_576_704, 2_765_568), (32, 1, 1_066_880, 661_248)],
)
def test_the_published_networks(size, channels, G, critic):
    model = WGAN(image_size=size, channels=channels)
    assert weight_counts(model) == {"generator": G, "discriminator": critic}
    assert model.generator.output.shape == (None, size, size, channels)


def test_networks_for_28x28_digits():
    # G: 7x7x128 from z, 128 to 64 to 1 channels. Critic: 1 to 64 to 128, a score from 7x7x128.
    model = WGAN(dense_units=0)
    assert count_weights(model.generator) == 100 * 6272 + 2 * 128 + 16 * 128 * 64 + 2 * 64 + 16 * 64
    assert count_weights(model.discriminator) == 16 * 64 + 16 * 64 * 128 + 2 * 128 + 6272
    assert model.discriminator.output.shape == (None, 1)


def test_a_hidden_dense_layer_in_each_network():
    # G: 100 to 10 (normalized) to 7x7x128. Critic: 7x7x128 to 10 (normalized) to a score.
    model, plain = WGAN(dense_units=10), WGAN(dense_units=0)
    more = count_weights(model.generator) - count_weights(plain.generator)
    assert more == 100 * 10 + 2 * 10 + (10 - 100) * 6272
    assert (
        count_weights(model.discriminator) - count_weights(plain.discriminator)
        == 6272 * 10 + 2 * 10 + 10 - 6272
    )


def test_the_critic_ends_in_a_linear_score_and_normalizes_inner_layers_only(shared):
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
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


def test_rmsprop_updates_as_torchs():
    """s = 0.99 s + 0.01 g^2, w -= lr g / (sqrt(s) + 1e-8), for small g too."""
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
    ("generator_steps", "due"),
    [(0, 3), (24, 3), (25, 2), (499, 2), (500, 3), (501, 2), (1000, 3)],
)
def test_more_critic_updates_are_due_at_first_and_at_every_500th(shared, generator_steps, due):
    set_steps(shared, generator_steps)
    assert int(shared.d_updates()) == due


def test_the_generator_is_updated_when_the_critics_updates_are_done(shared):
    set_steps(shared, 23)
    updates = []
    for _ in range(3 + 3 + 2 + 2):
        before = values(shared.generator.trainable_variables), values(shared.clipped)
        step(shared)
        of_generator = changed(before[0], shared.generator.trainable_variables)
        assert all(of_generator) or not any(of_generator)
        assert any(changed(before[1], shared.clipped))  # the critic, in every step
        updates.append(all(of_generator))
    assert updates == [False, False, True] * 2 + [False, True] * 2
    assert int(shared.g_steps) == 27 and int(shared.d_steps) == 0


def test_the_average_is_updated_only_with_the_generator(shared):
    set_steps(shared, 25)
    shared.averages["generator"].count.assign(0)  # the decay is warmed up from 1/10
    average = shared.average_generator.trainable_variables
    before = values(average)
    step(shared)
    assert not any(changed(before, average))
    step(shared)
    weights = shared.generator.trainable_variables
    for old, new, weight in zip(before, average, weights, strict=True):
        np.testing.assert_allclose(new, 0.1 * old + 0.9 * weight.numpy(), atol=1e-6)


def test_each_update_draws_fresh_noise(shared):
    """The second number of a Keras seed counts the draws: one for the critic, one for G."""
    set_steps(shared, 25)
    draws = [int(shared.noise.state[1])]
    for _ in range(2):
        step(shared)
        draws.append(int(shared.noise.state[1]))
    assert np.diff(draws).tolist() == [1, 2]


def clipped_from_one_half(**options):
    """Critic and generator after an update of the critic that only clips: all were 0.5 before."""
    model = small(ema=0.0, **options)
    for weight in model.discriminator.variables + model.generator.variables:
        weight.assign(np.full(weight.shape, 0.5, "float32"))
    weights = model.discriminator.trainable_variables
    model._apply_gradients({"discriminator": [keras.ops.zeros(weight.shape) for weight in weights]})
    return model.discriminator, model.generator


def test_all_weights_of_the_critic_are_clipped_and_no_other_variables():
    critic, generator = clipped_from_one_half()
    for weight in critic.trainable_variables:
        assert (weight.numpy() == np.float32(0.01)).all()
    for other in critic.non_trainable_variables + generator.variables:
        assert (other.numpy() == 0.5).all()


def test_gains_and_offsets_are_not_clipped_without_clip_normalization():
    critic, _ = clipped_from_one_half(clip_normalization=False)
    for weight in critic.trainable_variables:
        clipped = (weight.numpy() == np.float32(0.01)).all()
        assert clipped == ("kernel" in weight.path)


def test_biases_are_clipped_with_the_kernels():
    model = small(ema=0.0, clip_normalization=False)
    x = keras.Input((4,))
    model.discriminator = keras.Model(x, keras.layers.Dense(1)(x))
    assert [v.path.split("/")[-1] for v in model.clipped] == ["kernel", "bias"]


def test_losses_and_gradients_match_the_papers_equations():
    """Compared with one tape that records everything; real images score high."""
    fresh = small()  # not clipped yet: a clipped critic's gradients are as small as rounding errors
    z = next_noise(fresh)
    with tf.GradientTape(persistent=True) as tape:
        fake = tf.reduce_mean(fresh.discriminator(fresh.generator(z, training=True), training=True))
        real = tf.reduce_mean(fresh.discriminator(random_batch()[0], training=True))
        losses = {"discriminator": fake - real, "generator": -fake}
    state = fresh.noise.state.numpy()
    d_logs, of_critic = d_gradients(fresh)
    fresh.noise.state.assign(state)
    g_logs, of_generator = g_gradients(fresh)
    assert float(d_logs["wasserstein"]) == pytest.approx(float(real - fake), abs=1e-6)
    assert float(d_logs["g_loss"]) == pytest.approx(-float(fake), abs=1e-6)
    assert float(g_logs["g_loss"]) == pytest.approx(-float(fake), abs=1e-6)
    assert_gradients(fresh, of_critic | of_generator, tape, losses)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_an_update_changes_only_its_own_player(shared, player):
    gradients = d_gradients(shared)[1] | g_gradients(shared)[1]
    networks = changed_networks(shared, lambda: shared._apply({player: gradients[player]}))
    assert networks - {"average_generator"} == {player}


def test_the_estimate_is_positive_and_grows_as_the_critic_learns():
    model = small(warm_up=1000, width=8)
    model.compile(jit="off")
    model.make_train_function()
    x = np.sign(np.arange(16) - 7.5) * np.ones((16, 16, 1)) * 0.8  # dark left, bright right
    noisy = x[..., None] + np.random.default_rng(0).uniform(-0.2, 0.2, (16, 16, 16, 1))
    data = iter(
        tf.data.Dataset.from_tensors(
            (tf.constant(noisy, tf.float32), tf.zeros(16, tf.int32))
        ).repeat()
    )
    estimates = [float(model.train_function(data)["wasserstein"]) for _ in range(40)]
    assert min(estimates[10:]) > 0
    assert np.mean(estimates[-5:]) > 1.5 * np.mean(estimates[5:10])


def test_training_from_a_restored_state_is_bit_exact(shared):
    """Between two updates of G too: the counts of updates are part of the state."""
    set_steps(shared, 25)
    step(shared)
    variables = state_variables(shared)
    for part in (shared.g_steps, shared.d_steps, shared.noise.state):
        assert any(v is part for v in variables)
    before, batches = values(variables), [random_batch(seed=seed) for seed in range(3)]
    ends = []
    for _ in range(2):
        assign(variables, before)
        for batch in batches:
            shared.train_function(iter([batch]))
        ends.append(values(variables))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sample_depends_on_its_z_alone(shared):
    z = shared.latent.of_seed(3, 5)
    before = values(shared.variables)
    together = shared.sampler(z, training=False)
    np.testing.assert_allclose(together[2:3], shared.sampler(z[2:3], training=False), atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-4
    assert not any(changed(before, shared.variables))


def test_xla_computes_what_the_plain_graph_computes(shared, monkeypatch):
    """In a step that updates G: XLA compiles the condition around its update."""
    monkeypatch.setattr(shared, "latent", fixed_latent(next_noise(shared)))
    variables = state_variables(shared)
    before = values(variables)

    def gradients_and_step():
        return d_gradients(shared), g_gradients(shared), shared.train_step(random_batch())

    results = []
    for jit in (True, False):
        assign(variables, before)
        set_steps(shared, 25, critic_steps=1)
        results.append(tf.function(gradients_and_step, autograph=False, jit_compile=jit)())
        assert int(shared.g_steps) == 26 and int(shared.d_steps) == 0
        assert any(changed(before, variables))
    assert_close(*results)
