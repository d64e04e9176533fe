"""ACGAN: the discriminator is not told the class but has to recognize it.

Conditional Image Synthesis with Auxiliary Classifier GANs
Augustus Odena, Christopher Olah, Jonathon Shlens. ICML 2017, arXiv:1610.09585

With x an image of class c and x_fake = G(z, c') for noise z and a random class c', D predicts for
each image its source S and its class C:

    L_S = E[log P(S = real | x)] + E[log P(S = fake | x_fake)]             (equation 2)
    L_C = E[log P(C = c | x)] + E[log P(C = c' | x_fake)]                  (equation 3)

D maximizes L_S + L_C, G maximizes L_C - L_S. Both heads of D end in logits, and the losses apply
sigmoid and softmax. G's loss is CE(c') - log P(S = real | x_fake): of L_C only the term of
generated images depends on G, and the non-saturating form replaces log P(S = fake | x_fake).

Deviations: the default networks are small ones for digits; `--network cifar` gives the paper's for
CIFAR-10. G and D are updated at once, from one forward pass of G and one of D over its images. D's
moving statistics follow the real images alone: they serve `classify`, which is for real images; in
training each pass is normalized by the statistics of its own batch in any case.

    python3 acgan/acgan.py --dataset mnist
"""

import sys
from math import ceil, log2
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.layers import BatchNormalization, Dropout, GaussianNoise
from common.noise_to_image import ClassConditional
from common.players import kept
from common.tasks.discriminator import Classification
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Concatenate, Flatten, LeakyReLU, ReLU, Reshape


class ACGAN(ClassConditional):
    """Class-conditional generator, and a discriminator with a classifier head.

    Args:
        network: digits (small networks) or cifar, which at a width of 32 and for images of
            32x32x3 are the paper's for CIFAR-10.
        width: number of filters of G at half the image's side and of D's first layer (cifar: 3
            width and width / 2), doubled from there on up to eight times (cifar: D up to 32).
        fake_class_weight: weight of D's class loss on generated images, 1 in the paper; 0 keeps
            the classifier from learning from images that do not yet show their class.
        dropout: dropout rate in D; default 0.3 for digits, 0.5 for cifar.
        activation_noise: standard deviation of the noise added to D's activations in training; 0,
            0.1 and 0.2 were tried in the paper.
    """

    defaults: ClassVar[dict] = {"batch_size": 100, "steps": 9000}

    def __init__(
        self,
        network: Literal["digits", "cifar"] = "digits",
        width: int = 32,
        fake_class_weight: float = 1.0,
        dropout: float | None = None,
        activation_noise: float = 0.0,
        **shared,
    ):
        super().__init__(name="acgan", width=width, **shared)
        errors.not_negative(fake_class_weight=fake_class_weight, activation_noise=activation_noise)
        errors.below_one(dropout=dropout)
        self.cifar = network == "cifar"
        self.fake_class_weight = fake_class_weight
        self.dropout = (0.5 if self.cifar else 0.3) if dropout is None else dropout
        self.activation_noise = activation_noise
        class_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.build_players([losses.cross_entropy, class_loss])

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

        For digits each one halves the side, until it is 4 pixels or less. The paper's alternate
        between halving and keeping it, as often as G doubles it.
        """
        if not self.cifar:
            halvings = ceil(log2(self.image_size / 4))
            return [(self.width * min(2**k, 8), 2) for k in range(halvings)]
        _, stages = base_and_stages(self.image_size)
        return [
            (max(1, self.width * min(2**k, 32) // 2), 2 if k % 2 == 0 else 1)
            for k in range(2 * stages)
        ]

    # The losses, of outputs (logit of being real, logits of the classes).

    def fake_classes(self, labels: tf.Tensor) -> tf.Tensor:
        return self.uniform_classes(labels)

    def judge(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> list[tf.Tensor]:
        if real:
            return super().judge(images, classes, real)
        with kept(self.discriminator.non_trainable_weights):
            return super().judge(images, classes, real)

    def d_loss(self, real, fake):
        D, (is_real, _), (is_fake, _) = self.discriminator, real.output, fake.output
        loss = D.compute_loss(y=[tf.ones_like(is_real), real.classes], y_pred=real.output)
        return loss + D.compute_loss(
            y=[tf.zeros_like(is_fake), fake.classes],
            y_pred=fake.output,
            sample_weight=[1.0, self.fake_class_weight],
        )

    def g_loss(self, real, fake):
        target = [tf.ones_like(fake.output[0]), fake.classes]
        return self.combined.compute_loss(y=target, y_pred=fake.output)

    def logs(self, real, fake):
        """`accuracy`: share of the batch's real images that D classifies correctly."""
        correct = ops.equal(ops.argmax(real.output[1], axis=-1), real.classes)
        return {"accuracy": ops.mean(ops.cast(correct, "float32"))}

    def classify(self, images) -> tf.Tensor:
        """Class probabilities of real images by D's classifier head.

        Args:
            images: float32 (B, S, S, C) in [-1, 1].

        Returns:
            float32 (B, classes). Deterministic, and for each image independent of the others.
        """
        _, logits = self.discriminator(images, training=False)
        return tf.nn.softmax(logits)


if __name__ == "__main__":
    cli.main(ACGAN, Generation, Classification)
