"""Images from noise: the same graph draws them in a run, in the loop and in a SavedModel."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from common.adversarial import Adversarial
from common.images import image_file
from common.images.grid import grid, square_grid
from common.nn.latent import Latent

import keras
import numpy as np
import tensorflow as tf

BATCH_SIZE = 256

# noise (B, size), and where there are classes label (B,), or class_weights (B, classes)
# -> {"image": (B, S, S, C)}
Endpoint = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Sampler:
    """A generator at inference, of a run or of a SavedModel.

    Attributes:
        latent: the noise that it takes.
        class_names: of the classes it can be asked for; none if it takes no label.
        image: its graph, an `Endpoint`.
        mixture: the same for weights of the classes, a `mixture_endpoint`; None if it takes no
            label, or is of a SavedModel from before there were mixtures.
    """

    latent: Latent
    class_names: list[str]
    image: Endpoint
    mixture: Endpoint | None = None

    @property
    def classes(self) -> int:
        """How many classes it knows; 0 if it takes no label."""
        return len(self.class_names)

    def noise(self, seed: int, count: int) -> np.ndarray:
        """z (count, size), float32: a function of the seed, each vector whatever the count."""
        return self.latent.of_seed(tf.constant(seed, tf.int64), count).numpy()

    def draw(self, noise: np.ndarray, labels: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Images, uint8 (B, S, S, C), in batches of up to BATCH_SIZE.

        Args:
            noise: z, float32 (N, size).
            labels: integers (N,), or weights of the classes, float (N, classes), or None for a
                generator that takes no label.
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
        """The images of `draw` in one array, uint8 (N, S, S, C)."""
        return np.concatenate(list(self.draw(noise, labels)))


def sampler_of(
    model: Adversarial,
    class_names: list[str] | None = None,
    network: keras.Model | None = None,
) -> Sampler:
    """The sampler of a model, which draws with its weights as they are when it is called.

    Args:
        model: has `sampler`, `latent` and `classes`.
        class_names: default the numbers of the classes.
        network: takes the place of the model's `sampler`.
    """
    latent, classes, network = model.latent, model.classes, network or model.sampler
    image = _graph(endpoint(network, classes), signature(latent, classes))
    if not classes:
        return Sampler(latent, [], image)
    mixture = _graph(mixture_endpoint(network), mixture_signature(latent, classes))
    names = [str(label) for label in range(classes)]
    return Sampler(latent, class_names or names, image, mixture)


def _graph(function: Callable, takes: list[tf.TensorSpec]) -> Callable:
    return tf.function(function, input_signature=takes, autograph=False)


def batched(function: Callable[[tf.Tensor], tf.Tensor], spec: tf.TensorSpec) -> Callable:
    """A function of tensors as a graph, for arrays of any length: float32 (N, ...), both ways.

    Args:
        function: uses the weights as they are when it is called.
        spec: what it takes.

    Returns:
        run(x) or run(x, prepared): `prepared` makes a part of x what `function` takes.
    """
    graph = _graph(function, [spec])

    def run(x: np.ndarray, prepared: Callable = lambda part: part) -> np.ndarray:
        parts = (prepared(x[i : i + BATCH_SIZE]) for i in range(0, len(x), BATCH_SIZE))
        return np.concatenate([graph(tf.constant(part, tf.float32)).numpy() for part in parts])

    return run


def images_of(model: Adversarial) -> tf.TensorSpec:
    """What a network of the model takes that looks at its images: float32 (B, S, S, C)."""
    shape = None, model.image_size, model.image_size, model.channels
    return tf.TensorSpec(shape, tf.float32, name="image")


def looking(model: Adversarial, function: Callable[[tf.Tensor], tf.Tensor]) -> Callable:
    """A function of the model's images, float32 (B, S, S, C) in [-1, 1] -> (B, ...), in batches.

    Returns:
        uint8 (N, S, S, C) -> float32 (N, ...), as `batched` gives it.
    """
    return partial(batched(function, images_of(model)), prepared=image_file.to_unit)


def signature(latent: Latent, classes: int) -> list[tf.TensorSpec]:
    """What an `endpoint` takes."""
    noise = tf.TensorSpec((None, latent.size), tf.float32, name="noise")
    return [noise, tf.TensorSpec((None,), tf.int32, name="label")] if classes else [noise]


def endpoint(generator: keras.Model, classes: int) -> Endpoint:
    """The function noise [, label] -> {"image": float32}, of TensorFlow's own operations.

    Args:
        generator: z (B, size), with classes [z, one-hot (B, classes)] -> (B, S, S, C) in [-1, 1].
        classes: 0 if it takes no label.

    A label that is no class is an InvalidArgumentError when the function is run.
    """
    mixture = mixture_endpoint(generator)

    def image(noise, label=None):
        return mixture(noise, None if label is None else one_hot(label, tf.shape(noise)[:1]))

    def one_hot(label, shape):
        # Out of range, tf.one_hot would give zeros: an image of no class at all.
        known = tf.reduce_all((label >= 0) & (label < classes))
        checks = [
            tf.debugging.Assert(known, [f"a label is not one of 0 to {classes - 1}:", label]),
            tf.debugging.assert_equal(
                tf.shape(label), shape, "give one label for each noise vector"
            ),
        ]
        with tf.control_dependencies(checks):
            return tf.one_hot(label, classes)

    return image


def mixture_signature(latent: Latent, classes: int) -> list[tf.TensorSpec]:
    """What a `mixture_endpoint` takes."""
    weights = tf.TensorSpec((None, classes), tf.float32, name="class_weights")
    return [*signature(latent, 0), weights]


def mixture_endpoint(generator: keras.Model) -> Endpoint:
    """The function noise [, class_weights] -> {"image": float32}, for what lies between classes.

    class_weights, float32 (B, classes), take the place of the one-hot class.
    """

    def image(noise, class_weights=None):
        inputs = noise if class_weights is None else [noise, class_weights]
        return {"image": tf.cast(generator(inputs, training=False), tf.float32)}

    return image


def seeded_endpoint(image: Endpoint, latent: Latent, classes: int) -> Endpoint:
    """The function seed, count [, label] -> what `image` gives for the noise of that seed.

    seed is an int64 scalar, count an int32 scalar from 1 up, label an int32 scalar: a class for all
    images, or -1 for each class in turn.
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


