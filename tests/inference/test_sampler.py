"""The sampler of a model: its noise, its weights and its class names."""

from common.inference.sampler import sampler_of
from common.nn.latent import Latent
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_has_the_distribution_of_training(distribution):
    noise = sampler_of(TinyGan(distribution=distribution)).noise(0, 5000)
    assert noise.shape == (5000, 5) and noise.dtype == np.float32
    if distribution == "uniform":
        assert noise.min() > -1 and noise.max() < 1 and abs(noise.std() - 3**-0.5) < 0.01
    else:
        assert abs(noise.std() - 1) < 0.02 and np.abs(noise).max() > 3


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_vectors_do_not_depend_on_their_number(distribution):
    latent = Latent(7, distribution)
    many = latent.of_seed(3, 1000).numpy()
    for count in (1, 5, 999):
        np.testing.assert_array_equal(latent.of_seed(3, count), many[:count])
    assert len(np.unique(many, axis=0)) == 1000


def test_noise_is_the_same_in_a_graph_and_outside():
    latent = Latent(4, "normal")
    graph = tf.function(lambda seed: latent.of_seed(seed, 3))
    for seed in (0, 2**31, 2**62):
        outside = latent.of_seed(tf.constant(seed, tf.int64), 3)
        np.testing.assert_array_equal(graph(tf.constant(seed, tf.int64)), outside)


def test_a_sampler_uses_the_current_weights_of_its_model():
    model = TinyGan()
    sampler = sampler_of(model)
    noise = sampler.noise(0, 1)
    before = sampler.all(noise)
    for variable in model.generator.trainable_variables:
        variable.assign(-variable)
    assert not np.array_equal(sampler.all(noise), before)


def test_classes_without_names_are_named_by_their_numbers():
    assert sampler_of(TinyGan(conditional=True)).class_names == ["0", "1", "2"]
    assert sampler_of(TinyGan(conditional=True), ["a", "b", "c"]).class_names == ["a", "b", "c"]
    assert sampler_of(TinyGan(), ["a", "b", "c"]).class_names == []
