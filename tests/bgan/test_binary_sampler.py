"""BGAN's sampler: pixels drawn as a function of the noise, with no weights of its own."""

from bgan.bgan import BGAN
from common.images.grid import square_grid
from common.images.image_file import to_uint8
from common.tasks.binary_pixels import BinaryPixels
from common.tasks.generation import Generation
from common.training import checkpoint

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, ndtri

RANDOM = np.random.default_rng(0)


def small(**options):
    keras.utils.set_random_seed(1)
    return BGAN(**({"image_size": 8, "width": 4, "latent_size": 6, "samples": 5} | options))


@pytest.fixture(scope="module")
def discrete():
    """A model whose moving statistics are not the initial ones."""
    model = small()
    model.losses_and_gradients(*batch())
    return model


def batch():
    return tf.constant(RANDOM.uniform(-1, 1, (4, 8, 8, 1)), tf.float32), tf.zeros(4, tf.int32)


def test_samples_are_black_and_white_and_a_function_of_their_own_noise(discrete):
    noise = discrete.latent.of_seed(3, 5)
    assert noise.shape == (5, 6 + 64)
    before = [v.numpy() for v in discrete.variables]
    together = np.asarray(discrete.sampler(noise, training=False))
    assert set(np.unique(together)) == {-1.0, 1.0}
    np.testing.assert_array_equal(together, discrete.sampler(noise, training=False))
    np.testing.assert_array_equal(together[2:3], discrete.sampler(noise[2:3], training=False))
    for old, variable in zip(before, discrete.variables, strict=True):
        np.testing.assert_array_equal(old, variable)


def test_a_sample_grid_shows_the_probabilities_beside(discrete):
    shades = discrete.probabilities
    noise = discrete.latent.of_seed(3, 5).numpy()
    g = np.asarray(discrete.generator(noise[:, :6], training=False))
    np.testing.assert_allclose(shades(noise, training=False), 2 * expit(g) - 1, atol=1e-5)
    task = Generation(BGAN, [BinaryPixels])
    grid = task.sample_grid(discrete, None)()
    assert grid.shape == (82, 164, 1)
    noise = discrete.latent.of_seed(0, 64)
    drawn, probable = (
        square_grid(to_uint8(network(noise, training=False)))
        for network in (discrete.sampler, shades)
    )
    np.testing.assert_array_equal(grid[:, :82], drawn)
    assert np.abs(grid[:, 82:].astype(int) - probable).max() <= 1
    assert task.sample_grid(small(objective="continuous"), None)().shape == (82, 82, 1)


def test_samples_are_bernoulli_with_the_generators_logits(discrete):
    """A pixel is 1 where its noise is below the quantile of its probability, and so as often."""
    noise = discrete.latent.of_seed(1, 4000).numpy()
    noise[:, :6] = noise[0, :6]
    last = discrete.generator.layers[-2]
    kernel, bias = last.get_weights()
    plain = np.asarray(discrete.generator(noise[:1, :6], training=False))
    last.set_weights([3 / plain.std() * kernel, bias])  # of a new network all logits are near 0
    g = np.asarray(discrete.generator(noise[:1, :6], training=False))[0]
    drawn = np.asarray(discrete.sampler(noise, training=False)) > 0
    last.set_weights([kernel, bias])
    np.testing.assert_array_equal(drawn, noise[:, 6:].reshape(drawn.shape) < ndtri(expit(g)))
    deviation = np.sqrt(expit(g) * expit(-g) / len(drawn))
    assert (np.abs(drawn.mean(0) - expit(g)) < 4.5 * deviation).all()


def test_the_sampler_has_no_weights_of_its_own_and_follows_the_average(tmp_path):
    model = small(ema=0.5, learning_rate=0.1)
    model.compile(jit="off")
    groups = model.state()
    assert set(groups) >= {"generator", "discriminator", "average_generator", "model"}
    variables = [id(v) for name in groups for v in groups[name]]
    assert len(variables) == len(set(variables))
    assert {id(v) for v in groups["model"]} == {id(model.noise.state), id(model.averaged)}
    assert model.networks["average_generator"] is model.sampling_network
    assert {id(v) for v in model.sampler.variables} == {
        id(v) for v in model.average_generator.variables
    }
    noise = model.latent.of_seed(0, 8)
    for _ in range(3):
        model.train_step(batch())
    expected = np.asarray(model.sampler(noise, training=False))
    path = checkpoint.save(tmp_path, 3, model)
    fresh = small(ema=0.5, learning_rate=0.1)
    assert (np.asarray(fresh.sampler(noise, training=False)) != expected).any()
    checkpoint.load(path, fresh, ["average_generator"])
    np.testing.assert_array_equal(fresh.sampler(noise, training=False), expected)


def test_the_continuous_sampler_is_the_generator():
    continuous = small(objective="continuous")
    assert continuous.sampler is continuous.generator
    assert continuous.latent == continuous.prior
    x = np.asarray(continuous.sampler(continuous.latent.of_seed(0, 3), training=False))
    assert len(np.unique(x)) > 100
