"""The reference classifier whose predictions and features the metrics use.

Inception features say little about digits, and Inception's weights are not available offline. So a
small network is trained once on the labelled training images of a dataset and stored in the Keras
cache. It takes no part in the training of generators. Values on its features are comparable only
for the same reference classifier; report the value for real images with them.
"""

import hashlib
import math
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from common.errors import DAMAGE, UserError, one_line
from common.evaluation import classifier_training
from common.io.keras_cache import keras_home

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

SMALLEST = 16  # px
MEMORY = 2**30  # maximum bytes of images per split; further images are ignored
CHUNK = 128  # images per batch at inference

# Datasets whose published numbers depend on a classifier that was trained without an early stop, by
# the hash of their images and of that recipe.
NO_EARLY_STOP = {
    "3895248e0c0439ce": "mnist",
    "0822e3c3b5b99052": "mnist, binarized",
    "16d8aaf3e66c53d2": "mnist_m",
    "17bce250266d0a96": "mnist, half the images, as digits of mnist_negatives",
    "737a93706272bbb0": "mnist, the other half, as negatives of mnist_negatives",
    "12385475f4ae650a": "usps at 28 pixels",
}


class LabelledData(Protocol):
    """A dataset of labelled images, such as `common.data.labelled.LabelledImages`."""

    name: str
    image_size: int
    channels: int
    classes: int

    def arrays(self, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]: ...


