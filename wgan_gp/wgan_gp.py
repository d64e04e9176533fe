"""WGAN-GP: a critic that is Lipschitz by a penalty on its gradient.

Improved Training of Wasserstein GANs
Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin, Aaron Courville. NIPS 2017,
arXiv:1704.00028

In place of WGAN's clipped weights, the critic f pays for a gradient whose norm is not 1, at points
between real and generated images (equation 3):

    L_critic = E[f(G(z))] - E[f(x)] + lambda E[(||grad f(x_hat)||_2 - 1)^2]
    x_hat = e x + (1 - e) G(z),  e ~ U[0, 1) for each pair of images;    L_G = -E[f(G(z))]

Algorithm 1: n_critic updates of the critic, each on its own images and noise, then one of the
generator on fresh noise. A training step here is an update of the critic. The critic has no batch
normalization: the penalty is on the gradient of each image's own score (section 4).

The networks are those of the authors' code for MNIST: a stage for each halving of the side down to
4 pixels (28, 14, 7, 4), so that the receptive field covers a whole digit, and no normalization;
`--normalize_generator true` gives their networks for CIFAR-10, without residual blocks.

Deviations: images are in [-1, 1], as in the authors' code for CIFAR-10; for MNIST it has [0, 1] and
a sigmoid. The generator's first update comes after n_critic updates of the critic, there as here.
The residual networks of the paper's tables are left out.

    python3 wgan_gp/wgan_gp.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.layers import BatchNormalization
from common.noise_to_image import Alternating
from common.tasks.critic import Critic
from common.tasks.generation import Generation

import keras
from keras import ops
from keras.layers import (
    Activation,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    LeakyReLU,
    ReLU,
    Reshape,
)


class WGANGP(Alternating):
    """Strided convolutions down to 4x4, several critic updates per generator update.

    Args:
        n_critic: critic updates per generator update.
        penalty_weight: lambda, the weight of the gradient penalty.
        normalize_generator: batch normalization in the generator.
        latent_size: number of components of z.
        learning_rate: step size of Adam, for both networks.
    """

    defaults: ClassVar[dict] = {"batch_size": 50, "steps": 20000}
    targets = (1.0, -1.0)

    def __init__(
        self,
        n_critic: int = 5,
        penalty_weight: float = 10.0,
        normalize_generator: bool = False,
        latent_size: int = 128,
        learning_rate: float = 1e-4,
        **shared,
    ):
        sizes = {"latent_size": latent_size, "learning_rate": learning_rate}
        super().__init__(name="wgan_gp", **sizes, **shared)
        errors.at_least_one(n_critic=n_critic)
        errors.not_negative(penalty_weight=penalty_weight)
        self.n_critic, self.penalty_weight = n_critic, penalty_weight
        self.normalize_generator = normalize_generator
        self.sides = halvings(self.image_size)
        self.build_players(losses.wasserstein, lambda: self.adam(beta_2=0.9))

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""

        def activated(h):
            return ReLU()(BatchNormalization()(h) if self.normalize_generator else h)

        side, *larger = reversed(self.sides)  # 4; 7, 14, 28
        filters = [self.width * 2**k for k in reversed(range(len(larger)))]  # 256, 128, 64

        z = keras.Input((self.latent.size,))
        h = activated(Dense(side**2 * filters[0])(z))
        h = Reshape((side, side, filters[0]))(h)
        for fewer, side in zip(filters[1:], larger, strict=False):
            h = activated(conv_transpose(h, fewer)[:, :side, :side])  # 8x8 becomes 7x7
        h = conv_transpose(h, self.channels)[:, : self.image_size, : self.image_size]
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> scores (B, 1), any real numbers, each of its image alone."""
        x = h = keras.Input((self.image_size, self.image_size, self.channels))
        for k in range(len(self.sides) - 1):
            h = LeakyReLU(0.2)(conv(h, self.width * 2**k))
        h = Dense(1)(Flatten()(h))  # of (B, 4, 4, 256)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="discriminator")

    # Algorithm 1.

    def penalty(self, real, fake):
        """The penalty, and `gradient_norm`: the mean norm between real and generated images."""
        x_hat = losses.interpolated(real.images, fake.images, self.noise)
        norm = losses.gradient_norm(lambda x: self.judge(x, real.classes, real=True), x_hat)
        penalty = self.penalty_weight * losses.gradient_penalty(norm)
        return penalty, {"gradient_norm": ops.mean(norm)}

    def logs(self, real, fake):
        """`wasserstein`: the critic's estimate of the distance, E[f(x)] - E[f(G(z))]."""
        return {"wasserstein": ops.mean(real.output) - ops.mean(fake.output)}


def halvings(side: int) -> list[int]:
    """Sides from the image's down to at most 4 pixels, each half of the one before, rounded up."""
    errors.at_least(8, image_size=side)
    sides = [side]
    while sides[-1] > 4:
        sides.append(-(-sides[-1] // 2))
    return sides


def uniform(fan_in: float, fan_out: float) -> keras.initializers.Initializer:
    """Uniform with variance 4 / (fan_in + fan_out), as in the authors' code."""
    reach = (3 * 4 / (fan_in + fan_out)) ** 0.5
    return keras.initializers.RandomUniform(-reach, reach)


def conv(h, filters: int):
    """5x5 convolution that halves the sides."""
    init = uniform(25 * h.shape[-1], 25 * filters / 4)
    return Conv2D(filters, 5, strides=2, padding="same", kernel_initializer=init)(h)


def conv_transpose(h, filters: int):
    """Transposed 5x5 convolution that doubles the sides."""
    init = uniform(25 * h.shape[-1] / 4, 25 * filters)
    return Conv2DTranspose(filters, 5, strides=2, padding="same", kernel_initializer=init)(h)


if __name__ == "__main__":
    cli.main(WGANGP, Generation, Critic)
