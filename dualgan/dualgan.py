"""DualGAN: unpaired translation with Wasserstein critics and a strong reconstruction loss.

DualGAN: Unsupervised Dual Learning for Image-to-Image Translation
Zili Yi, Hao Zhang, Ping Tan, Minglun Gong. ICCV 2017, arXiv:1704.02510

With G: A -> B and F: B -> A the translators, a and b images of the two domains, and D_A and D_B the
critics of the domains, whose scores are any real numbers:

    L_D = E[D_A(F(b))] - E[D_A(a)] + E[D_B(G(a))] - E[D_B(b)]                 (equations 1 and 2)
    L_G = lambda (E[|F(G(a)) - a|] + E[|G(F(b)) - b|]) - E[D_B(G(a))] - E[D_A(F(b))]  (equation 3)

|.| is the mean over the pixels. A critic is kept Lipschitz by the gradient penalty of WGAN-GP, as
by default in the authors' code, or by clipped weights, as in the paper (`--mode clip`). The
translators' only noise is dropout, which the paper has and the code leaves out by default.

lambda is 500 at 256x256 RGB pixels. The gradient of the mean of N absolute values has the norm
lambda / sqrt(N), beside that of a critic, which is about 1. So by default lambda is proportional to
the root of N.

Algorithm 1: n_critic updates of the critics per update of both translators, each on its own batch.
A training step here is an update of the critics; at the n_critic-th the translators are updated
too.

Deviations: critics and translators are updated at once, from one pass of the translators, where the
code updates the translators by the new critics, on the same batch. The single pixel between encoder
and decoder is not normalized, which would make it constant. RMSprop's mean square starts at 0, in
TensorFlow 1 at 1, so the first steps, up to about a hundred, are larger. Initial weights are not
truncated.

    python3 dualgan/dualgan.py --dataset facades --image_size 256
"""

import sys
from math import log2, sqrt
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.blocks import conv, conv_transpose, dense
from common.nn.counter import add_counter
from common.nn.layers import Dropout, InstanceNormalization, SkipLeakyReLU
from common.nn.optimizers import rmsprop
from common.tasks.unpaired_translation import UnpairedTranslation
from common.two_translators import TwoTranslators

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Concatenate, Flatten, LeakyReLU, ReLU


