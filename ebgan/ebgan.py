"""EBGAN: the discriminator is an energy, the error of an auto-encoder.

Energy-based Generative Adversarial Networks
Junbo Zhao, Michael Mathieu, Yann LeCun. ICLR 2017, arXiv:1609.03126

D gives an image the energy E(x) = || Dec(Enc(x)) - x || (equation 13): low for real images, and
pushed up to a margin m for generated ones (equations 1 and 2):

    L_D = E[E(x)] + E[max(0, m - E(G(z)))],    L_G = E[E(G(z))] + lambda f_PT(S)

The pulling-away term keeps a generated batch diverse: with S the codes Enc(G(z)) (equation 14),

    f_PT(S) = 1 / (N (N - 1)) sum_i sum_{j != i} (S_i . S_j / (|S_i| |S_j|))^2

At equilibrium L_D is m (theorem 1). The norm is the Euclidean one over the pixels of an image, in
[-1, 1]; m is in its unit.

The networks are those of the paper's experiments with MNIST, fully connected, with Dec of a single
layer and a code wider than the image: the margin regularizes the auto-encoder, not a bottleneck.
Larger images have convolutions, as the paper's for CelebA.

Deviations: digits are 28x28, not padded to 32x32. G and D are updated at once, from one forward
pass of G. The semi-supervised EBGAN-LN, a ladder network, is left out. `--pretrain_steps N` trains
D on real images alone for the first N steps, which the paper does not do.

    python3 ebgan/ebgan.py --dataset mnist
"""

import math
import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import all_gather
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.layers import BatchNormalization
from common.noise_to_image import NoiseToImage
from common.staged import Stage, Staged
from common.tasks.energy import Energy
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Dense, Flatten, LeakyReLU, ReLU, Reshape

LARGEST = 32  # px; default networks of larger images are convolutional


class EBGAN(Staged, NoiseToImage):
    """A generator against an auto-encoder with a margin.

    Args:
        margin: m, the energy that D demands of generated images, in the unit of the norm.
        pulling_away: lambda, the weight of the pulling-away term; 0 for none.
        network: fully_connected (digits) or convolutional; default by the size of the images, up
            to 32 pixels or larger.
        units: units of each of G's four hidden layers, if it is fully connected.
        code_size: units of the code, if D is fully connected.
        pretrain_steps: steps for which D learns to reconstruct real images before the game begins.
        learning_rate: step size of Adam, for both networks.
    """

    defaults: ClassVar[dict] = {"batch_size": 100, "steps": 20000}
    logged = ("d_loss", "g_loss", "energy_real", "energy_fake", "cosine")

    def __init__(
        self,
        margin: float = 10.0,
        pulling_away: float = 0.1,
        network: Literal["fully_connected", "convolutional"] | None = None,
        units: int = 800,
        code_size: int = 1024,
        pretrain_steps: int = 0,
        learning_rate: float = 1e-3,
        **shared,
    ):
        super().__init__(name="ebgan", learning_rate=learning_rate, **shared)
        errors.above_zero(margin=margin)
        errors.not_negative(pulling_away=pulling_away, pretrain_steps=pretrain_steps)
        errors.at_least_one(units=units, code_size=code_size, image_size=self.image_size)
        self.margin, self.pulling_away = margin, pulling_away
        self.units, self.code_size = units, code_size
        self.shape = (self.image_size, self.image_size, self.channels)
        small = self.image_size <= LARGEST
        self.convolutional = (not small) if network is None else network == "convolutional"
        if self.convolutional:
            errors.at_least(2, width=self.width)  # of which D has a half
        game = ("discriminator", "generator")
        self.set_stages(
            [
                Stage(pretrain_steps, self.reconstruction, ("discriminator",)),
                Stage(math.inf, self.objectives, game),
            ]
        )
        self.build_players()

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        h = self.convolutional_generator(z) if self.convolutional else self.dense_generator(z)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def dense_generator(self, z):
        """Five layers, normalized except for the last."""
        h = z
        for _ in range(4):
            h = ReLU()(BatchNormalization()(dense(h, self.units, use_bias=False)))
        return Reshape(self.shape)(dense(h, math.prod(self.shape)))

    def convolutional_generator(self, z):
        base, stages = base_and_stages(self.image_size)
        widest, *narrower = (self.width * 2**k for k in reversed(range(stages)))
        h = dense(z, base * base * widest, use_bias=False)
        h = ReLU()(BatchNormalization()(Reshape((base, base, widest))(h)))  # (B, 4, 4, 1024)
        for filters in narrower:
            h = ReLU()(BatchNormalization()(conv_transpose(h, filters, use_bias=False)))
        return conv_transpose(h, self.channels)

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> reconstructions (B, S, S, C) and codes (B, N)."""
        x = keras.Input(self.shape)
        autoencoder = self.convolutional_autoencoder if self.convolutional else self.one_layer_each
        reconstruction, code = autoencoder(x)
        float32 = Activation("linear", dtype="float32")
        outputs = [float32(reconstruction), Activation("linear", dtype="float32")(Flatten()(code))]
        return keras.Model(x, outputs, name="discriminator")

    def one_layer_each(self, x):
        """Enc and Dec of one layer each."""
        init = {"kernel_initializer": keras.initializers.RandomNormal(0.0, 0.002)}
        code = Dense(self.code_size, activation="relu", **init)(Flatten()(x))
        return Reshape(self.shape)(Dense(math.prod(self.shape), **init)(code)), code

    def convolutional_autoencoder(self, x):
        """Three convolutions that halve the sides (fewer for small images), and back."""
        _, stages = base_and_stages(self.image_size)
        filters = [self.width // 2 * 2**k for k in range(min(stages, 3))]  # 64, 128, 256
        h = LeakyReLU(0.2)(conv(x, filters[0]))
        for more in filters[1:]:
            h = LeakyReLU(0.2)(BatchNormalization()(conv(h, more, use_bias=False)))
        code = h
        for fewer in reversed(filters[:-1]):
            h = conv_transpose(h, fewer, use_bias=False)
            h = LeakyReLU(0.2)(BatchNormalization()(h))
        return conv_transpose(h, self.channels), code

    # The losses.

    def d_loss(self, real, fake):
        hinge = ops.relu(self.margin - energies(fake))  # of each image, then the mean
        return ops.mean(energies(real)) + ops.mean(hinge)

    def g_loss(self, real, fake):
        return ops.mean(energies(fake)) + self.pulling_away * losses.pulling_away(codes(fake))

    def logs(self, real, fake):
        """Mean energies, and `cosine`, the pulling-away term whether or not it is weighted."""
        return {
            "energy_real": ops.mean(energies(real)),
            "energy_fake": ops.mean(energies(fake)),
            "cosine": losses.pulling_away(codes(fake)),
        }

    def reconstruction(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The loss of D's training before the game: the energy of real images."""
        loss = ops.mean(energies(self.judged(x, labels, real=True)))
        return {"discriminator": loss}, {"energy_real": loss}

    def energy(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Energies (B,) and reconstructions (B, S, S, C) of images, at inference."""
        reconstruction, _ = self.discriminator(images, training=False)
        return losses.euclidean(images, reconstruction), reconstruction


def energies(judged):
    """E(x) of each image, (B,), from D's output; differentiable by the image on both sides."""
    return losses.euclidean(judged.images, judged.output[0])


def codes(judged):
    """Codes of the images of all replicas, (N, D)."""
    return all_gather(judged.output[1])


if __name__ == "__main__":
    cli.main(EBGAN, Generation, Energy)
