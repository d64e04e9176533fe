"""BGAN's sampler: binary pixels as a function of the noise, without weights of its own."""

from bgan.bgan import BGAN
from common.images.grid import square_grid
from common.images.image_file import to_uint8
from common.tasks.binary_pixels import BinaryPixels
from common.tasks.generation import Generation
from common.training import checkpoint
from tests.helpers.models import changed, random_batch, values

import keras
import numpy as np
import pytest
from scipy.special import expit, ndtri


def small(**options):
    keras.utils.set_random_seed(1)
    return BGAN(**({"image_size": 8, "width": 4, "latent_size": 6, "samples": 5} | options))


@pytest.fixture(scope="module")
def discrete():
    """A model with updated moving statistics."""
    model = small()
    model.losses_and_gradients(*random_batch(8))
    return model


def test_samples_are_binary_and_depend_on_their_own_noise_alone(discrete):
    noise = discrete.latent.of_seed(3, 5)
    assert noise.shape == (5, 6 + 64)
    before = values(discrete.variables)
    together = np.asarray(discrete.sampler(noise, training=False))
    assert set(np.unique(together)) == {-1.0, 1.0}
    np.testing.assert_array_equal(together, discrete.sampler(noise, training=False))
    np.testing.assert_array_equal(together[2:3], discrete.sampler(noise[2:3], training=False))
    assert not any(changed(before, discrete.variables))


def test_sample_grids_show_the_probabilities_beside_the_samples(discrete):
    shades = discrete.probabilities
    noise = discrete.latent.of_seed(3, 5).numpy()
    g = np.asarray(discrete.generator(noise[:, :6], training=False))
    np.testing.assert_allclose(shades(noise, training=False), 2 * expit(g) - 1, atol=1e-5)
    task = Generation(BGAN, [BinaryPixels])
    grid = task.sample_grid(discrete, None)()
    noise = discrete.latent.of_seed(0, 64)
    samples, probabilities = (
        square_grid(to_uint8(network(noise, training=False)))
        for network in (discrete.sampler, shades)
    )
    below = grid[-82:]  # the titles
    np.testing.assert_array_equal(below[:, :82], samples)
    assert np.abs(below[:, 82:164].astype(int) - probabilities).max() <= 1
    assert task.sample_grid(small(objective="continuous"), None)().shape == (82, 82, 1)


def test_samples_are_bernoulli_with_the_generators_logits(discrete):
    """A pixel is 1 where its noise is below the normal quantile of its probability."""
    noise = discrete.latent.of_seed(1, 4000).numpy()
    noise[:, :6] = noise[0, :6]
    last = discrete.generator.layers[-2]
    kernel, bias = last.get_weights()
    plain = np.asarray(discrete.generator(noise[:1, :6], training=False))
    last.set_weights([3 / plain.std() * kernel, bias])  # a new network's are near 0
    g = np.asarray(discrete.generator(noise[:1, :6], training=False))[0]
    pixels = np.asarray(discrete.sampler(noise, training=False)) > 0
    last.set_weights([kernel, bias])
    np.testing.assert_array_equal(pixels, noise[:, 6:].reshape(pixels.shape) < ndtri(expit(g)))
    deviation = np.sqrt(expit(g) * expit(-g) / len(pixels))
    assert (np.abs(pixels.mean(0) - expit(g)) < 4.5 * deviation).all()


def test_the_sampler_has_the_average_generators_weights_and_no_others(tmp_path):
    model = small(ema=0.5, learning_rate=0.1)
    model.compile(jit="off")
    groups = model.state()
    assert set(groups) >= {"generator", "discriminator", "average_generator", "model"}
    variables = [id(v) for name in groups for v in groups[name]]
    assert len(variables) == len(set(variables))
    count = model.averages["generator"].count
    assert {id(v) for v in groups["model"]} == {id(model.noise.state), id(count)}
    assert model.networks["average_generator"] is model.sampling_network
    assert {id(v) for v in model.sampler.variables} == {
        id(v) for v in model.average_generator.variables
    }
    noise = model.latent.of_seed(0, 8)
    for _ in range(3):
        model.train_step(random_batch(8))
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
