"""Projection of images to the intermediate latent space of a style-based generator."""

from functools import cache
from typing import NamedTuple

from common.adversarial import Adversarial
from common.images import image_file
from common.inference.endpoints import labels_in_turn
from common.inference.styles import StyleNetworks
from common.io.progress import tqdm_options
from common.nn import pyramid

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

CANDIDATES = 1000  # random w, of which the nearest one is where the search starts
COARSEST = 4  # px, side of the smallest images that are compared
RATE = 0.05  # first step size, in standard deviations of w
SHOWN = 6  # images of the progress


class Projected(NamedTuple):
    """An image in w.

    Attributes:
        w: float32 (latent,).
        progress: images from the start to the result, uint8 (SHOWN, S, S, C).
        error: mean squared error of the pixels, which are in [0, 1], at the start and in the end.
    """

    w: np.ndarray
    progress: np.ndarray
    error: tuple[float, float]


class Projector:
    """Finds the w whose image is nearest to a given one, by Adam.

    The distance is the sum of the mean squared differences of the pixels at full size and at each
    halved size down to 4x4, so that the whole shape counts and not pixels alone. The search starts
    at the nearest of 1,000 images of random noise. All layers get the same w, not truncated.

    Args:
        model: has `mapping`, `synthesis`, `latent` and `classes`.
        class_ids: classes of the random images, in turn; empty if the generator takes none.
        seed: seed for their noise.
    """

    def __init__(self, model: Adversarial, class_ids: list[int], seed: int):
        self._networks, self._synthesis = StyleNetworks(model), model.synthesis
        labels = labels_in_turn(class_ids, CANDIDATES)
        self._w = self._networks.w(model.latent.array_of_seed(seed, CANDIDATES), labels)
        self._images = self._drawn(self._w)
        self._deviation = float(self._w.std(axis=0).mean())
        self._found = keras.Variable(self._w[:1], dtype="float32")
        self._search_of = cache(self._search)  # traced once, not for each image

    def project(self, image: np.ndarray, steps: int) -> Projected:
        """Projects an image, uint8 (S, S, C), in so many steps of Adam."""
        target = tf.constant(image_file.to_unit(image)[None])
        candidates = tf.constant(image_file.to_unit(self._images))
        start = self._w[int(np.argmin(distances(candidates, target)))]
        w, (optimizer, step) = self._found, self._search_of(steps)
        w.assign(start[None])
        for variable in optimizer.variables:
            variable.assign(tf.zeros_like(variable))

        shown, found = {*np.linspace(0, steps, SHOWN, dtype=int).tolist()}, [start]
        bar = {"desc": "projection", "unit": "step", "leave": False}
        for number in tqdm(range(1, steps + 1), **bar, **tqdm_options()):
            step(target)
            if number in shown:
                found.append(w.numpy()[0])
        progress = self._drawn(np.stack(found))
        error = [np.mean(np.square((each - image.astype(float)) / 255)) for each in progress]
        return Projected(found[-1], progress, (float(error[0]), float(error[-1])))

    def _search(self, steps: int):
        """The optimizer of a search in so many steps, and a function that takes one of them."""
        w = self._found
        rate = keras.optimizers.schedules.CosineDecay(RATE * self._deviation, steps)
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build([w])

        @tf.function(autograph=False)
        def step(target):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(w.value)
                styles = tf.repeat(w.value[:, None], self._networks.layers, axis=1)
                drawn = self._synthesis(styles, training=False)
                loss = distances(drawn, target)[0]
            optimizer.apply([tape.gradient(loss, w.value)], [w])

        return optimizer, step

    def _drawn(self, w: np.ndarray) -> np.ndarray:
        return self._networks.images(self._networks.styles(w))


def distances(images: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Distance of each image, float (B, S, S, C), from the target (1, S, S, C): (B,)."""
    total = tf.reduce_mean(tf.square(images - target), axis=(1, 2, 3))
    while images.shape[1] > COARSEST:
        images, target = pyramid.down(images), pyramid.down(target)
        total += tf.reduce_mean(tf.square(images - target), axis=(1, 2, 3))
    return total
