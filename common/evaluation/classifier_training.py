"""How the reference classifier is built and trained: the same for every dataset."""

import math
import time
from collections.abc import Callable, Iterator

from common.io.progress import tqdm_options

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

# The recipe. Nothing in it is tuned to a particular dataset.
STEPS = 3000  # at most
BATCH = 128
LEARNING_RATE = 2e-3  # of Adam at the start; cosine decay to 0
SHIFT = 1 / 14  # of the side, in each direction: 2 px of 28. No mirroring: it changes digits
SEED = 0
WIDTHS = 32, 64  # filters of the last two convolutions
EARLY_WIDTH = 16  # filters of the convolutions before, whose feature maps are large
DROPOUT = 0.25, 0.5  # before the features and before the logits
FEATURES = 128
# Training stops early when the accuracy on held-out images stands still.
CHECK = 100  # steps between two looks at the held-out images
PATIENCE = 400  # steps without a higher accuracy
DECAY = 200  # steps over which the learning rate then falls to 0
HELD_OUT = 2000  # images at most
VERSION = 1  # increase it when the code below changes the result

TIMED = 21  # steps after which the time is estimated


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


class _Rate(keras.optimizers.schedules.LearningRateSchedule):
    """Cosine decay over STEPS, times a linear decay to 0 over the last steps before `end`."""

    def __init__(self):
        self.cosine = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
        self.end = tf.Variable(math.inf)

    def __call__(self, step):
        left = (self.end - tf.cast(step, "float32")) / DECAY
        return self.cosine(step) * tf.clip_by_value(left, 0.0, 1.0)


def train_network(
    network: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    measure: Callable[[], float] | None,
) -> int:
    """Trains a network of `build_network` in place; returns the number of steps.

    Args:
        network: untrained network.
        x: images, uint8 (N, S, S, C).
        y: labels, int (N,).
        order: indices (N,), the order of the images before shuffling.
        measure: accuracy of the network on held-out images, by which training stops early; None to
            train for STEPS steps.
    """
    variables = network.trainable_variables
    rate = _Rate()
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
    done, end, best, since = 0, STEPS, 0.0, 0
    for chosen in _with_progress(np.split(order[: STEPS * BATCH], STEPS)):
        step(_randomly_shifted(x[chosen], random), y[chosen])
        done += 1
        if done == end:
            break
        if measure is None or end < STEPS or done % CHECK:
            continue
        accuracy = measure()
        if accuracy > best:
            best, since = accuracy, done
        elif done >= since + PATIENCE and done + DECAY < STEPS:
            end = done + DECAY
            rate.end.assign(end)
    return done


def _with_progress(batches: list) -> Iterator:
    """The batches, with a progress bar or lines, and a line that says how long it will take."""
    bar = tqdm(batches, desc="reference classifier", unit="step", leave=False, **tqdm_options())
    for number, batch in enumerate(bar):
        if number == 1:
            begin = time.perf_counter()  # the first step is traced
        elif number == TIMED:
            seconds = (time.perf_counter() - begin) / (TIMED - 1) * len(batches)
            bar.write(f"reference classifier: about {seconds / 60:.1f} min at most")
        yield batch


def recipe(early_stop: bool) -> tuple[tuple, tuple]:
    """What a classifier depends on besides its images."""
    steps = (VERSION, STEPS, BATCH, LEARNING_RATE, SHIFT, SEED)
    stop = (CHECK, PATIENCE, DECAY, HELD_OUT) if early_stop else ()
    return steps + stop, (WIDTHS, EARLY_WIDTH, DROPOUT, FEATURES)


def _randomly_shifted(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each image of x (B, S, S, C) shifted at random; its border is replicated."""
    side = x.shape[1]
    most = round(side * SHIFT)
    padded = np.pad(x, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    # All crops as a view: (B, 2 most + 1, 2 most + 1, C, S, S).
    crops = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    top, left = random.integers(0, 2 * most, (2, len(x)), endpoint=True)
    return np.moveaxis(crops[np.arange(len(x)), top, left], 1, -1)
