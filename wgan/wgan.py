"""WGAN: the discriminator becomes a critic that estimates the Wasserstein distance.

Wasserstein GAN
Martin Arjovsky, Soumith Chintala, Leon Bottou. ICML 2017, arXiv:1701.07875

With f the critic, whose weights are clipped to [-c, c] to keep it Lipschitz, and z normal noise:

    W(P_r, P_g) ~ max_f  E[f(x)] - E[f(G(z))]      (equation 2, up to a factor)
    L_critic = -E[f(x)] + E[f(G(z))],    L_G = -E[f(G(z))]

Algorithm 1: n_critic updates of the critic, each on its own images and noise, then one of the
generator on fresh noise. A training step here is an update of the critic; the generator is updated
once every n_critic steps.

Every weight of the critic is clipped, including the gains and offsets of its batch normalization.
If these are free, the critic can grow arbitrarily steep and its estimate with it, while the images
improve (`--clip_normalization false`; measured in the README). Moving statistics are not clipped.

Deviations: weights are clipped after each update, where the authors' code clips before. In that
code the critic scores generated images high; here it scores real images high, as in the paper, and
the estimated distance is positive. `warm_up` critic updates for the first 25 generator updates and
every 500th are 100 in that code and 25 here. At inference G uses the moving statistics of batch
normalization, the authors' code those of the batch. Digits are 28x28, made from 7x7 with a hidden
dense layer, not padded to 32x32; `--image_size 32` resizes them.

    python3 wgan/wgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense, hidden_units
from common.nn.layers import BatchNormalization
from common.nn.optimizers import rmsprop
from common.noise_to_image import Alternating
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Conv2D, Dense, Flatten, LeakyReLU, ReLU, Reshape


class WGAN(Alternating):
    """DCGAN's networks with 4x4 kernels, several critic updates per generator update, RMSprop.

    Args:
        dense_units: units of a hidden dense layer in each network, 0 for none as in the paper;
            default 1024 where at most two convolutions halve the images, else 0.
        n_critic: critic updates per generator update.
        warm_up: critic updates per generator update during the first 25 generator updates, and at
            every 500th.
        clip: c, the bound on the absolute value of the critic's weights.
        clip_normalization: whether the gains and offsets of batch normalization are clipped too,
            or kernels and biases alone.
        learning_rate: step size of RMSprop, for both networks.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 23000}
    unused_options = ("beta_1",)  # RMSprop has none
    targets = (1.0, -1.0)

    def __init__(
        self,
        dense_units: int | None = None,
        n_critic: int = 5,
        warm_up: int = 25,
        clip: float = 0.01,
        clip_normalization: bool = True,
        learning_rate: float = 5e-5,
        **shared,
    ):
        super().__init__(name="wgan", learning_rate=learning_rate, **shared)
        self.dense_units = hidden_units(self.image_size, dense_units)
        errors.at_least_one(n_critic=n_critic, warm_up=warm_up)
        errors.above_zero(clip=clip)
        errors.not_negative(dense_units=self.dense_units)
        self.n_critic, self.warm_up = n_critic, warm_up
        self.clip, self.clip_normalization = clip, clip_normalization
        self.build_players(losses.wasserstein, lambda: rmsprop(learning_rate))

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        base, stages = base_and_stages(self.image_size)
        filters = [self.width * 2**k for k in reversed(range(stages))]  # 512, 256, 128, 64

        z = h = keras.Input((self.latent.size,))
        if self.dense_units:
            h = ReLU()(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, base * base * filters[0], use_bias=False)
        h = Reshape((base, base, filters[0]))(h)
        for fewer in filters[1:]:
            h = ReLU()(BatchNormalization()(h))
            h = conv_transpose(h, fewer, use_bias=False)
        h = ReLU()(BatchNormalization()(h))  # (B, S/2, S/2, width)
        h = conv_transpose(h, self.channels, use_bias=False)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> scores (B, 1), any real numbers."""
        _, stages = base_and_stages(self.image_size)

        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.width, use_bias=False))
        for k in range(1, stages):
            h = conv(h, self.width * 2**k, use_bias=False)
            h = LeakyReLU(0.2)(BatchNormalization()(h))
        h = Flatten()(h)  # 4x4x512 for 64x64
        if self.dense_units:
            h = LeakyReLU(0.2)(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, 1, use_bias=False)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="discriminator")

    # Algorithm 1.

    def logs(self, real, fake):
        """`wasserstein`: the critic's estimate of the distance, E[f(x)] - E[f(G(z))]."""
        return {"wasserstein": ops.mean(real.output) - ops.mean(fake.output)}

    def d_updates(self) -> tf.Tensor:
        """`n_critic`, or `warm_up` for the first 25 generator updates and every 500th."""
        done = self.g_steps
        return tf.where((done < 25) | (done % 500 == 0), self.warm_up, self.n_critic)

    @property
    def clipped(self) -> list[keras.Variable]:
        """The critic's weights that are clipped."""
        if self.clip_normalization:
            return self.discriminator.trainable_variables
        layers = [
            layer for layer in self.discriminator.layers if isinstance(layer, (Conv2D, Dense))
        ]
        return [weight for layer in layers for weight in layer.trainable_variables]

    def after_update(self, player: str):
        if player == "discriminator":
            for weight in self.clipped:
                weight.assign(ops.clip(weight, -self.clip, self.clip))


if __name__ == "__main__":
    cli.main(WGAN, Generation)
