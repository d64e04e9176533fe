"""LSGAN: a GAN that learns by least squares.

Least Squares Generative Adversarial Networks
Xudong Mao, Qing Li, Haoran Xie, Raymond Y.K. Lau, Zhen Wang, Stephen Paul Smolley. ICCV 2017,
arXiv:1611.04076

D(x) is a score without bound, and a, b and c are the values that it should have for generated
images, for real ones, and for generated ones in the eyes of G (equation 2):

    L_D = 1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2],    L_G = 1/2 E[(D(G(z)) - c)^2]

The cross-entropy hardly has a gradient for generated images that D takes for real; least squares
pull these, too, towards the real ones. With (a, b, c) = (-1, 1, 0) G minimizes the Pearson
chi-square divergence (section 3.2.2); with (0, 1, 1) it makes images as real as D can tell
(equation 9).

Deviations: the networks are DCGAN's, smaller than the paper's for 112x112. Images that at most two
convolutions halve keep a hidden dense layer in each network, as in the authors' code for 28x28. G
and D are updated at once, from one forward pass of G; the authors' code updates D, then G with the
same z. z is normal, theirs uniform.

    python3 lsgan/lsgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import convolutional, losses
from common.nn.blocks import hidden_units
from common.nn.optimizers import rmsprop
from common.noise_to_image import NoiseToImage
from common.tasks.generation import Generation

import keras

CODINGS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}  # a, b, c


class LSGAN(NoiseToImage):
    """DCGAN's networks, with scores in place of probabilities.

    Args:
        coding: targets of the scores: binary, (a, b, c) = (0, 1, 1), or pearson, (-1, 1, 0).
        dense_units: units of a hidden dense layer in each network, 0 for none; default 1024 where
            at most two convolutions halve the images, else 0.
        normalize: networks with batch normalization: both, the discriminator alone, or neither (the
            paper's tests of stability).
        optimizer: adam, or rmsprop as in the authors' run without batch normalization.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 9000, "schedule": "linear"}

    def __init__(
        self,
        coding: Literal["binary", "pearson"] = "binary",
        dense_units: int | None = None,
        normalize: Literal["both", "discriminator", "neither"] = "both",
        optimizer: Literal["adam", "rmsprop"] = "adam",
        **shared,
    ):
        super().__init__(name="lsgan", **shared)
        self.dense_units = hidden_units(self.image_size, dense_units)
        errors.not_negative(dense_units=self.dense_units)
        self.normalize = normalize
        a, b, c = CODINGS[coding]
        self.targets, self.g_target = (b, a), c
        optimizers = {"adam": self.adam, "rmsprop": self.rmsprop}
        self.build_players(losses.least_squares, optimizers[optimizer], loss_weights=0.5)

    def rmsprop(self) -> keras.optimizers.RMSprop:
        """A new RMSprop with the decay of the authors' code."""
        return rmsprop(self.learning_rate, rho=0.9)

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        images = convolutional.generator(
            z,
            self.image_size,
            self.channels,
            self.width,
            self.dense_units,
            normalize=self.normalize == "both",
        )
        return keras.Model(z, images, name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> scores (B, 1)."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        normalize = self.normalize != "neither"
        scores = convolutional.discriminator(x, self.width, self.dense_units, normalize=normalize)
        return keras.Model(x, scores, name="discriminator")


if __name__ == "__main__":
    cli.main(LSGAN, Generation)
