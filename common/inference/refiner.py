"""A pyramid of generators at inference: coarse images to images of the training size."""

from common.adversarial import Adversarial
from common.images import image_file
from common.inference.endpoints import Endpoint, one_hot
from common.inference.sampler import BATCH_SIZE
from common.nn import pyramid

import numpy as np
import tensorflow as tf


class Refiner:
    """Refines coarse images; always with the model's current weights.

    Args:
        model: has `refiner`, `latent`, `channels` and `classes`.
        side: side of the coarse images in pixels, that of a level of the pyramid.
    """

    def __init__(self, model: Adversarial, side: int):
        self._graph = tf.function(
            endpoint(model, side), input_signature=signature(model, side), autograph=False
        )

    def __call__(
        self, coarse: np.ndarray, noise: np.ndarray, labels: np.ndarray | None
    ) -> np.ndarray:
        """Refined images, uint8 (N, S, S, C).

        Args:
            coarse: float32 (N, side, side, C) in [-1, 1].
            noise: z, float32 (N, size).
            labels: classes, int (N,), or None for a model that takes no class.
        """
        parts = []
        for first in range(0, len(coarse), BATCH_SIZE):
            batch = slice(first, first + BATCH_SIZE)
            inputs = {"image": tf.constant(coarse[batch]), "noise": tf.constant(noise[batch])}
            if labels is not None:
                inputs["label"] = tf.constant(labels[batch], tf.int32)
            parts.append(image_file.to_uint8(self._graph(**inputs)["image"]))
        return np.concatenate(parts)


def signature(model: Adversarial, side: int) -> list[tf.TensorSpec]:
    """The inputs of an `endpoint`."""
    inputs = [
        tf.TensorSpec((None, side, side, model.channels), tf.float32, name="image"),
        tf.TensorSpec((None, model.latent.size), tf.float32, name="noise"),
    ]
    return [*inputs, tf.TensorSpec((None,), tf.int32, name="label")] if model.classes else inputs


def endpoint(model: Adversarial, side: int) -> Endpoint:
    """The function image, noise [, label] -> {"image": float32}, in TensorFlow operations only."""
    network = model.refiner(side)

    def refine(image, noise, label=None):
        c = [] if label is None else [one_hot(label, model.classes, noise)]
        return {"image": tf.cast(network([image, noise, *c], training=False), tf.float32)}

    return refine


def read_coarse(image: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """A coarse image from an image file, float32 (side, side, C) in [-1, 1].

    A square image with the side of a level below the finest is that level's. Any other one is
    cropped to its central square, resized to the finest level and reduced to the coarsest one, as
    a training image is.

    Args:
        image: uint8 (H, W, C) of any size.
        sides: sides of the levels, from coarse to fine.
    """
    height, width = image.shape[:2]
    if height == width and height in sides[:-1]:
        return image_file.to_unit(image)
    fine = image_file.to_unit(image_file.square(image, sides[-1]))
    return reduced(fine[None], sides[0])[0]


def reduced(x: np.ndarray, side: int) -> np.ndarray:
    """`pyramid.reduced` of float32 (N, S, S, C)."""
    return pyramid.reduced(tf.constant(x), side).numpy()


def enlarged(x: np.ndarray, side: int) -> np.ndarray:
    """`pyramid.enlarged` of float32 (N, s, s, C), in [-1, 1], as uint8 (N, side, side, C)."""
    return image_file.to_uint8(pyramid.enlarged(tf.constant(x), side))