def seeded_signature(classes: int) -> list[tf.TensorSpec]:
    """What a `seeded_endpoint` takes."""
    types = {"seed": tf.int64, "count": tf.int32} | ({"label": tf.int32} if classes else {})
    return [tf.TensorSpec((), dtype, name=name) for name, dtype in types.items()]


def sheet(sampler: Sampler, noise: np.ndarray, asked: list[int]) -> np.ndarray:
    """A grid of images, uint8 (H, W, C).

    Args:
        sampler: draws them.
        noise: z (N, size), one for each image, of several classes for each column.
        asked: the classes, a row for each; with none or one the images fill a square.
    """
    labels = np.repeat(asked, len(noise)) if asked else None
    shown = sampler.all(np.tile(noise, (max(1, len(asked)), 1)), labels)
    if len(asked) < 2:
        return square_grid(shown)
    return grid([shown[i : i + len(noise)] for i in range(0, len(shown), len(noise))])


def real_sheet(data, split: str, count: int, asked: list[int]) -> np.ndarray:
    """Real images laid out as `sheet` does, uint8 (H, W, C).

    Args:
        data: labelled images, with `arrays`.
        split: where they are from.
        count: how many, of several classes for each of them, or as there are.
        asked: the classes, a row for each; with none or one all images fill a square.
    """
    if len(asked) < 2:
        return square_grid(data.arrays(split, count)[0])
    x, y = data.arrays(split, 20 * count * len(asked))  # so that rare classes are met too
    return grid([x[y == label][:count] for label in asked])


def in_turn(asked: Sequence[int], count: int) -> np.ndarray | None:
    """Labels (count,), each of the classes in turn; None if there are none."""
    return np.resize(np.asarray(asked, np.int32), count) if len(asked) else None
