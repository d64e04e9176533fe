"""DCGAN: convolutional architectures that make GAN training stable.

Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
Alec Radford, Luke Metz, Soumith Chintala. ICLR 2016, arXiv:1511.06434

The game is that of Goodfellow et al. 2014, with uniform noise z and G's non-saturating loss:

    L_D = -E[log D(x)] - E[log(1 - D(G(z)))],    L_G = -E[log D(G(z))]

New are the networks (section 3): strided convolutions instead of pooling, batch normalization
except at G's output and D's input, no hidden dense layers, ReLU and tanh in G, leaky ReLU in D.

Deviations: G and D are updated at once, from one forward pass of G and one of D over its images;
the authors' code gives every other batch to each. At inference G uses the moving statistics of
batch normalization, the authors the statistics of the batch: here an image depends on its z alone.
Small images keep a hidden dense layer in each network, as the authors' MNIST code does: after two
convolutions the receptive field covers 13 of 28 pixels, and without a hidden layer the logit is a
sum of local scores. Digits have a bias in G's last layer and D's first and last; without
(`--outer_bias false`) and with `--width 128` the networks for 64x64 are the paper's. The L2 penalty
is from the authors' code: 0.000025 for digits, 0.00001 for faces. So is the linear decay of the
learning rate, which their digits have and their faces have not (`--schedule constant`).

    python3 dcgan/dcgan.py --dataset mnist
"""

import sys
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, dense, hidden_units
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.nn.upsampling import Upsampling, upsample
from common.noise_to_image import NoiseToImage
from common.tasks.discriminator import LinearProbe
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Flatten, LeakyReLU, ReLU, Reshape


class DCGAN(NoiseToImage):
    """Transposed convolutions against strided ones, trained on images without labels.

    Args:
        latent_distribution: distribution of the components of z: uniform on [-1, 1] as in the
            paper, or standard normal.
        dense_units: units of a hidden dense layer in each network, 0 for none as in the paper;
            default 1024 where at most two convolutions halve the images, as in the authors' code
            for digits, else 0.
        outer_bias: biases in G's last layer and in D's first and last; the paper has none.
        upsampling: layers of G: transposed convolutions as in the paper, or nearest or bilinear
            interpolation and a convolution each, against checkerboard patterns.
        l2: coefficient of the L2 penalty: l2 / 2 times the sum of a network's squared weights.
    """

    defaults: ClassVar[dict] = {"batch_size": 128, "steps": 9000, "schedule": "linear"}

    def __init__(
        self,
        latent_distribution: Literal["uniform", "normal"] = "uniform",
        dense_units: int | None = None,
        outer_bias: bool = True,
        upsampling: Upsampling = "transposed",
        l2: float = 2.5e-5,
        **shared,
    ):
        super().__init__(name="dcgan", **shared)
        self.latent = Latent(self.latent.size, latent_distribution)
        self.dense_units = hidden_units(self.image_size, dense_units)
        errors.not_negative(l2=l2, dense_units=self.dense_units)
        self.outer_bias, self.upsampling, self.l2 = outer_bias, upsampling, l2
        self.build_players(losses.cross_entropy)

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1] (figure 1)."""
        base, stages = base_and_stages(self.image_size)
        filters = [self.width * 2**k for k in reversed(range(stages))]  # 1024, 512, 256, 128

        z = h = keras.Input((self.latent.size,))
        if self.dense_units:
            h = ReLU()(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, base * base * filters[0], use_bias=False)
        h = ReLU()(BatchNormalization()(h))  # unit by unit, as in the authors' code
        h = Reshape((base, base, filters[0]))(h)
        for fewer in filters[1:]:
            h = upsample(h, fewer, self.upsampling, kernel=5, use_bias=False)
            h = ReLU()(BatchNormalization()(h))  # (B, S/2, S/2, width) in the end
        h = upsample(h, self.channels, self.upsampling, kernel=5, use_bias=self.outer_bias)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits (B, 1); mirrors the generator (section 3)."""
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

    def d_loss(self, real, fake):
        weights = self.discriminator.trainable_variables
        return super().d_loss(real, fake) + losses.l2_penalty(weights, self.l2)

    def g_loss(self, real, fake):
        weights = self.generator.trainable_variables
        return super().g_loss(real, fake) + losses.l2_penalty(weights, self.l2)

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Features for a linear probe: D's convolutional maps, max-pooled to 4x4 (section 5).

        Args:
            images: float32 (B, S, S, C) in [-1, 1].

        Returns:
            float32 (B, F), F = 16 times the number of filters: 28,672 in the paper, at 32x32 and
            width 256. An image's features do not depend on the other images of the batch.
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
