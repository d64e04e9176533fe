"""A translator of images that also takes noise, at inference, in batches."""

from collections.abc import Callable
from dataclasses import dataclass

from common.adversarial import Adversarial
from common.images import image_file
from common.inference.endpoints import Endpoint
from common.inference.sampler import BATCH_SIZE, image_spec
from common.nn.latent import Latent

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class NoiseTranslator:
    """A translator of images of one size, from a run or a SavedModel.

    Attributes:
        latent: distribution of its noise.
        image_size: side of the images in pixels.
        channels: channels of the images.
        translate: its graph: image (B, S, S, C) in [-1, 1], noise (B, size) -> {"translated": (B,
            S, S, C)}.
    """

    latent: Latent
    image_size: int
    channels: int
    translate: Endpoint

    def noise(self, seed: int, count: int) -> np.ndarray:
        """`Latent.array_of_seed`."""
        return self.latent.array_of_seed(seed, count)

    def all(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Translations of images, uint8 (N, S, S, C) both, with noise (N, size)."""
        parts = []
        for first in range(0, len(x), BATCH_SIZE):
            batch = slice(first, first + BATCH_SIZE)
            image = tf.constant(image_file.to_unit(x[batch]))
            made = self.translate(image=image, noise=tf.constant(noise[batch], tf.float32))
            parts.append(image_file.to_uint8(made["translated"]))
        return np.concatenate(parts)


def noise_translator_of(model: Adversarial) -> NoiseTranslator:
    """Returns the translator of a model; it always uses the model's current weights."""
    graph = tf.function(endpoint(model.sampler), input_signature=signature(model), autograph=False)
    return NoiseTranslator(model.latent, model.image_size, model.channels, graph)


def signature(model: Adversarial) -> list[tf.TensorSpec]:
    """The inputs of a model's `endpoint`."""
    noise = tf.TensorSpec((None, model.latent.size), tf.float32, name="noise")
    return [image_spec(model), noise]


def endpoint(generator: keras.Model) -> Callable[..., dict[str, tf.Tensor]]:
    """The function image, noise -> {"translated": float32}, in TensorFlow operations only."""

    def translate(image, noise):
        translated = generator([image, noise], training=False)
        return {"translated": tf.cast(translated, tf.float32)}

    return translate
