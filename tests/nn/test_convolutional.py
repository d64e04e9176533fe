"""DCGAN's networks as functions: compared with the model's own."""

from common.nn import convolutional
from dcgan.dcgan import DCGAN
from tests.helpers.models import count_weights, random_batch, randomize

import keras
import numpy as np
import pytest


def networks(size=16, channels=1, width=3, dense_units=0, **options):
    z, x = keras.Input((5,)), keras.Input((size, size, channels))
    images = convolutional.generator(z, size, channels, width, dense_units, **options)
    scores = convolutional.discriminator(x, width, dense_units, **options)
    return keras.Model(z, images), keras.Model(x, scores)


@pytest.mark.parametrize(
    ("size", "channels", "dense_units"), [(16, 1, 0), (28, 3, 7), (40, 1, 0), (8, 1, 6)]
)
def test_layers_are_those_of_dcgan(size, channels, dense_units):
    """With the same weights they compute the same, in training too."""
    model = DCGAN(
        image_size=size, channels=channels, width=3, latent_size=5, dense_units=dense_units
    )
    inputs = model.latent.of_seed(0, 4), random_batch(size, 4, channels)[0]
    ours = networks(size, channels, dense_units=dense_units)
    for own, network, x in zip(ours, (model.generator, model.discriminator), inputs, strict=True):
        kinds = [[type(layer).__name__ for layer in each.layers] for each in (own, network)]
        assert kinds[0] == kinds[1]
        randomize(network)
        own.set_weights(network.get_weights())
        for training in (False, True):
            outputs = [np.asarray(each(x, training=training)) for each in (own, network)]
            np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
        assert outputs[0].std() > 0.01


@pytest.mark.parametrize("dense_units", [0, 7])
def test_without_normalization_a_bias_takes_the_place_of_gain_and_offset(dense_units):
    for own, plain in zip(
        networks(dense_units=dense_units),
        networks(dense_units=dense_units, normalize=False),
        strict=True,
    ):
        kinds = [type(layer).__name__ for layer in plain.layers]
        assert "BatchNormalization" not in kinds
        assert kinds == [
            kind for layer in own.layers if (kind := type(layer).__name__) != "BatchNormalization"
        ]
        normalized = sum(layer.gamma.shape[0] for layer in own.layers if hasattr(layer, "gamma"))
        assert normalized > 0
        assert count_weights(own) - count_weights(plain) == normalized
        assert all(layer.use_bias for layer in plain.layers if hasattr(layer, "use_bias"))


def test_images_are_bounded_and_scores_are_not():
    generator, discriminator = networks(normalize=False)
    for network in (generator, discriminator):
        randomize(network, 3.0)
    images = np.asarray(generator(100 * np.ones((2, 5), "float32")))
    assert np.abs(images).max() == 1
    assert np.abs(discriminator(images)).max() > 10
