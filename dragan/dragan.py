"""DRAGAN: a gradient penalty around the real images.

On Convergence and Stability of GANs
Naveen Kodali, Jacob Abernethy, James Hays, Zsolt Kira. 2017, arXiv:1705.07215

Modes collapse where D has sharp gradients around real images. So D's loss is that of Goodfellow et
al. 2014 plus a penalty on the norm of the gradient of its logit near real images:

    L_D = -E[log D(x)] - E[log(1 - D(G(z)))] + lambda E[(||grad D(x + delta)||_2 - k)^2]
    L_G = -E[log D(G(z))]

As in the authors' code, x + delta is a random point between x and x + std(x) / 2 u, with std(x) the
standard deviation of the whole batch and u uniform on [0, 1) in each pixel.

Deviations: the networks are DCGAN's, smaller than the paper's, without batch normalization in D,
which the penalty forbids; the authors' code for digits has two dense layers in each network.
Images that at most two convolutions halve keep a hidden dense layer in each network. z is normal,
theirs uniform. G and D are updated at once, from one forward pass of G, where the authors' code
draws fresh noise for G. The gradient is taken with respect to pixels in [0, 1], as there, although
the networks see [-1, 1].

    python3 dragan/dragan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import all_gather, sharded_random
from common.nn import convolutional, losses
from common.nn.blocks import hidden_units
from common.noise_to_image import NoiseToImage
from common.tasks.generation import Generation

import keras
from keras import ops


class DRAGAN(NoiseToImage):
    """DCGAN's networks and objective, with a penalty on D's gradient near real images.

    Args:
        dense_units: units of a hidden dense layer in each network, 0 for none; default 1024 where
            at most two convolutions halve the images, else 0.
        penalty_weight: lambda, the weight of the penalty.
        gradient_norm: k, the norm that costs nothing.
        perturbation: distribution of u: uniform on [0, 1) as in the authors' code, signed, uniform
            on [-1, 1), or gaussian.
        perturbation_size: the largest size of the perturbation, in standard deviations of a batch.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 9000, "schedule": "linear"}

    def __init__(
        self,
        dense_units: int | None = None,
        penalty_weight: float = 10.0,
        gradient_norm: float = 1.0,
        perturbation: Literal["uniform", "signed", "gaussian"] = "uniform",
        perturbation_size: float = 0.5,
        **shared,
    ):
        super().__init__(name="dragan", **shared)
        self.dense_units = hidden_units(self.image_size, dense_units)
        errors.not_negative(dense_units=self.dense_units, penalty_weight=penalty_weight)
        errors.not_negative(gradient_norm=gradient_norm, perturbation_size=perturbation_size)
        self.penalty_weight, self.k = penalty_weight, gradient_norm
        self.perturbation, self.perturbation_size = perturbation, perturbation_size
        self.build_players(losses.cross_entropy, lambda: self.adam(beta_2=0.9))

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        images = convolutional.generator(
            z, self.image_size, self.channels, self.width, self.dense_units
        )
        return keras.Model(z, images, name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits (B, 1), each of its image alone."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        logits = convolutional.discriminator(x, self.width, self.dense_units, normalize=False)
        return keras.Model(x, logits, name="discriminator")

    def perturbed(self, x):
        """x + delta: a point between each image and its perturbed copy (B, S, S, C)."""
        deviation = ops.std(all_gather(x))  # one number
        shape = ops.shape(x)
        if self.perturbation == "gaussian":
            u = sharded_random(keras.random.normal, shape, seed=self.noise)
        else:
            low = -1.0 if self.perturbation == "signed" else 0.0
            u = sharded_random(keras.random.uniform, shape, low, 1.0, seed=self.noise)
        one_each = (shape[0], *[1] * (len(shape) - 1))
        alpha = sharded_random(keras.random.uniform, one_each, seed=self.noise)
        return x + alpha * self.perturbation_size * deviation * u

    def penalty(self, real, fake):
        """The penalty, and `gradient_norm`: the mean norm near real images."""
        near = self.perturbed(real.images)
        # By a pixel in [0, 1], which is half of one in [-1, 1].
        norm = 2.0 * losses.gradient_norm(lambda x: self.judge(x, real.classes, real=True), near)
        penalty = self.penalty_weight * losses.gradient_penalty(norm, to=self.k)
        return penalty, {"gradient_norm": ops.mean(norm)}


if __name__ == "__main__":
    cli.main(DRAGAN, Generation)
