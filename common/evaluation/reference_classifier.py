"""The reference classifier: a classifier by whose verdicts and features the project measures images.

Features of Inception say little about digits, and are not to be had offline. So a small network is
trained once on the labelled training images of a data set, and kept in the Keras cache. It never
takes part in the training of a generator. Numbers on its features compare only where it is the same
reference classifier: give the value for real images beside them.
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

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax
from tqdm import tqdm

# The recipe. Nothing in it is chosen for one data set.
STEPS = 3000  # the same for small sets, so that the time is
BATCH = 128
LEARNING_RATE = 2e-3  # Adam's at the start; falls to 0 along a cosine
SHIFT = 1 / 14  # of the side, each way: 2 px of 28. No mirroring: it makes another digit
SEED = 0
WIDTHS = 32, 64  # filters of the last two convolutions
EARLY_WIDTH = 16  # filters of those before, whose maps are large
DROPOUT = 0.25, 0.5  # before the features and before the logits
FEATURES = 128
VERSION = 1  # raise it where the code below comes to mean something else

SMALLEST = 16  # px
MEMORY = 2**30  # bytes of training images; the images beyond are left out
CHUNK = 128  # images that go through the network at a time


class Labelled(Protocol):
    """What the reference classifier needs of a data set: `common.data.labelled.LabelledImages` has it."""

    name: str
    image_size: int
    channels: int
    classes: int

    def arrays(self, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]: ...


class ReferenceClassifier:
    """A trained classifier of square images.

    Args:
        network: uint8 (B, S, S, C) -> features (B, 128), logits (B, K).
        accuracy: share of the test images that it classifies correctly.
        seconds: that its training took.
    """

    def __init__(self, network: keras.Model, accuracy: float = math.nan, seconds: float = math.nan):
        self.network = network
        self.accuracy, self.seconds = accuracy, seconds
        signature = tf.TensorSpec(network.input_shape, "uint8")
        self._graph = tf.function(
            lambda x: network(x, training=False), input_signature=[signature], autograph=False
        )

    def judge(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 (N, 128), at least 0, and logits float32 (N, K), in one pass.

        Args:
            x: uint8 (N, S, S, C) with the S and C that the reference classifier was trained for.

        Raises:
            ValueError: x is something else.
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
        """Float32 (N, 128) of uint8 (N, S, S, C): the units that the logits are made from."""
        return self.judge(x)[0]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Float32 (N, K) of uint8 (N, S, S, C)."""
        return self.judge(x)[1]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64: logits (N, K) -> rows that sum to 1."""
    return softmax(logits.astype(np.float64), axis=1)


def trained_classifier(data: Labelled, cache_dir: str | Path | None = None) -> ReferenceClassifier:
    """The reference classifier of a data set: read from its file, or trained (some minutes) and kept there.

    The file's name holds a hash of the training and test images, the labels and the recipe:
    other data have another reference classifier, the same in another order the same one. It is written whole or
    not at all; a damaged one is trained anew. No random state of Python, NumPy, Keras or TensorFlow
    is touched, and the arithmetic is float32 whatever the dtype policy: a run that trains in the
    same process is not disturbed.

    Args:
        data: labelled images.
        cache_dir: the file's folder; default `models` in the Keras cache.

    Raises:
        UserError: the data have no labels, or the images are too small.
    """
    if reason := obstacle(data):
        raise UserError(reason)
    most = max(1, MEMORY // (data.image_size**2 * data.channels))
    train, test = (data.arrays(split, most) for split in ("train", "test"))
    judge = ReferenceClassifier(build(data.image_size, data.channels, data.classes))
    folder = Path(cache_dir) if cache_dir else keras_home() / "models"
    digests = _digests(*train)
    path = folder / f"reference_classifier_{_hash(data, digests, _digests(*test))}.npz"
    if _load(path, judge):
        return judge
    print(
        f"reference classifier: training a classifier on {data.name}, once for these data",
        flush=True,
    )
    # By content: the order in which a data set gives its images depends on the run's seed.
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__))
    start = time.perf_counter()
    train_network(judge.network, *train, order)
    judge.seconds = time.perf_counter() - start
    judge.accuracy = float(np.mean(judge.logits(test[0]).argmax(axis=1) == test[1]))
    print(
        f"reference classifier: right on {judge.accuracy:.2%} of {len(test[0])} test images after "
        f"{judge.seconds:.0f} s; {_save(path, judge)}",
        flush=True,
    )
    return judge


def obstacle(data: Labelled) -> str:
    """Why there can be no reference classifier of these data, in a line; empty where there can be one."""
    if data.classes < 2:
        found = "one class" if data.classes else "no labels"
        return (
            f"--dataset {data.name}: its images have {found}, and samples are measured by a "
            "classifier that learns two classes or more"
        )
    if data.image_size < SMALLEST:
        return f"--image_size {data.image_size}: images are measured from {SMALLEST} px upward"
    return ""


def build(image_size: int, channels: int, classes: int) -> keras.Model:
    """The untrained network: (B, S, S, C) of values 0 to 255 -> features (B, 128), logits (B, K).

    A convolution and a pooling for each time that the side halves to 4 to 7 pixels.
    """
    layers = keras.layers
    stages = int(math.log2(image_size / 4))
    widths = (*[EARLY_WIDTH] * (stages - len(WIDTHS)), *WIDTHS)
    float32 = {"dtype": "float32"}  # the global policy is the generator's

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
    """Trains a network of `build` by the recipe.

    Args:
        network: its weights are changed.
        x: uint8 (N, S, S, C).
        y: int (N,).
        order: (N,), in which the images are taken, before they are shuffled.
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
        range(STEPS), desc="reference classifier", unit="step", leave=False, disable=None
    ):
        chosen = order[number * BATCH : (number + 1) * BATCH]
        step(_shifted(x[chosen], random), y[chosen])


