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
from pathlib import Path
from typing import Any, Protocol

from common.errors import DAMAGE, UserError, one_line
from common.io.keras_cache import keras_home
from common.io.progress import tqdm_options

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax
from tqdm import tqdm

# The recipe. Nothing in it is tuned to a particular dataset.
STEPS = 3000  # the same for small datasets, so that training takes equally long
BATCH = 128
LEARNING_RATE = 2e-3  # of Adam at the start; cosine decay to 0
SHIFT = 1 / 14  # of the side, in each direction: 2 px of 28. No mirroring: it changes digits
SEED = 0
WIDTHS = 32, 64  # filters of the last two convolutions
EARLY_WIDTH = 16  # filters of the convolutions before, whose feature maps are large
DROPOUT = 0.25, 0.5  # before the features and before the logits
FEATURES = 128
VERSION = 1  # increase it when the code below changes the result

SMALLEST = 16  # px
MEMORY = 2**30  # maximum bytes of images per split; further images are ignored
CHUNK = 128  # images per batch at inference


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


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64: logits (N, K) -> probabilities (N, K)."""
    return softmax(logits.astype(np.float64), axis=1)


def trained_classifier(
    data: LabelledData, cache_dir: str | Path | None = None
) -> ReferenceClassifier:
    """Returns the reference classifier of a dataset, from the cache or after minutes of training.

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
    classifier = ReferenceClassifier(build_network(data.image_size, data.channels, data.classes))
    folder = Path(cache_dir) if cache_dir else keras_home() / "models"
    digests = _digests(*train)
    path = folder / f"reference_classifier_{_hash(data, digests, _digests(*test))}.npz"
    if _load(path, classifier):
        return classifier
    print(
        f"reference classifier: training on {data.name}, once for this dataset",
        flush=True,
    )
    # Sorted by content: the order in which a dataset returns its images depends on the seed.
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__))
    start = time.perf_counter()
    train_network(classifier.network, *train, order)
    classifier.seconds = time.perf_counter() - start
    classifier.accuracy = float(np.mean(classifier.logits(test[0]).argmax(axis=1) == test[1]))
    print(
        f"reference classifier: accuracy {classifier.accuracy:.2%} on {len(test[0])} test images "
        f"after {classifier.seconds:.0f} s; {_save(path, classifier)}",
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


def build_network(image_size: int, channels: int, classes: int) -> keras.Model:
    """The untrained network: (B, S, S, C) of values 0 to 255 -> features (B, 128), logits (B, K).

    One convolution and pooling for each halving of the side, down to 4 to 7 pixels.
    """
    layers = keras.layers
    stages = int(math.log2(image_size / 4))
    widths = (*[EARLY_WIDTH] * (stages - len(WIDTHS)), *WIDTHS)
    float32 = {"dtype": "float32"}  # not the global policy, which is for the generator

    def init(number: int) -> keras.initializers.Initializer:
        return keras.initializers.HeUniform(seed=SEED + number)

    x = keras.Input((image_size, image_size, channels), dtype="uint8")
    h = layers.Rescaling(1 / 255, **float32)(x)
    for number, width in enumerate(widths):
        h = layers.Conv2D(
            width, 3, padding="same", activation="relu", kernel_initializer=init(number), **float32
        )(h)
        h = layers.MaxPooling2D(**float32)(h)
    h = layers.Dropout(DROPOUT[0], seed=SEED, **float32)(layers.Flatten(**float32)(h))
    features = layers.Dense(
        FEATURES, activation="relu", kernel_initializer=init(len(widths)), **float32
    )(h)
    h = layers.Dropout(DROPOUT[1], seed=SEED + 1, **float32)(features)
    logits = layers.Dense(classes, kernel_initializer=init(len(widths) + 1), **float32)(h)
    return keras.Model(x, [features, logits])


def train_network(network: keras.Model, x: np.ndarray, y: np.ndarray, order: np.ndarray):
    """Trains a network of `build_network` in place.

    Args:
        network: untrained network.
        x: images, uint8 (N, S, S, C).
        y: labels, int (N,).
        order: indices (N,), the order of the images before shuffling.
    """
    variables = network.trainable_variables
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            _, logits = network(x, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    random = np.random.default_rng(SEED)
    passes = -(-STEPS * BATCH // len(x))
    order = np.concatenate([random.permutation(order) for _ in range(passes)])
    for number in tqdm(
        range(STEPS), desc="reference classifier", unit="step", leave=False, **tqdm_options()
    ):
        chosen = order[number * BATCH : (number + 1) * BATCH]
        step(_randomly_shifted(x[chosen], random), y[chosen])


def _randomly_shifted(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each image of x (B, S, S, C) shifted at random; its border is replicated."""
    side = x.shape[1]
    most = round(side * SHIFT)
    padded = np.pad(x, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    # All crops as a view: (B, 2 most + 1, 2 most + 1, C, S, S).
    crops = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    top, left = random.integers(0, 2 * most, (2, len(x)), endpoint=True)
    return np.moveaxis(crops[np.arange(len(x)), top, left], 1, -1)


def _digests(x: np.ndarray, y: np.ndarray) -> list[bytes]:
    """A hash of each image and its label."""
    pairs = zip(x, y.astype("<i4"), strict=True)
    return [hashlib.sha256(one.tobytes() + label.tobytes()).digest() for one, label in pairs]


def _hash(data: LabelledData, *splits: list[bytes]) -> str:
    """Hash of the recipe and of the splits, whose digests may be in any order."""
    recipe = (VERSION, STEPS, BATCH, LEARNING_RATE, SHIFT, SEED)
    architecture = (WIDTHS, EARLY_WIDTH, DROPOUT, FEATURES)
    shapes = (data.image_size, data.channels, data.classes)
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
