"""ACGAN: the discriminator is not told the class, it has to recognise it.

Conditional Image Synthesis with Auxiliary Classifier GANs
Augustus Odena, Christopher Olah, Jonathon Shlens. ICML 2017, arXiv:1610.09585

With x an image of class c and x_fake = G(z, c') for noise z and a random class c', D says of each
image where it is from, S, and which class it shows, C:

    L_S = E[log P(S = real | x)] + E[log P(S = fake | x_fake)]             (equation 2)
    L_C = E[log P(C = c | x)] + E[log P(C = c' | x_fake)]                  (equation 3)

D maximises L_S + L_C, G maximises L_C - L_S. Both heads of D end in logits, and the losses apply
sigmoid and softmax. What remains of L_C for G is that its images be recognised, so its loss is
CE(c') plus -log P(S = real | x_fake), which takes the place of log P(S = fake | x_fake).

Deviations: the default networks are small ones for digits; `--network cifar` gives the paper's for
CIFAR-10. Both players move at once, from one forward pass of G and one of D over its images.
D's moving averages follow the real images alone: they serve `classify`, which is for real ones,
and in training each pass is normalised by its own batch whatever they are.

    python3 acgan/acgan.py --dataset mnist
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, log2
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial, watching
from common.distributed.collectives import sharded_random
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization, Dropout, GaussianNoise
from common.tasks.discriminator import Classification
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import (
    Activation,
    Concatenate,
    Flatten,
    LeakyReLU,
    ReLU,
    Reshape,
)


class ACGAN(Adversarial):
    """Class-conditional generator, and a discriminator with a head that tells the class.

    Args:
        image_size: side of the images in pixels, 4 to 7 times a power of two: 28, 32 or 64.
        channels: channels of the images, 1 for grey or 3 for RGB.
        classes: number of classes, 2 or more.
        network: digits, small ones, or cifar, which with a width of 32 and images of 32x32x3 are
            the paper's for CIFAR-10.
        width: filters of G at half the images' side and of D's first layer (cifar: 3 width and
            width / 2), doubled from there on up to eight times (cifar: D up to 32 times).
        latent_size: components of the noise z, N(0, 1) each.
        fake_class_weight: weight of the class term of D on generated images, 1 in the paper. 0
            keeps the classifier from learning from images that do not show their class yet.
        dropout: share of units dropped in D; by default 0.3 for digits, 0.5 for cifar.
        activation_noise: standard deviation of the noise added to D's activations in training; 0,
            0.1 and 0.2 were tried in the paper.
        learning_rate: Adam's step size, for both players.
        beta_1: Adam's decay of the first moment.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    defaults: ClassVar[dict] = {"batch_size": 100}

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        classes: int = 10,
        network: Literal["digits", "cifar"] = "digits",
        width: int = 32,
        latent_size: int = 100,
        fake_class_weight: float = 1.0,
        dropout: float | None = None,
        activation_noise: float = 0.0,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="acgan")
        if classes < 2:
            raise UserError(
                f"--dataset: ACGAN needs images of 2 classes or more, here are {classes}; give a "
                "folder with a subfolder for each class, or a labelled set such as mnist"
            )
        errors.at_least_one(width=width, latent_size=latent_size)
        errors.above_zero(learning_rate=learning_rate)
        errors.not_negative(fake_class_weight=fake_class_weight, activation_noise=activation_noise)
        errors.below_one(beta_1=beta_1, dropout=dropout or 0.0)
        self.image_size, self.channels, self.classes = image_size, channels, classes
        self.cifar = network == "cifar"
        self.width = width
        self.fake_class_weight = fake_class_weight
        self.dropout = (0.5 if self.cifar else 0.3) if dropout is None else dropout
        self.activation_noise = activation_noise
        self.latent = Latent(latent_size, "normal")
        self.noise = keras.random.SeedGenerator()

        class_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=[losses.cross_entropy, class_loss],
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )
        z, c = keras.Input((latent_size,)), keras.Input((classes,))
        judged = self.discriminator(self.generator([z, c]))
        self.combined = keras.Model([z, c], judged, name="combined")
        self.combined.compile(
            loss=[losses.cross_entropy, class_loss],
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )
        self.compile()

    def build_generator(self) -> keras.Model:
        """G: z (B, latent_size), one-hot c (B, classes) -> images (B, S, S, C) in [-1, 1]."""
        base, stages = base_and_stages(self.image_size)
        width = 3 * self.width if self.cifar else self.width
        *narrower, widest = (width * min(2**stage, 8) for stage in range(stages))

        z, c = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        h = dense(Concatenate()([z, c]), base * base * widest, use_bias=self.cifar)
        h = Reshape((base, base, widest))(h)  # (B, 7, 7, 64); cifar (B, 4, 4, 384)
        h = ReLU()(h if self.cifar else BatchNormalization()(h))
        for filters in reversed(narrower):  # (B, 14, 14, 32); cifar (B, 16, 16, 96) in the end
            h = conv_transpose(h, filters, kernel=5, use_bias=False)
            h = ReLU()(BatchNormalization()(h))
        h = conv_transpose(h, self.channels, kernel=5)
        return keras.Model([z, c], Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) -> logits of being real (B, 1), of the classes (B, classes)."""
        x = h = keras.Input((self.image_size, self.image_size, self.channels))
        for layer, (filters, strides) in enumerate(self.convolutions()):
            h = conv(h, filters, kernel=3, strides=strides, use_bias=layer == 0)
            h = LeakyReLU(0.2)(BatchNormalization()(h) if layer else h)
            if self.activation_noise:
                h = GaussianNoise(self.activation_noise)(h)
            h = Dropout(self.dropout)(h)
        h = Flatten()(h)  # from (B, 4, 4, 128); cifar (B, 4, 4, 512)
        heads = [dense(h, units) for units in (1, self.classes)]
        heads = [Activation("linear", dtype="float32")(head) for head in heads]
        return keras.Model(x, heads, name="discriminator")

    def convolutions(self) -> list[tuple[int, int]]:
        """Filters and strides of D's convolutions.

        For digits each one halves the side, until it is 4 pixels or less. The paper's halve it and
        keep it in turn, as often as G doubles it.
        """
        if not self.cifar:
            halvings = ceil(log2(self.image_size / 4))
            return [(self.width * min(2**k, 8), 2) for k in range(halvings)]
        _, stages = base_and_stages(self.image_size)
        return [
            (max(1, self.width * min(2**k, 32) // 2), 2 if k % 2 == 0 else 1)
            for k in range(2 * stages)
        ]

    def losses_and_gradients(self, x: tf.Tensor, c: tf.Tensor) -> tuple[dict, dict]:
        """Losses of both players and the gradients of each with respect to its own weights.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            c: their classes, int32 (B,), from 0 to below `classes`.
        """
        D, G = self.updates["discriminator"], self.updates["generator"]
        z = self.latent.draw(ops.shape(x)[0], self.noise)
        c_fake = sharded_random(
            keras.random.randint, ops.shape(c), 0, self.classes, "int32", self.noise
        )
        with watching(G.variables) as g_tape, watching(D.variables) as d_tape:
            with kept(self.discriminator.non_trainable_weights):
                fake = self.combined([z, tf.one_hot(c_fake, self.classes)], training=True)
            real = self.discriminator(x, training=True)
            is_real, is_fake = tf.ones_like(real[0]), tf.zeros_like(fake[0])
            d_loss = self.discriminator.compute_loss(y=[is_real, c], y_pred=real)
            d_loss += self.discriminator.compute_loss(
                y=[is_fake, c_fake], y_pred=fake, sample_weight=[1.0, self.fake_class_weight]
            )
            g_loss = self.combined.compute_loss(y=[is_real, c_fake], y_pred=fake)
        gradients = {
            "discriminator": D.gradients(d_tape, d_loss),
            "generator": G.gradients(g_tape, g_loss),
        }
        right = ops.equal(ops.argmax(real[1], axis=-1), c)
        accuracy = ops.mean(ops.cast(right, "float32"))
        return {"d_loss": d_loss, "g_loss": g_loss, "accuracy": accuracy}, gradients

    def classify(self, images) -> tf.Tensor:
        """What D takes real images to show.

        Args:
            images: float32 (B, S, S, C) in [-1, 1].

        Returns:
            Probabilities of the classes, float32 (B, classes). They depend on no draw, and those
            of an image not on the other images.
        """
        _, logits = self.discriminator(images, training=False)
        return tf.nn.softmax(logits)


@contextmanager
def kept(variables: list[keras.Variable]) -> Iterator[None]:
    """Variables have at the end the values that they had at the beginning."""
    before = [tf.identity(v.value) for v in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


if __name__ == "__main__":
    cli.main(ACGAN, Generation, Classification)