def _shifted(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each image of x (B, S, S, C) moved at random; its border is continued."""
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


def _hash(data: Labelled, *splits: list[bytes]) -> str:
    """Of the recipe and of the splits, given by their digests, whatever their order."""
    recipe = (VERSION, STEPS, BATCH, LEARNING_RATE, SHIFT, SEED)
    architecture = (WIDTHS, EARLY_WIDTH, DROPOUT, FEATURES)
    shapes = (data.image_size, data.channels, data.classes)
    digest = hashlib.sha256(repr((recipe, architecture, shapes)).encode())
    for split in splits:
        digest.update(f"{len(split)} images".encode())
        digest.update(b"".join(sorted(split)))
    return digest.hexdigest()[:16]


def _load(path: Path, judge: ReferenceClassifier) -> bool:
    """Reads a cache file into the reference classifier; False if there is none that is whole."""
    if not path.is_file():
        return False
    try:
        with np.load(path) as archive:
            contents: dict[str, Any] = {key: archive[key] for key in archive.files}
        judge.accuracy = float(contents.pop("accuracy"))
        judge.seconds = float(contents.pop("seconds"))
        weights = [contents[f"{n:02d}"] for n in range(len(contents))]
        if [w.shape for w in weights] != [w.shape for w in judge.network.weights]:
            raise ValueError("other shapes")
        judge.network.set_weights(weights)
    except DAMAGE as error:
        print(f"reference classifier: {path} is damaged ({one_line(error)[:80]})")
        return False
    return True


def _save(path: Path, judge: ReferenceClassifier) -> str:
    """Writes the cache file whole or not at all, and says what came of it.

    A cache that cannot be written costs a training next time, no more.
    """
    weights = {f"{n:02d}": array for n, array in enumerate(judge.network.get_weights())}
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")  # another run may write it too
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.savez(file, accuracy=judge.accuracy, seconds=judge.seconds, **weights)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return f"not kept: {path} cannot be written ({error.strerror})"
    return f"kept in {path}"
