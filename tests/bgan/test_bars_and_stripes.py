"""BGAN's distribution, exactly: 30 patterns of 4x4 pixels, each of which can be counted.

Bars and stripes (MacKay 2003, Information Theory, Inference, and Learning Algorithms, section
43.2): a pattern is drawn as four rows or as four columns, each black or white with even chances.

G's pixels are independent given z, so a z can stand for one pattern only, and to go over from rows
to columns a z would have to pass through images that are neither. What G can do is to move the
borders between the parts of z-space that stand for different patterns: so it has a z of one
component and waves of it, which depend on z locally. An MLP in their place, which all z share, ends
with the 16 patterns of one direction, and a total variation of 0.44.
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
    """The 32 equally likely ways to draw a pattern, bool (32, 4, 4); two are there twice."""
    lines = np.array(list(product((False, True), repeat=4)))  # (16, 4)
    rows = np.repeat(lines[:, :, None], 4, 2)
    return np.concatenate([rows, rows.swapaxes(1, 2)])


def shares(patterns: np.ndarray) -> np.ndarray:
    """How often each of the 2^16 images is among these: bool (N, 4, 4) -> (65536,)."""
    return np.bincount(patterns.reshape(-1, 16) @ BITS, minlength=2**16) / len(patterns)


def test_it_learns_the_distribution():
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

    found = shares(np.asarray(model.sampler(model.latent.of_seed(0, 20_000))) > 0)
    expected = shares(bars_and_stripes())
    assert (expected > 0).sum() == 30
    assert (found[expected > 0] > 0).sum() >= 28
    assert np.abs(found - expected).sum() / 2 <= 0.15
    assert 0.8 * model.samples < losses["ess"] < model.samples  # close to the end all weigh alike
