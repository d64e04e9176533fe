"""GMAN: one generator against several discriminators.

Generative Multi-Adversarial Networks
Ishan Durugkar, Ian Gemp, Sridhar Mahadevan. ICLR 2017, arXiv:1611.01673

Each of N discriminators has its own value, on its own part of a mini-batch:

    V_i = E[log D_i(x)] + E[log(1 - D_i(G(z)))],    L_D = -sum_i V_i

G minimizes a mean of l_i = E[log(1 - D_i(G(z)))], the part of V_i that depends on it, with weights
that grow with the severity of a discriminator. It is arithmetic, geometric or harmonic:

    w = softmax(lambda l)
    F = sum_i w_i l_i    or    -exp(sum_i w_i log|l_i|)    or    -1 / (sum_i w_i / |l_i|)

lambda = 0 is the plain mean, a large lambda the most severe discriminator alone. G itself chooses
lambda in GMAN*, where it also minimizes F - c lambda (equation 7). While one discriminator is
unsure G has a gradient, so the minimax loss above can be used; `modified` has -E[log D_i(G(z))].

From the authors' code are the parts of the batch, N times as large, of which a discriminator sees
one; D squashed into [0.01, 0.99] before each logarithm; dropout rates from 0.56 to 0.40 for N = 5;
a single update of all players; and softmax weights of l_i, where the paper's are of V_i.

Deviations: lambda is an optimizer's variable and is rewarded, as in the paper; in that code it
keeps its initial value. Small images have a hidden dense layer in each D_i, whose receptive field
covers 15 of 28 pixels (`--dense_units 0` for the paper's). The first layer of G is dense, and no
layer that is normalized has a bias. At inference G uses moving statistics, the authors those of the
batch. Discriminators that learn by boosting are left out: the paper found them of no use.

    python3 gman/gman.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import all_gather
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.layers import BatchNormalization, Dropout
from common.nn.moving_deviation import MovingDeviation
from common.noise_to_image import NoiseToImage
from common.players import Player
from common.tasks.generation import Generation
from common.tasks.rivals import Rivals

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Flatten, LeakyReLU, ReLU, Reshape

# A mean is f^-1(sum w f(|l|)): f and its inverse.
MEANS = {
    "arithmetic": (lambda x: x, lambda x: x),
    "geometric": (ops.log, ops.exp),
    "harmonic": (ops.reciprocal, ops.reciprocal),
}
REWARD = 0.001  # c
INITIAL = -2.0  # of t, where G chooses lambda = softplus(t)
WINDOW = 500  # steps, of the deviation of G's loss


def log_probability(logits):
    """log D with D squashed from [0, 1] into [0.01, 0.99]; of -logits it is log(1 - D)."""
    return ops.log(0.01 + 0.98 * ops.sigmoid(logits))


def bounded_cross_entropy(target, logits):
    """Cross-entropy of the squashed D, mean( -t log D - (1 - t) log(1 - D) ), a scalar."""
    real, fake = log_probability(logits), log_probability(-logits)
    return -ops.mean(target * real + (1 - target) * fake)


class SoftMean(keras.layers.Layer):
    """Softmax-weighted mean of values of one sign, (B, N) -> (B,); largest values weigh most.

    Args:
        mean: a key of MEANS.
        sharpness: lambda, 0 or more; None for a weight of the layer.
    """

    def __init__(self, mean: str, sharpness: float | None, **options):
        super().__init__(dtype="float32", **options)
        self.f, self.inverse = MEANS[mean]
        self.fixed = sharpness
        if sharpness is None:
            initial = keras.initializers.Constant(INITIAL)
            self.t = self.add_weight((), initial, name="t")

    @property
    def sharpness(self):
        """lambda."""
        return ops.softplus(self.t) if self.fixed is None else self.fixed

    def call(self, values):
        weights = tf.nn.softmax(self.sharpness * values, axis=1)
        mean = self.inverse(ops.sum(weights * self.f(ops.abs(values)), axis=1))
        return ops.sign(values[:, 0]) * mean


class GMAN(NoiseToImage):
    """A generator that learns from a mean of several discriminators.

    Args:
        discriminators: N, number of discriminators; --batch_size must be a multiple of it.
        mean: mean of the discriminators' values that G minimizes.
        softmax_lambda: lambda, 0 or more, or learned: chosen by G (GMAN*).
        objective: original, log(1 - D), or modified, -log D, in G's loss.
        depths: numbers of convolutions of the discriminators, in turn, as in [2,3,4]; default one
            more than halve the images, for all, as in the authors' code.
        dense_units: units of a hidden dense layer in each discriminator, 0 for none; default 128
            for small images, which the generator doubles twice at most, such as 28 pixels, else 0.
        batch_size: number of samples per step, for all discriminators together.
        width: number of filters next to the image in all networks; deeper layers have multiples.
    """

    defaults: ClassVar[dict] = {"batch_size": 500, "steps": 6000}
    distribution = "uniform"

    def __init__(
        self,
        discriminators: int = 5,
        mean: Literal["arithmetic", "geometric", "harmonic"] = "arithmetic",
        softmax_lambda: float | Literal["learned"] = 0.0,
        objective: Literal["original", "modified"] = "original",
        depths: list[int] | None = None,
        dense_units: int | None = None,
        width: int = 16,
        batch_size: int = 500,
        **shared,
    ):
        super().__init__(name="gman", width=width, **shared)
        self.learned = softmax_lambda == "learned"
        self.N, self.modified = discriminators, objective == "modified"
        errors.at_least_one(discriminators=discriminators)
        if batch_size % discriminators:
            raise errors.UserError(
                f"--batch_size {batch_size}: give a multiple of --discriminators {discriminators}"
            )
        errors.not_negative(softmax_lambda=0.0 if self.learned else softmax_lambda)
        self.base, self.stages = base_and_stages(self.image_size)
        self.strided = max(2, self.stages - 1)  # down to 4 to 8 pixels
        self.depths = depths or [self.strided + 1]
        errors.at_least_one(depths=min(self.depths))
        self.dense_units = (128 if self.stages < 3 else 0) if dense_units is None else dense_units
        errors.not_negative(dense_units=self.dense_units)
        each = keras.Input((self.N,))
        F = SoftMean(mean, None if self.learned else softmax_lambda)
        self.soft_mean = keras.Model(each, F(each), name="soft_mean")
        self.soft_mean.compile(optimizer=self.adam())
        self.deviation = MovingDeviation(WINDOW)
        self.build_players(bounded_cross_entropy, loss_weights=float(self.N))  # a sum over D_i

    @property
    def players(self) -> dict[str, Player]:
        """lambda, where it is learned, is a player too, which shares G's loss."""
        of_lambda = {"lambda": Player(self.soft_mean, self.soft_mean)} if self.learned else {}
        return super().players | of_lambda

    # The networks.

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        filters = [self.width * 2**k for k in reversed(range(self.stages))]  # 32, 16 for 28 pixels
        z = keras.Input((self.latent.size,))
        h = dense(z, self.base**2 * filters[0], use_bias=False)
        h = Reshape((self.base, self.base, filters[0]))(h)
        h = ReLU()(BatchNormalization()(h))  # (B, 7, 7, 32)
        for fewer in filters[1:]:
            h = conv_transpose(h, fewer, kernel=5, use_bias=False)
            h = ReLU()(BatchNormalization()(h))
        h = conv_transpose(h, self.channels, kernel=5)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """N parts of a batch, (B/N, S, S, C) each -> logits (B/N, N): D_i sees part i alone."""
        self.discriminators = [self.build_one(i) for i in range(self.N)]
        parts = [keras.Input(D.input_shape[1:]) for D in self.discriminators]
        logits = [D(x) for D, x in zip(self.discriminators, parts, strict=True)]
        return keras.Model(parts, ops.concatenate(logits, axis=1), name="discriminator")

    def build_one(self, i: int) -> keras.Model:
        """D_i: images (B, S, S, C) -> logits (B, 1), without batch normalization."""
        rate = 0.6 - 0.2 * (i + 1) / self.N
        x = h = keras.Input((self.image_size, self.image_size, self.channels))
        for k in range(self.depths[i % len(self.depths)]):
            halve = k < self.strided
            h = LeakyReLU(0.2)(conv(h, self.width * 2**k, kernel=3, strides=2 if halve else 1))
            h = Dropout(rate)(h) if halve else h
        h = Flatten()(h)  # (B, 7 * 7 * 64) for 28 pixels
        if self.dense_units:
            h = LeakyReLU(0.2)(dense(h, self.dense_units))
        logits = Activation("linear", dtype="float32")(dense(h, 1))
        return keras.Model(x, logits, name=f"discriminator_{i}")

    def build_combined(self) -> keras.Model:
        """z (B, latent) -> logits (B/N, N)."""
        z = keras.Input((self.latent.size,))
        return keras.Model(z, self.discriminator(self.parts(self.generator(z))), name="combined")

    # The losses.

    def parts(self, images: tf.Tensor) -> list[tf.Tensor]:
        """N disjoint parts of a batch: every N-th image, from each of the first N on."""
        if images.shape[0] is not None and images.shape[0] % self.N:
            raise errors.UserError(
                f"--batch_size: {images.shape[0]} images per step and device are no multiple of "
                f"--discriminators {self.N}"
            )
        return ops.unstack(ops.reshape(images, (-1, self.N, *images.shape[1:])), axis=1)

    def judge(self, images, classes, real):
        return self.discriminator(self.parts(images), training=True)

    def g_loss(self, real, fake):
        """F, of the values of all discriminators."""
        sign = -1.0 if self.modified else 1.0
        each = sign * log_probability(-sign * fake.output)  # (B/N, N)
        return self.soft_mean(ops.mean(all_gather(each), axis=0, keepdims=True))[0]

    def objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        losses, logs = super().objectives(x, labels)
        if self.learned:
            chosen = self.soft_mean.layers[-1].sharpness
            losses["lambda"] = losses["generator"] - REWARD * chosen
            logs["lambda"] = chosen
        return losses, logs

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One update of all players; also logs the deviation of G's loss over 500 steps."""
        logs = self.update(*batch)
        return logs | {"g_loss_deviation": self.deviation(logs["g_loss"])}

    # The comparison with another run.

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """What every D_i says of every image, (B, N), at inference."""
        return ops.concatenate([D(images, training=False) for D in self.discriminators], axis=1)

    def value(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """F of the V_i, a scalar below 0: logits of real and of generated images, (B, N) each."""
        V = ops.mean(log_probability(real), axis=0) + ops.mean(log_probability(-fake), axis=0)
        return self.soft_mean(V[None])[0]


if __name__ == "__main__":
    cli.main(GMAN, Generation, Rivals)
