"""Noise-to-image models of dense networks for 4x4 images, as fast as tests can be."""

from functools import partial

from common.nn import losses
from common.noise_to_image import ClassConditional, NoiseToImage
from tests.helpers.models import next_noise, random_batch

import keras
from keras.layers import Concatenate, Dense, Flatten, Reshape

CLASSES = 3
BATCH = random_batch(4, 6, classes=CLASSES)
SIZES = {"image_size": 4, "latent_size": 3}
SGD = partial(keras.optimizers.SGD, 0.1)


class Toy(NoiseToImage):
    """Two dense layers in each network, updated by plain gradient descent."""

    def __init__(self, loss=losses.cross_entropy, loss_weights=None):
        super().__init__(name="toy", **SIZES)
        self.build_players(loss, SGD, loss_weights)
        self.compile(jit="off")

    def build_generator(self):
        z = keras.Input((3,))
        return keras.Model(z, images_of(z), name="generator")

    def build_discriminator(self):
        x = keras.Input((4, 4, 1))
        return keras.Model(x, Dense(1)(features_of(x)), name="discriminator")


class ConditionalToy(ClassConditional):
    """Class-conditional networks of the same layers; D takes the class if `conditional_d`."""

    def __init__(self, conditional_d=True, classes=CLASSES):
        super().__init__(classes, name="toy", **SIZES)
        self.conditional_d = conditional_d
        self.build_players(losses.cross_entropy, SGD)
        self.compile(jit="off")

    def build_generator(self):
        z, c = keras.Input((3,)), keras.Input((CLASSES,))
        return keras.Model([z, c], images_of(Concatenate()([z, c])), name="generator")

    def build_discriminator(self):
        x, c = keras.Input((4, 4, 1)), keras.Input((CLASSES,))
        h = features_of(x)
        if not self.conditional_d:
            return keras.Model(x, Dense(1)(h), name="discriminator")
        return keras.Model([x, c], Dense(1)(Concatenate()([h, c])), name="discriminator")


def images_of(h):
    return Reshape((4, 4, 1))(Dense(16, "tanh")(Dense(8, "tanh")(h)))


def features_of(x):
    return Dense(8, "tanh")(Flatten()(x))


def made(model_class, *arguments, **options):
    """A model whose weights and noise are the same for every call."""
    keras.utils.set_random_seed(1)
    return model_class(*arguments, **options)


def forward(model):
    """Generated images and D's outputs for real and for generated ones, in the next step."""
    images = model.generator(next_noise(model, 6), training=True)
    return images, *(model.discriminator(x, training=True) for x in (BATCH[0], images))
