"""BGAN learns a distribution that can be enumerated: 30 patterns of 4x4 pixels.

Bars and stripes (MacKay 2003, Information Theory, Inference, and Learning Algorithms, section
43.2): a pattern consists of four rows or of four columns, each black or white with equal
probability.

Given z the pixels of G are independent, so a z can produce one pattern only, and between rows and
columns it would have to pass through images that are neither. What G can learn is which parts of
z-space belong to which pattern. So z has one component, and G's features are sine waves, each of
which depends on z locally. With an MLP in their place, whose weights all z share, training ends
with the 16 patterns of one direction, at a total variation distance of 0.44.
"""

from itertools import product

from bgan.bgan import BGAN

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras.initializers import RandomNormal, VarianceScaling

STEPS, BATCH = 2500, 64
BITS = 2 ** np.arange(16)


class Small(BGAN):
    def build_generator(self):
        z = keras.Input((1,))
        waves = layers.Dense(1024, ops.sin, True, RandomNormal(0, 80.0), RandomNormal(0, 80.0))(z)
        g = layers.Dense(16, kernel_initializer=VarianceScaling(25.0))(waves)
        return keras.Model(z, layers.Reshape((4, 4, 1))(g), name="generator")

    def build_discriminator(self):
        x = keras.Input((4, 4, 1))
        h = layers.Flatten()(x)
        for _ in range(2):
            h = layers.LeakyReLU(0.2)(layers.Dense(192)(h))
        return keras.Model(x, layers.Dense(1)(h), name="discriminator")


def bars_and_stripes() -> np.ndarray:
    """The 32 equally likely patterns, bool (32, 4, 4); two of them occur twice."""
    lines = np.array(list(product((False, True), repeat=4)))  # (16, 4)
    rows = np.repeat(lines[:, :, None], 4, 2)
    return np.concatenate([rows, rows.swapaxes(1, 2)])


def frequencies(patterns: np.ndarray) -> np.ndarray:
    """Relative frequency of each of the 2^16 images: bool (N, 4, 4) -> (65536,)."""
    return np.bincount(patterns.reshape(-1, 16) @ BITS, minlength=2**16) / len(patterns)


def test_training_learns_the_distribution():
    keras.utils.set_random_seed(1)
    model = Small(image_size=4, latent_size=1, samples=50, learning_rate=2e-3, ema=0.998)
    model.combined.optimizer.learning_rate = 1e-2
    model.compile(jit="off")
    model.make_train_function()
    drawn = np.random.default_rng(0).choice(32, (STEPS, BATCH))
    x = np.where(bars_and_stripes()[drawn], 1.0, -1.0).astype("float32")[..., None]
    batches = iter(tf.data.Dataset.from_tensor_slices((x, np.zeros((STEPS, BATCH), "int32"))))
    for _ in range(STEPS):
        losses = model.train_function(batches)

    generated = frequencies(np.asarray(model.sampler(model.latent.of_seed(0, 20_000))) > 0)
    expected = frequencies(bars_and_stripes())
    assert (expected > 0).sum() == 30
    assert (generated[expected > 0] > 0).sum() >= 28
    assert np.abs(generated - expected).sum() / 2 <= 0.15
    assert 0.8 * model.samples < losses["ess"] < model.samples  # near 50: weights are almost equal
