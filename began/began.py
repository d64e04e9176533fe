"""BEGAN: an equilibrium of reconstruction losses.

BEGAN: Boundary Equilibrium Generative Adversarial Networks
David Berthelot, Thomas Schumm, Luke Metz. 2017, arXiv:1703.10717

D is an auto-encoder with the loss L(v) = mean |v - D(v)|, and the distributions of this loss for
real and for generated images are matched, not the images. A proportional controller holds
E[L(G(z))] / E[L(x)] at gamma (section 3.4):

    L_D = L(x) - k_t L(G(z)),    L_G = L(G(z))
    k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z))), kept in [0, 1],  k_0 = 0

and M_global = L(x) + |gamma L(x) - L(G(z))| measures convergence. A low gamma asks for sharp
images, a high one for diverse ones.

G and D's decoder have the same architecture: two 3x3 convolutions with ELU at each resolution, no
normalization; G's last layer is linear, and what it gives beyond [-1, 1] is cut off in use.

Deviations: gamma is 1, above the paper's range of 0.3 to 0.7. Digits differ in how hard they are to
reconstruct: at 0.75 a generator that draws nothing but ones is at equilibrium, for which L is three
quarters of the mean (measured in the README). lambda_k is 0.1, not 0.001: digits are nine tenths
background, both losses are below 0.1, and with 0.001 k would hardly change in a short run. The
learning rate is 2e-4 and beta_1 0.5 for the same reason, and the rate is halved every so many steps
rather than where M_global stalls. G and D are updated at once, with one z. Digits are 28x28, from
7x7. The optional skip connections and vanishing residuals are left out.

    python3 began/began.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import all_reduce_mean
from common.nn import losses
from common.nn.blocks import base_and_stages
from common.noise_to_image import NoiseToImage
from common.tasks.energy import Energy
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Conv2D, Dense, Flatten, Reshape, UpSampling2D


class BEGAN(NoiseToImage):
    """A generator against an auto-encoder, balanced by the ratio of their losses.

    Args:
        width: n, number of filters at the image's resolution; D's encoder has n, 2n, 3n, ... 64 or
            128 in the paper.
        latent_size: size of z and of D's codes; 64 or 128 in the paper.
        gamma: ratio of the losses of generated and real images, above 0; 0.3 to 0.7 in the paper.
        controller_rate: lambda_k, the step size of k; 0.001 in the paper.
        halve_every: steps after which the learning rate is halved, and as many later once more.
    """

    defaults: ClassVar[dict] = {"batch_size": 16, "steps": 12000}

    def __init__(
        self,
        width: int = 16,
        latent_size: int = 32,
        gamma: float = 1.0,
        controller_rate: float = 0.1,
        halve_every: int = 4000,
        **shared,
    ):
        super().__init__(name="began", width=width, latent_size=latent_size, **shared)
        errors.above_zero(gamma=gamma, controller_rate=controller_rate)
        errors.at_least_one(halve_every=halve_every)
        self.gamma, self.controller_rate = gamma, controller_rate
        self.halve_every = halve_every
        self.k = self.add_weight((), "zeros", name="k", trainable=False)
        self.base, stages = base_and_stages(self.image_size)
        if self.base == 4 and stages > 1:
            self.base, stages = 8, stages - 1  # the paper's smallest feature maps
        self.resolutions = [self.base * 2**stage for stage in range(stages + 1)]  # 7, 14, 28
        self.build_players()

    @property
    def sampler(self) -> keras.Model:
        network = self.sampling_network
        return keras.Model(network.input, ops.clip(network.output, -1.0, 1.0), name="sampler")

    def rate_factor(self, step: int) -> float:
        """1, then a half, then a quarter."""
        return max(0.25, 0.5 ** (step // self.halve_every))

    # The networks (figure 1).

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C), about in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        return keras.Model(z, self.decoded(z), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> reconstructions (B, S, S, C)."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        return keras.Model(x, self.decoded(self.encoded(x)), name="discriminator")

    def encoded(self, x):
        """Images (B, S, S, C) -> codes (B, latent)."""
        h = conv(x, self.width)
        for level, side in enumerate(reversed(self.resolutions), start=1):
            h = conv(conv(h, level * self.width), level * self.width)  # (B, side, side, n level)
            if side > self.base:
                h = conv(h, level * self.width, strides=2)
        return Dense(self.latent.size)(Flatten()(h))

    def decoded(self, h):
        """Codes (B, latent) -> images (B, S, S, C)."""
        h = Dense(self.base * self.base * self.width)(h)
        h = Reshape((self.base, self.base, self.width))(h)
        for side in self.resolutions:
            h = conv(conv(h, self.width), self.width)  # (B, side, side, n)
            if side < self.image_size:
                h = UpSampling2D()(h)
        h = Conv2D(self.channels, 3, padding="same")(h)
        return Activation("linear", dtype="float32")(h)

    # The losses.

    def d_loss(self, real, fake):
        return loss(real) - self.k * loss(fake)

    def g_loss(self, real, fake):
        return loss(fake)

    def logs(self, real, fake):
        """`k`; `m_global`, the measure of convergence; `ratio`, the losses' ratio, gamma's aim."""
        balance = self.gamma * loss(real) - loss(fake)
        return {
            "k": self.k + 0.0,
            "m_global": loss(real) + ops.abs(balance),
            "ratio": loss(fake) / loss(real),
            "balance": balance,
        }

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """Updates both players, then k by the losses that they were updated by."""
        logs = super().train_step(batch)
        balance = all_reduce_mean(logs.pop("balance"))
        self.k.assign(ops.clip(self.k + self.controller_rate * balance, 0.0, 1.0))
        return logs

    def energy(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """L of each image (B,), and reconstructions (B, S, S, C), at inference."""
        reconstruction = self.discriminator(images, training=False)
        return ops.mean(ops.abs(images - reconstruction), axis=(1, 2, 3)), reconstruction


def loss(judged):
    """L(v): mean |v - D(v)|, differentiable by the images on both sides."""
    return losses.l1(judged.images, judged.output)


def conv(h, filters: int, *, strides: int = 1):
    """3x3 convolution with ELU."""
    return Conv2D(filters, 3, strides=strides, padding="same", activation="elu")(h)


if __name__ == "__main__":
    cli.main(BEGAN, Generation, Energy)
