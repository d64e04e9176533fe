"""A generator at inference, in batches: noise to images, and any function of a model's images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from common.adversarial import Adversarial
from common.images import image_file
from common.inference.endpoints import (
    Endpoint,
    endpoint,
    mixture_endpoint,
    mixture_signature,
    signature,
)
from common.nn.latent import Latent, Truncation

import keras
import numpy as np
import tensorflow as tf

BATCH_SIZE = 256
TRAINING_SEED = 0  # seed for the noise of sample grids and metrics during training


@dataclass(frozen=True)
class Sampler:
    """A generator at inference, from a run or a SavedModel.

    Attributes:
        latent: distribution of its noise.
        class_names: names of the classes that it takes; empty if it takes no label.
        image: its graph, an `Endpoint`.
        mixture: the same for class weights, a `mixture_endpoint`; None if it takes no label, or
            comes from a SavedModel without one.
        choice: which of the `latent.choices` generators draws; None for those that noise chooses.
        model: the model that it samples; None if it comes from a SavedModel.
        network: the generator itself; None if it comes from a SavedModel.
        truncation: truncation of its noise; None for none.
    """

    latent: Latent
    class_names: list[str]
    image: Endpoint
    mixture: Endpoint | None = None
    choice: int | None = None
    model: Adversarial | None = None
    network: keras.Model | None = None
    truncation: Truncation | None = None

    @property
    def classes(self) -> int:
        """Number of classes; 0 if it takes no label."""
        return len(self.class_names)

    @property
    def choices(self) -> range:
        """The generators that noise chooses from; empty if there is one, or `choice` is given."""
        several = self.choice is None and self.latent.choices > 1
        return range(self.latent.choices if several else 0)

    def noise(self, seed: int, count: int) -> np.ndarray:
        """`Latent.array_of_seed`, truncated, and of `choice`, where these are given."""
        noise = self.latent.array_of_seed(seed, count)
        if self.truncation is not None:
            noise = self.latent.truncated(noise, self.truncation)
        return noise if self.choice is None else self.latent.choosing(noise, self.choice)

    def draw(self, noise: np.ndarray, labels: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yields images, uint8 (B, S, S, C), in batches of up to BATCH_SIZE.

        Args:
            noise: z, float32 (N, size).
            labels: integers (N,), or class weights, float (N, classes), or None for a generator
                that takes no label.
        """
        for start in range(0, len(noise), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            z = tf.constant(noise[batch], tf.float32)
            if labels is None:
                drawn = self.image(noise=z)
            elif labels.ndim == 1:
                drawn = self.image(noise=z, label=tf.constant(labels[batch], tf.int32))
            else:
                weights = tf.constant(labels[batch], tf.float32)
                drawn = self.mixture(noise=z, class_weights=weights)
            yield image_file.to_uint8(drawn["image"])

    def all(self, noise: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Returns the images of `draw` in one array, uint8 (N, S, S, C)."""
        return np.concatenate(list(self.draw(noise, labels)))


def sampler_of(
    model: Adversarial,
    class_names: list[str] | None = None,
    network: keras.Model | None = None,
) -> Sampler:
    """Returns the sampler of a model; it always uses the model's current weights.

    Args:
        model: has `sampler`, `latent` and `classes`.
        class_names: names of the classes; default their numbers.
        network: network to use instead of the model's `sampler`.
    """
    latent, classes, network = model.latent, model.classes, network or model.sampler
    image = _graph(endpoint(network, classes), signature(latent, classes))
    if not classes:
        return Sampler(latent, [], image, model=model, network=network)
    mixture = _graph(mixture_endpoint(network), mixture_signature(latent, classes))
    names = [str(label) for label in range(classes)]
    return Sampler(latent, class_names or names, image, mixture, model=model, network=network)


def batched(
    function: Callable[[tf.Tensor], tf.Tensor],
    spec: tf.TensorSpec,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """Compiles a function of tensors for arrays of any length: (N, ...) -> float32 (N, ...).

    Args:
        function: uses the current weights whenever it is called.
        spec: its input.
        prepare: converts a batch of the array to the function's input; default unchanged.
    """
    graph = _graph(function, [spec])

    def run(x: np.ndarray) -> np.ndarray:
        parts = (x[start : start + BATCH_SIZE] for start in range(0, len(x), BATCH_SIZE))
        inputs = map(prepare, parts) if prepare else parts
        return np.concatenate([graph(tf.constant(part, tf.float32)).numpy() for part in inputs])

    return run


def batched_on_images(
    model: Adversarial, function: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[np.ndarray], np.ndarray]:
    """Compiles a function of the model's images, float32 (B, S, S, C) in [-1, 1] -> (B, ...).

    Returns:
        The function of uint8 images (N, S, S, C) -> float32 (N, ...), as of `batched`.
    """
    return batched(function, image_spec(model), image_file.to_unit)


def image_spec(model: Adversarial) -> tf.TensorSpec:
    """The input of a network that takes the model's images: float32 (B, S, S, C)."""
    shape = None, model.image_size, model.image_size, model.channels
    return tf.TensorSpec(shape, tf.float32, name="image")


def _graph(function: Callable, inputs: list[tf.TensorSpec]) -> Callable:
    return tf.function(function, input_signature=inputs, autograph=False)
