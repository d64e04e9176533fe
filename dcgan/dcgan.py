"""DCGAN: convolutional networks that adversarial training gets along with.

Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
Alec Radford, Luke Metz, Soumith Chintala. ICLR 2016, arXiv:1511.06434

The game is that of Goodfellow et al. 2014, with z uniform noise and G's loss non-saturating:

    L_D = -E[log D(x)] - E[log(1 - D(G(z)))],    L_G = -E[log D(G(z))]

What is new are the networks (section 3): strided convolutions and no pooling, batch normalisation
everywhere but at G's output and D's input, no hidden dense layers, ReLU and tanh in G, leaky ReLU
in D.

Deviations: both players move at once from one forward pass of G and one of D over its images; the
authors' code gives every other batch to each. G normalises by moving averages when it samples,
where the authors take the statistics of the batch of samples: so an image depends on its z alone.
Images of digits' size keep a hidden dense layer in each player, as in the authors' code for
MNIST: two convolutions see 13 of 28 pixels, and no more than a sum over what they see would judge
the whole. Digits have a bias in G's output and in D's first and last layer, as is usual for them;
without (`--outer_bias false`) and with `--width 128` the networks for 64x64 are the paper's. The L2
penalty is of the authors' code, not of the paper: 0.000025 for digits, 0.00001 for faces. The
arithmetic of z, one of the things that the paper does with trained networks, is left out.

    python3 dcgan/dcgan.py --dataset mnist
"""

import sys
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial, watching
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense, hidden_units
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.tasks.discriminator import LinearProbe
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Flatten, LeakyReLU, ReLU, Reshape


class DCGAN(Adversarial):
    """Transposed convolutions against strided ones, trained on images without labels.

    Args:
        image_size: side of the images in pixels, 4 to 7 times a power of two: 28 is made from
            7x7 in two steps, 64 from 4x4 in four.
        channels: of the images, 1 for grey or 3 for RGB.
        width: filters next to the image in each player, doubled with each halving of the sides;
            128 in the paper.
        latent_size: components of z.
        latent_distribution: of each component, U(-1, 1) as in the paper or N(0, 1).
        dense_units: units of a hidden dense layer in each player, 0 for none as in the paper;
            default 1024, as in the authors' code for digits, where two convolutions or fewer halve
            the images, else 0.
        outer_bias: whether G's last layer and D's first and last have a bias; not in the paper.
        learning_rate: Adam's step size, for both players.
        beta_1: Adam's decay of the first moment.
        l2: of a player's weights w, l2 / 2 times the sum of w^2 is added to its loss.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    defaults: ClassVar[dict] = {"batch_size": 128, "schedule": "linear"}

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 64,
        latent_size: int = 100,
        latent_distribution: Literal["uniform", "normal"] = "uniform",
        dense_units: int | None = None,
        outer_bias: bool = True,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        l2: float = 2.5e-5,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="dcgan")
        errors.at_least_one(width=width, latent_size=latent_size)
        errors.above_zero(learning_rate=learning_rate)
        errors.below_one(beta_1=beta_1)
        self.dense_units = hidden_units(image_size, dense_units)
        errors.not_negative(l2=l2, dense_units=self.dense_units)
        self.image_size, self.channels, self.classes = image_size, channels, 0
        self.width = width
        self.outer_bias = outer_bias
        self.l2 = l2
        self.latent = Latent(latent_size, latent_distribution)
        self.noise = keras.random.SeedGenerator()

        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=losses.cross_entropy,
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )

        z = keras.Input((latent_size,))
        self.combined = keras.Model(z, self.discriminator(self.generator(z)), name="combined")
        self.combined.compile(
            loss=losses.cross_entropy,
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )
        self.compile()

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1] (figure 1)."""
        base, stages = base_and_stages(self.image_size)
        filters = [self.width * 2**k for k in reversed(range(stages))]  # 1024, 512, 256, 128

        z = h = keras.Input((self.latent.size,))
        if self.dense_units:
            h = ReLU()(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, base * base * filters[0], use_bias=False)
        h = Reshape((base, base, filters[0]))(h)
        for fewer in filters[1:]:
            h = ReLU()(BatchNormalization()(h))
            h = conv_transpose(h, fewer, kernel=5, use_bias=False)
        h = ReLU()(BatchNormalization()(h))  # (B, S/2, S/2, width)
        h = conv_transpose(h, self.channels, kernel=5, use_bias=self.outer_bias)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits (B, 1), the generator turned round (section 3)."""
        _, stages = base_and_stages(self.image_size)

        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.width, kernel=5, use_bias=self.outer_bias))
        for k in range(1, stages):
            h = conv(h, self.width * 2**k, kernel=5, use_bias=False)
            h = LeakyReLU(0.2)(BatchNormalization()(h))
        h = Flatten()(h)  # 4x4x1024 for 64x64 in the paper
        if self.dense_units:
            h = LeakyReLU(0.2)(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, 1, use_bias=self.outer_bias)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="discriminator")

    def losses_and_gradients(self, x: tf.Tensor, y: tf.Tensor) -> tuple[dict, dict]:
        """Losses of both players and the gradients of each with respect to its own weights.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            y: their labels, not used.
        """
        D, G = self.updates["discriminator"], self.updates["generator"]
        z = self.latent.draw(ops.shape(x)[0], self.noise)
        with watching(G.variables) as g_tape, watching(D.variables) as d_tape:
            # Two passes of D: the statistics of a mixed batch would tell it who is in the batch.
            fake = self.combined(z, training=True)
            real = self.discriminator(x, training=True)
            d_loss_real = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
            d_loss_fake = self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
            d_loss = d_loss_real + d_loss_fake + self.penalty(D.variables)
            g_loss = self.combined.compute_loss(y=tf.ones_like(fake), y_pred=fake)
            g_loss += self.penalty(G.variables)
        gradients = {
            "discriminator": D.gradients(d_tape, d_loss),
            "generator": G.gradients(g_tape, g_loss),
        }
        return {"d_loss": d_loss, "g_loss": g_loss}, gradients

    def penalty(self, variables: list[keras.Variable]) -> tf.Tensor | float:
        """l2 / 2 times the sum of w^2: its gradient, l2 w, is what the authors' code adds."""
        if not self.l2:
            return 0.0
        return self.l2 / 2 * sum(ops.sum(ops.square(w)) for w in variables)

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """What D's convolutions see, each pooled to at most 4x4 (section 5).

        Args:
            images: float32 (B, S, S, C) in [-1, 1].

        Returns:
            float32 (B, F), F = 16 times the sum of the filters: 28,672 in the paper, for 32x32 and
            width 256. Those of an image do not depend on the other images.
        """
        maps = [
            layer.output
            for layer in self.discriminator.layers
            if isinstance(layer, LeakyReLU) and layer.output.ndim == 4
        ]
        seen = keras.Model(self.discriminator.input, maps)(images, training=False)
        pooled = [ops.max_pool(h, ceil(h.shape[1] / 4), padding="same") for h in seen]
        return ops.concatenate([Flatten()(h) for h in pooled], axis=1)


if __name__ == "__main__":
    cli.main(DCGAN, Generation, LinearProbe)