class ReferenceClassifier:
    """A trained classifier of square images.

    Args:
        network: uint8 (B, S, S, C) -> features (B, 128), logits (B, K).
        accuracy: test accuracy.
        seconds: duration of its training.
    """

    def __init__(self, network: keras.Model, accuracy: float = math.nan, seconds: float = math.nan):
        self.network = network
        self.accuracy, self.seconds = accuracy, seconds
        signature = tf.TensorSpec(network.input_shape, "uint8")
        self._graph = tf.function(
            lambda x: network(x, training=False), input_signature=[signature], autograph=False
        )

    def features_and_logits(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features, float32 (N, 128), non-negative, and logits, float32 (N, K), in one pass.

        Args:
            x: uint8 (N, S, S, C) with the S and C of the training images.

        Raises:
            ValueError: x has another type or shape.
        """
        if x.dtype != np.uint8 or x.shape[1:] != self.network.input_shape[1:]:
            expected = ", ".join(map(str, self.network.input_shape[1:]))
            raise ValueError(f"uint8 (N, {expected}) is needed, not {x.dtype} {x.shape}")
        features, logits = (
            np.empty((len(x), output[-1]), np.float32) for output in self.network.output_shape
        )
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            features[part], logits[part] = self._graph(x[part])
        return features, logits

    def features(self, x: np.ndarray) -> np.ndarray:
        """Activations of the last hidden layer: uint8 (N, S, S, C) -> float32 (N, 128)."""
        return self.features_and_logits(x)[0]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Logits: uint8 (N, S, S, C) -> float32 (N, K)."""
        return self.features_and_logits(x)[1]

    def accuracy_on(self, x: np.ndarray, y: np.ndarray) -> float:
        """The share of images x, uint8 (N, S, S, C), whose labels y (N,) are predicted."""
        return float(np.mean(self.logits(x).argmax(axis=1) == y))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64: logits (N, K) -> probabilities (N, K)."""
    return softmax(logits.astype(np.float64), axis=1)


def trained_classifier(
    data: LabelledData, cache_dir: str | Path | None = None
) -> ReferenceClassifier:
    """Returns the reference classifier of a dataset, from the cache or after minutes of training.

    Training stops when the accuracy on the test images stands still, except for the datasets of
    NO_EARLY_STOP.

    The name of its file contains a hash of the training and test images, the labels and the
    recipe, so each dataset has its own classifier, independent of the order of its images. The file
    is written atomically; a damaged one is replaced. Training changes no random state of Python,
    NumPy, Keras or TensorFlow and computes in float32 whatever the dtype policy, so it does not
    affect a run in the same process.

    Args:
        data: labelled images.
        cache_dir: folder of the file; default `models` in the Keras cache.

    Raises:
        UserError: the dataset has no labels, or the images are too small.
    """
    if reason := unavailable_reason(data):
        raise UserError(reason)
    most = max(1, MEMORY // (data.image_size**2 * data.channels))
    train, test = (data.arrays(split, most) for split in ("train", "test"))
    classifier = ReferenceClassifier(
        classifier_training.build_network(data.image_size, data.channels, data.classes)
    )
    folder = Path(cache_dir) if cache_dir else keras_home() / "models"
    digests, test_digests = _digests(*train), _digests(*test)
    name = _hash(data, False, digests, test_digests)
    if early_stop := name not in NO_EARLY_STOP:
        name = _hash(data, True, digests, test_digests)
    path = folder / f"reference_classifier_{name}.npz"
    if _load(path, classifier):
        return classifier
    print(f"reference classifier: training on {data.name}, once for this dataset", flush=True)
    measure = None
    if early_stop:
        chosen = _by_content(test_digests)[: classifier_training.HELD_OUT]
        measure = partial(classifier.accuracy_on, *(part[chosen] for part in test))
    start = time.perf_counter()
    steps = classifier_training.train_network(
        classifier.network, *train, _by_content(digests), measure
    )
    classifier.seconds = time.perf_counter() - start
    classifier.accuracy = classifier.accuracy_on(*test)
    print(
        f"reference classifier: accuracy {classifier.accuracy:.2%} on {len(test[0])} test images "
        f"after {steps} steps, {classifier.seconds:.0f} s; {_save(path, classifier)}",
        flush=True,
    )
    return classifier


def unavailable_reason(data: LabelledData) -> str:
    """One line that says why a dataset can have no reference classifier; empty if it can."""
    if data.classes < 2:
        found = "one class" if data.classes else "no labels"
        return (
            f"--dataset {data.name}: its images have {found}, but the metrics use a classifier of "
            "at least two classes"
        )
    if data.image_size < SMALLEST:
        return f"--image_size {data.image_size}: the metrics need images of at least {SMALLEST} px"
    return ""


def _by_content(digests: list[bytes]) -> np.ndarray:
    """The indices of images in an order that does not depend on how the dataset returns them."""
    return np.array(sorted(range(len(digests)), key=digests.__getitem__))


def _digests(x: np.ndarray, y: np.ndarray) -> list[bytes]:
    """A hash of each image and its label."""
    pairs = zip(x, y.astype("<i4"), strict=True)
    return [hashlib.sha256(one.tobytes() + label.tobytes()).digest() for one, label in pairs]


def _hash(data: LabelledData, early_stop: bool, *splits: list[bytes]) -> str:
    """Hash of the recipe and of the splits, whose digests may be in any order."""
    shapes = (data.image_size, data.channels, data.classes)
    recipe, architecture = classifier_training.recipe(early_stop)
    digest = hashlib.sha256(repr((recipe, architecture, shapes)).encode())
    for split in splits:
        digest.update(f"{len(split)} images".encode())
        digest.update(b"".join(sorted(split)))
    return digest.hexdigest()[:16]


def _load(path: Path, classifier: ReferenceClassifier) -> bool:
    """Reads a cache file into a classifier; returns False if it is missing or damaged."""
    if not path.is_file():
        return False
    try:
        with np.load(path) as archive:
            contents: dict[str, Any] = {key: archive[key] for key in archive.files}
        classifier.accuracy = float(contents.pop("accuracy"))
        classifier.seconds = float(contents.pop("seconds"))
        weights = [contents[f"{n:02d}"] for n in range(len(contents))]
        if [w.shape for w in weights] != [w.shape for w in classifier.network.weights]:
            raise ValueError("other shapes")
        classifier.network.set_weights(weights)
    except DAMAGE as error:
        print(f"reference classifier: {path} is damaged ({one_line(error)[:80]})")
        return False
    return True


def _save(path: Path, classifier: ReferenceClassifier) -> str:
    """Writes the cache file atomically and returns a message about it.

    A failure is not an error: it costs another training next time.
    """
    weights = {f"{n:02d}": array for n, array in enumerate(classifier.network.get_weights())}
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")  # another process may write it too
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.savez(file, accuracy=classifier.accuracy, seconds=classifier.seconds, **weights)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return f"not cached: {path} cannot be written ({error.strerror})"
    return f"cached in {path}"
