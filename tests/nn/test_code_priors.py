"""Code priors, compared with their closed forms."""

from common.nn.code_priors import PRIORS, gaussian, mixture, swiss_roll, uniform
from common.nn.latent import Latent

import keras
import numpy as np
import pytest
from scipy import stats

COUNT = 40_000


def noise(size):
    return np.random.default_rng(0).normal(size=(COUNT, size)).astype("float32")


def test_uniform_is_the_normal_cdf():
    z = np.linspace(-7, 7, 400, dtype="float32")
    np.testing.assert_allclose(uniform(z), stats.norm.cdf(z), atol=1e-6)


def test_gaussian_is_the_noise():
    z = noise(3)
    np.testing.assert_array_equal(gaussian(z), z)


def test_mixture_has_ten_equal_petals():
    code = np.asarray(mixture(noise(3)))
    assert code.shape == (COUNT, 2)
    angle = np.arctan2(code[:, 1], code[:, 0])
    petal = np.rint(angle / (2 * np.pi / 10)).astype(int) % 10
    shares = np.bincount(petal, minlength=10) / COUNT
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
    for number in range(10):  # rotated so that its radius is along the first axis
        turn = 2 * np.pi / 10 * number
        back = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        own = code[petal == number] @ np.array(back)
        np.testing.assert_allclose(own.mean(0), [2, 0], atol=0.05)
        np.testing.assert_allclose(own.std(0), [0.5, 0.2], atol=0.04)


def test_mixture_of_extreme_noise():
    extreme = np.array([[-9, 0, 0], [9, 0, 0], [0.01, 0, 0]], "float32")
    last = [np.cos(-2 * np.pi / 10), np.sin(-2 * np.pi / 10)]
    np.testing.assert_allclose(mixture(extreme), 2 * np.array([[1, 0], last, [-1, 0]]), atol=1e-5)


def test_swiss_roll_is_a_spiral_of_even_density():
    z = noise(2)
    thin = np.asarray(swiss_roll(np.stack([z[:, 0], 0 * z[:, 0]], 1)))
    radius = np.linalg.norm(thin, axis=1)
    turn = radius * 4 * np.pi / 3  # on a spiral the angle is proportional to the radius
    on_it = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    np.testing.assert_allclose(thin, on_it, atol=1e-3)
    # Length grows nearly as the square of the radius, so radius^2 / 9 is uniform.
    assert stats.kstest(radius**2 / 9, "uniform").statistic < 0.01
    thickness = np.linalg.norm(np.asarray(swiss_roll(z)) - thin, axis=1)
    np.testing.assert_allclose(np.sqrt((thickness**2).mean()), 0.1, atol=0.005)


@pytest.mark.parametrize("name", list(PRIORS))
def test_sizes_and_keras_tensors(name):
    prior = PRIORS[name]
    size = prior.code_size or 5
    latent = Latent(size + prior.extra)
    z = keras.Input((latent.size,))
    network = keras.Model(z, 1.0 * prior.code_of(z))
    assert network.output_shape == (None, size)
    drawn = latent.of_seed(3, 7)
    np.testing.assert_allclose(network(drawn), prior.code_of(drawn), atol=1e-6)
    np.testing.assert_array_equal(prior.code_of(drawn), prior.code_of(drawn))