class DualGAN(TwoTranslators):
    """U-Net translators and critics of whole images.

    Args:
        image_size: side of the training images in pixels, a power of two from 16 up; 256 in the
            paper. The U-Nets halve it down to a single pixel.
        width: number of filters of the first convolution of each network; doubled each time, up to
            eight times. 64 in the paper.
        mode: what keeps the critics Lipschitz, a gradient penalty (gp) or clipped weights (clip).
        n_critic: updates of the critics per update of the translators; default 1 with a penalty, 3
            with clipped weights.
        penalty_weight: weight of the gradient penalty.
        clip: bound on the absolute value of the critics' weights.
        reconstruction_weight: lambda, the weight of the mean absolute difference in [-1, 1];
            default 500 at 256x256 RGB pixels, and in proportion to the root of the number of values
            of an image.
        dropout: dropout rate in the first three decoder levels; 0 in the authors' code. It stays on
            at inference, with the same mask for every image.
        learning_rate: step size of RMSprop, for both players.
    """

    def __init__(
        self,
        image_size: int = 256,
        mode: Literal["gp", "clip"] = "gp",
        n_critic: int | None = None,
        penalty_weight: float = 10.0,
        clip: float = 0.01,
        reconstruction_weight: float | None = None,
        dropout: float = 0.0,
        learning_rate: float = 5e-5,
        **shared,
    ):
        super().__init__(image_size, name="dualgan", **shared)
        errors.at_least_one(n_critic=n_critic)
        errors.above_zero(clip=clip, learning_rate=learning_rate)
        errors.not_negative(
            penalty_weight=penalty_weight, reconstruction_weight=reconstruction_weight
        )
        errors.below_one(dropout=dropout)
        errors.power_of_two(16, image_size=image_size)
        self.penalty_weight = penalty_weight if mode == "gp" else 0.0
        self.clip = clip if mode == "clip" else None
        self.n_critic = n_critic or {"gp": 1, "clip": 3}[mode]
        if reconstruction_weight is None:
            reconstruction_weight = 500 * image_size / 256 * sqrt(self.channels / 3)
        self.reconstruction_weight, self.dropout = reconstruction_weight, dropout
        self.noise = keras.random.SeedGenerator()  # of the penalty
        self.steps_done = add_counter(self)
        self.build_players(lambda: rmsprop(learning_rate, rho=0.9, epsilon=1e-10))

    @property
    def multiple(self) -> int:
        """The sides of a translator's input must be multiples of this."""
        return self.image_size

    # The networks.

    def build_translator(self, name: str) -> keras.Model:
        """U-Net: x (B, H, W, C) -> its translation (B, H, W, C)."""
        levels = int(log2(self.image_size))
        filters = [self.width * min(2**level, 8) for level in range(levels)]

        x = keras.Input((None, None, self.channels))
        h = conv(x, filters[0], kernel=5)
        skips = [h]
        for level in range(1, levels):  # sides halve to 1: (B, 1, 1, 8 width)
            h = conv(SkipLeakyReLU(0.2)(h), filters[level], kernel=3)
            if level < levels - 1:
                h = norm(h)
            skips.append(h)
        for level in reversed(range(levels - 1)):  # sides double from 2 to H/2
            h = norm(conv_transpose(ReLU()(h), filters[level], kernel=3))
            if self.dropout and level >= levels - 4:
                h = Dropout(self.dropout, inference_seed=level)(h)
            h = Concatenate()([h, skips[level]])
        h = conv_transpose(ReLU()(h), self.channels, kernel=5)
        return keras.Model(x, Activation("tanh", dtype="float32")(h), name=name)

    def build_discriminator(self, domain: str) -> keras.Model:
        """Images (B, S, S, C) -> scores (B, 1), any real numbers."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.width, kernel=5))
        for k in range(1, min(5, int(log2(self.image_size)) - 2)):  # (B, 8, 8, 8 width) for 256
            h = LeakyReLU(0.2)(norm(conv(h, self.width * min(2**k, 8), kernel=3)))
        h = dense(Flatten()(h), 1)
        scores = Activation("linear", dtype="float32")(h)
        return keras.Model(x, scores, name=f"discriminator_{domain}")

    # Algorithm 1.

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of the critics, and of the translators if it is due."""
        if self.n_critic == 1:
            return self.update(*batch)
        self.steps_done.assign_add(1)
        return tf.cond(
            self.steps_done % self.n_critic == 0,
            lambda: self.update(*batch),
            lambda: self.update(*batch, only=["discriminator"]),
        )

    def objectives(self, a: tf.Tensor, b: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players; for each domain the cycle loss and the distance are logged.

        `wasserstein_a` is E[D_A(a)] - E[D_A(F(b))], the critic's estimate of the distance.

        Args:
            a: images of one domain, float32 (B, S, S, C) in [-1, 1].
            b: unpaired images of the other; the same shape.
        """
        on_real = self.discriminator([a, b], training=True)
        fakes, cycles, on_fake = self.combined([a, b], training=True)
        scores = [ops.mean(f) for f in on_fake]
        distances = [ops.mean(f) - score for f, score in zip(on_real, scores, strict=True)]
        reconstruction = [losses.l1(x, cycle) for x, cycle in zip((a, b), cycles, strict=True)]
        d_loss = self.penalty((a, b), fakes) - sum(distances)
        g_loss = self.reconstruction_weight * sum(reconstruction) - sum(scores)
        logs = {f"cycle_{domain}": x for domain, x in zip("ab", reconstruction, strict=True)}
        logs |= {f"wasserstein_{domain}": x for domain, x in zip("ab", distances, strict=True)}
        return {"discriminator": d_loss, "generator": g_loss}, logs

    def penalty(self, real: tuple[tf.Tensor, ...], fakes: list[tf.Tensor]) -> tf.Tensor | float:
        """The gradient penalty of both critics, between images and translations of their domain."""
        if not self.penalty_weight:
            return 0.0
        total = 0.0
        for domain, x, fake in zip("ab", real, fakes, strict=True):
            x_hat = losses.interpolated(x, tf.stop_gradient(fake), self.noise)
            D = self.discriminator.get_layer(f"discriminator_{domain}")
            total += losses.gradient_penalty(losses.gradient_norm(D, x_hat))
        return self.penalty_weight * total

    def after_update(self, player: str):
        if player == "discriminator" and self.clip is not None:
            for weight in self.discriminator.trainable_variables:
                weight.assign(ops.clip(weight, -self.clip, self.clip))


def norm(h):
    return InstanceNormalization(epsilon=1e-6, affine=True)(h)


if __name__ == "__main__":
    cli.main(DualGAN, UnpairedTranslation)
