"""DCGAN: the paper's networks, its losses in NumPy, and who moves in a step."""

from common.errors import UserError
from dcgan.dcgan import DCGAN

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def small(**options):
    keras.utils.set_random_seed(1)
    return DCGAN(**({"image_size": 16, "width": 4, "latent_size": 6, "dense_units": 0} | options))


@pytest.fixture(scope="module")
def shared():
    """A model that tests may read, and move where what they check does not depend on where."""
    return small(l2=0.0)


def batch(size=16, count=4, channels=1):
    x = RANDOM.uniform(-1, 1, (count, size, size, channels))
    return tf.constant(x, tf.float32), tf.zeros(count, tf.int32)


def count(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def next_noise(model, size=4):
    """The z of the model's next step, which the step draws nevertheless."""
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


def log_sigmoid(logits):
    return -np.logaddexp(0, -np.asarray(logits, "float64"))


def test_the_papers_networks():
    # Dense 1,638,400, transposed convolutions 13,107,200 + 3,276,800 + 819,200 + 9,600, and two
    # weights for each of 16,384 normalized units and 512 + 256 + 128 channels; none of it a bias.
    model = DCGAN(image_size=64, channels=3, width=128, outer_bias=False)
    assert count(model.generator) == 18_885_760
    assert count(model.discriminator) == 17_232_768
    assert model.generator.output.shape == (None, 64, 64, 3)
    assert model.discriminator.output.shape == (None, 1)
    kernels = [v for v in model.discriminator.trainable_variables if v.path.endswith("kernel")]
    assert [v.shape[-1] for v in kernels] == [128, 256, 512, 1024, 1]
    for kernel in kernels:
        assert np.std(kernel) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("width", "G", "D"), [(64, 846_273, 212_993), (32, 371_937, 55_297)])
def test_the_networks_for_digits(width, G, D):
    model = DCGAN(width=width, dense_units=0)
    assert (count(model.generator), count(model.discriminator)) == (G, D)


def test_a_dense_layer_for_digits_as_in_the_authors_code():
    # 102,400 + 2,048, 6,422,528 + 12,544, 204,800 + 128, 1,600 + 1
    model = DCGAN()
    assert (count(model.generator), count(model.discriminator)) == (6_746_049, 6_632_321)
    assert small(dense_units=5).generator.layers[1].units == 5


def test_normalised_is_all_but_what_is_next_to_the_image(shared):
    kinds = {
        name: [type(layer).__name__ for layer in network.layers[1:]]
        for name, network in shared.networks.items()
    }
    norm, up = ["BatchNormalization", "ReLU"], "Conv2DTranspose"
    assert kinds["generator"] == ["Dense", *norm, "Reshape", up, *norm, up, "Activation"]
    assert shared.generator.layers[-1].activation is keras.activations.tanh
    first, second = ["Conv2D", "LeakyReLU"], ["Conv2D", "BatchNormalization", "LeakyReLU"]
    assert kinds["discriminator"] == [*first, *second, "Flatten", "Dense", "Activation"]
    leaky = [layer for layer in shared.discriminator.layers if "leaky" in layer.name]
    assert [layer.negative_slope for layer in leaky] == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (20, 3), (48, 1), (64, 3)])
def test_other_sizes_and_colours(size, channels):
    model = small(image_size=size, channels=channels, width=2)
    images = model.sampler(np.zeros((2, 6), "float32"), training=False)
    assert images.shape == (2, size, size, channels)
    assert model.discriminator(images).shape == (2, 1)


@pytest.mark.parametrize("size", [0, 4, 30, 100])
def test_other_sides_are_refused_by_name(size):
    with pytest.raises(UserError, match=f"--image_size {size}: .*power of two"):
        DCGAN(image_size=size)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("latent_size", 0),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("l2", -1.0),
        ("dense_units", -1),
    ],
)
def test_impossible_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        small(**{option: value})


@pytest.mark.parametrize(("distribution", "low"), [("uniform", 0.9), ("normal", 2.0)])
def test_noise_is_of_the_asked_distribution(distribution, low):
    model = small(latent_distribution=distribution)
    largest = np.abs(next_noise(model, 500)).max()
    assert low < largest < (1 if distribution == "uniform" else 10)


def test_losses_are_the_papers(shared):
    """D's loss of a pass over the images and one over the fakes, each normalised by itself."""
    x, y = batch()
    fake = shared.discriminator(shared.generator(next_noise(shared), training=True), training=True)
    real = shared.discriminator(x, training=True)
    losses, _ = shared.losses_and_gradients(x, y)
    d_loss = -log_sigmoid(real).mean() - log_sigmoid(-np.asarray(fake)).mean()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)


