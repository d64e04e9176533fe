"""Graphs from noise to images: the same ones draw in a run, during training and in a SavedModel."""

from collections.abc import Callable, Sequence

from common.nn.latent import Latent

import keras
import numpy as np
import tensorflow as tf

# noise (B, size), with classes also label (B,) or class_weights (B, classes)
# -> {"image": (B, S, S, C)}
Endpoint = Callable[..., dict[str, tf.Tensor]]


def signature(latent: Latent, classes: int) -> list[tf.TensorSpec]:
    """The inputs of an `endpoint`."""
    noise = tf.TensorSpec((None, latent.size), tf.float32, name="noise")
    return [noise, tf.TensorSpec((None,), tf.int32, name="label")] if classes else [noise]


def endpoint(generator: keras.Model, classes: int) -> Endpoint:
    """The function noise [, label] -> {"image": float32}, in TensorFlow operations only.

    A label outside 0 to classes - 1 raises an InvalidArgumentError when the function runs.

    Args:
        generator: z (B, size), with classes [z, one-hot (B, classes)] -> (B, S, S, C) in [-1, 1].
        classes: number of classes; 0 if the generator takes no label.
    """
    mixture = mixture_endpoint(generator)

    def image(noise, label=None):
        return mixture(noise, None if label is None else one_hot(label, classes, noise))

    return image


def one_hot(label: tf.Tensor, classes: int, noise: tf.Tensor) -> tf.Tensor:
    """One-hot classes (B, classes) of labels (B,), one for each vector of the noise (B, size).

    A label outside 0 to classes - 1 raises an InvalidArgumentError when the graph runs.
    """
    # Out of range, tf.one_hot would give zeros: an image of no class at all.
    known = tf.reduce_all((label >= 0) & (label < classes))
    shape, one_each = tf.shape(noise)[:1], "give one label for each noise vector"
    checks = [
        tf.debugging.Assert(known, [f"a label is not one of 0 to {classes - 1}:", label]),
        tf.debugging.assert_equal(tf.shape(label), shape, one_each),
    ]
    with tf.control_dependencies(checks):
        return tf.one_hot(label, classes)


def mixture_signature(latent: Latent, classes: int) -> list[tf.TensorSpec]:
    """The inputs of a `mixture_endpoint`."""
    weights = tf.TensorSpec((None, classes), tf.float32, name="class_weights")
    return [*signature(latent, 0), weights]


def mixture_endpoint(generator: keras.Model) -> Endpoint:
    """The function noise [, class_weights] -> {"image": float32}, for mixtures of classes.

    class_weights, float32 (B, classes), replace the one-hot class.
    """

    def image(noise, class_weights=None):
        inputs = noise if class_weights is None else [noise, class_weights]
        return {"image": tf.cast(generator(inputs, training=False), tf.float32)}

    return image


def seeded_signature(classes: int) -> list[tf.TensorSpec]:
    """The inputs of a `seeded_endpoint`."""
    types = {"seed": tf.int64, "count": tf.int32} | ({"label": tf.int32} if classes else {})
    return [tf.TensorSpec((), dtype, name=name) for name, dtype in types.items()]


def seeded_endpoint(image: Endpoint, latent: Latent, classes: int) -> Endpoint:
    """The function seed, count [, label] -> result of `image` for the noise of that seed.

    seed is an int64 scalar; count an int32 scalar, 1 or more; label an int32 scalar: one class for
    all images, or -1 for all classes in turn.
    """

    def seeded(seed, count, label=None):
        check = tf.debugging.assert_positive(count, "count: give 1 or more")
        with tf.control_dependencies([check]):
            count = tf.identity(count)
        noise = latent.of_seed(seed, count)
        if label is None:
            return image(noise)
        in_turn = tf.range(count) % classes
        return image(noise, tf.where(label == -1, in_turn, tf.fill([count], label)))

    return seeded


def labels_in_turn(class_ids: Sequence[int], count: int) -> np.ndarray | None:
    """Labels int32 (count,) that cycle through the classes; None if there are no classes."""
    return np.resize(np.asarray(class_ids, np.int32), count) if len(class_ids) else None