def test_gradients_are_those_of_the_losses_alone(shared):
    """Against a plain tape over everything: D's loss differentiated by D, G's by G."""
    x, y = batch()
    z = next_noise(shared)
    bce = tf.nn.sigmoid_cross_entropy_with_logits
    with tf.GradientTape(persistent=True) as tape:
        fake = shared.discriminator(shared.generator(z, training=True), training=True)
        real = shared.discriminator(x, training=True)
        d_loss = tf.reduce_mean(bce(tf.ones_like(real), real))
        d_loss += tf.reduce_mean(bce(tf.zeros_like(fake), fake))
        g_loss = tf.reduce_mean(bce(tf.ones_like(fake), fake))
    _, gradients = shared.losses_and_gradients(x, y)
    for name, loss in (("discriminator", d_loss), ("generator", g_loss)):
        variables = [v.value for v in shared.networks[name].trainable_variables]
        for ours, plain in zip(gradients[name], tape.gradient(loss, variables), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-6)


def test_the_penalty_adds_l2_times_the_weight_to_a_gradient(shared):
    x, y = batch()
    state = shared.noise.state.numpy()
    _, without = shared.losses_and_gradients(x, y)
    shared.noise.state.assign(state)
    shared.l2 = 0.5
    try:
        _, gradients = shared.losses_and_gradients(x, y)
    finally:
        shared.l2 = 0.0
    for name, network in shared.networks.items():
        weights = network.trainable_variables
        for g, plain, w in zip(gradients[name], without[name], weights, strict=True):
            np.testing.assert_allclose(g, plain + 0.5 * w.numpy(), rtol=1e-3, atol=1e-6)


def test_one_step_moves_every_weight_of_both_players(shared):
    before = {name: values(net.trainable_variables) for name, net in shared.networks.items()}
    shared.train_step(batch())
    for name, network in shared.networks.items():
        assert all(moved(before[name], network.trainable_variables)), name


@pytest.mark.parametrize(
    ("player", "other"), [("generator", "discriminator"), ("discriminator", "generator")]
)
def test_an_update_moves_only_its_own_player(shared, player, other):
    _, gradients = shared.losses_and_gradients(*batch())
    own, others = (shared.networks[name].variables for name in (player, other))
    before_own, before_others = values(own), values(others)
    update = shared.players[player]
    update.optimizer.apply(gradients[player], update.variables)
    assert any(moved(before_own, own))
    assert not any(moved(before_others, others))


def test_every_step_has_noise_of_its_own_which_a_checkpoint_keeps(shared):
    first = next_noise(shared)
    shared.losses_and_gradients(*batch())
    assert np.abs(first - next_noise(shared)).max() > 0.1
    assert any(v is shared.noise.state for v in shared.state()["model"])


def test_a_sample_depends_on_its_z_alone(shared):
    shared.losses_and_gradients(*batch())  # the moving statistics are not the initial ones
    z = shared.latent.of_seed(3, 5)
    before = values(shared.variables)
    together = shared.sampler(z, training=False)
    alone = shared.sampler(z[2:3], training=False)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
    assert np.abs(together).max() <= 1
    assert np.abs(together[0] - together[1]).max() > 1e-4
    assert not any(moved(before, shared.variables))


def test_it_learns_a_image():
    """Where all images are one, the generator's come to be that one."""
    model = small(image_size=8, width=8, learning_rate=2e-3)
    model.compile(jit="off")
    model.make_train_function()
    x = np.where(np.arange(8) < 4, -0.8, 0.8) * np.ones((16, 8, 1))
    data = tf.data.Dataset.from_tensors((tf.constant(x[..., None], tf.float32), tf.zeros(16)))
    steps = iter(data.repeat())
    z = model.latent.of_seed(0, 16)

    def distance():
        return np.abs(model.sampler(z, training=False) - x[:1, ..., None]).mean()

    first = distance()
    for _ in range(300):
        model.train_function(steps)
    assert distance() < first / 3


def test_features_are_what_convolutions_see_pooled(shared):
    x, _ = batch()
    seen = []
    network = shared.discriminator
    maps = [each.output for each in network.layers if "leaky" in each.name]
    for h in keras.Model(network.inputs, maps).predict(x, verbose=0):  # 8x8, 4x4 pixels or so
        side = h.shape[1]
        pooled = h.reshape(4, 4, side // 4, 4, side // 4, -1).max(axis=(2, 4))
        seen.append(pooled.reshape(4, -1))
    np.testing.assert_allclose(shared.features(x), np.concatenate(seen, axis=1), atol=1e-6)


def test_as_many_features_as_in_the_paper():
    model = small(image_size=32, channels=3, width=256)
    x = keras.Input((32, 32, 3))
    assert keras.Model(x, keras.layers.Lambda(model.features)(x)).output_shape == (None, 28_672)
