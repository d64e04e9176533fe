"""BGAN: a GAN whose generator may emit discrete pixels.

Boundary-Seeking Generative Adversarial Networks
R Devon Hjelm, Athul Paul Jacob, Tong Che, Adam Trischler, Kyunghyun Cho, Yoshua Bengio.
ICLR 2018, arXiv:1702.08431

With F(x) the discriminator's logit, an optimal one has w(x) = e^F(x) = p_data(x) / p_g(x).

    L_D = E[softplus(-F(x))] + E[softplus(F(x_hat))]

Discrete: G(z) gives the logits g of the pixels, each Bernoulli given z. Of M images x_m sampled for
the same z, the weights w_m, normalized over these M, are the rewards of a policy gradient:

    w~_m = e^F(x_m) / sum_k e^F(x_k)
    L_G  = - E_z[ sum_m (w~_m - 1/M) log p(x_m | z) ]   no gradient through w~_m or the sampling
    log p(x | z) = sum over pixels of x g - softplus(g), x in {0, 1}

Continuous: G(z) is the image, and is driven to the decision boundary, where F is 0:

    L_G  = 1/2 E[F(G(z))^2]

Deviations: 1/M is a baseline, a control variate: the gradient of the mean log-probability of
samples of a distribution is zero on average, and where the weights are nearly equal it is most of
the variance. For discrete images G's learning rate is five times D's. With both G keeps up with D
(measured in the README). By default the networks are smaller and M is 10, since a step of the
published ones with 64 times 20 images takes seconds on a CPU: --width 64 --dense_units 1024
--samples 20 and --batch_size 64 are the published configuration. z is normal, where the authors'
code draws from [0, 1]. Initial weights are DCGAN's, N(0, 0.02), where that code has Lasagne's
defaults. Networks see -1 and 1, theirs 0 and 1. G and D are updated at once, on the same samples.
The code's running estimate of log Z, towards which it drives F in the continuous case, is left out:
at the optimum it is 0. Pixels of more than two levels are left out.

    python3 bgan/bgan.py --dataset mnist
"""

import sys
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import sharded_random
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.nn.optimizers import adam
from common.noise_to_image import Judged, NoiseToImage
from common.tasks.binary_pixels import BinaryPixels
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Flatten, LeakyReLU, ReLU, Reshape


def normalized_weights(log_w):
    """w~ (B, M) of log weights (B, M): the M samples of one z sum to 1 (section 2.3)."""
    return ops.stop_gradient(ops.softmax(log_w, axis=1))


def log_probability(x, g):
    """log p(x | z), float (B, M), summed over the pixels.

    Args:
        x: pixels in {0, 1}, float (B, M, S, S, C).
        g: logits of G(z), float (B, S, S, C).
    """
    g = ops.expand_dims(g, 1)
    return ops.sum(x * g - ops.softplus(g), axis=(2, 3, 4))


def policy_loss(weights, log_p, baseline=0.0):
    """L_G of the discrete case: the mean over z of -sum_m (w~_m - b) log p(x_m | z)."""
    return -ops.mean(ops.sum((weights - baseline) * log_p, axis=1))


def effective_samples(weights):
    """Effective sample size, 1 / sum_m w~_m^2, mean over z: from 1 (one has all weight) to M."""
    return ops.mean(1.0 / ops.sum(ops.square(weights), axis=1))


class BGAN(NoiseToImage):
    """Boundary-seeking GAN of binary images, or of continuous ones.

    Args:
        objective: discrete (black and white images, pixel by pixel and channel by channel) or
            continuous (all shades).
        latent_size: number of components of z.
        width: number of filters of the largest feature maps; 64 in the paper.
        dense_units: units of a hidden dense layer in each network; 1024 in the paper, 0 for none.
        samples: M, number of images sampled for each z in the discrete case, at least 2; 20 in the
            paper.
        baseline: subtract 1 / M from the weights in the discrete case.
        learning_rate: step size of Adam for D; 1e-4 in the authors' code for both networks.
        g_learning_rate: step size of Adam for G; default five times D's for discrete images, else
            the same.
    """

    defaults: ClassVar[dict] = {"batch_size": 32, "steps": 12000}

    def __init__(
        self,
        objective: Literal["discrete", "continuous"] = "discrete",
        latent_size: int = 64,
        width: int = 32,
        dense_units: int = 0,
        samples: int = 10,
        baseline: bool = True,
        learning_rate: float = 1e-4,
        g_learning_rate: float | None = None,
        **shared,
    ):
        sizes = {"latent_size": latent_size, "width": width}
        super().__init__(name="bgan", learning_rate=learning_rate, **sizes, **shared)
        errors.not_negative(dense_units=dense_units)
        errors.above_zero(g_learning_rate=g_learning_rate)
        if samples < 2:
            raise errors.UserError(f"--samples {samples}: give 2 or more; of one, the weight is 1")
        self.shape = (self.image_size, self.image_size, self.channels)
        self.discrete = objective == "discrete"
        self.dense_units, self.samples = dense_units, samples
        self.baseline = 1.0 / samples if baseline else 0.0
        self.prior = self.latent  # z
        if self.discrete:  # the sampler's noise is z and what decides each pixel
            self.latent = Latent(latent_size + prod(self.shape))

        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(loss=losses.cross_entropy, optimizer=self.adam())
        self.combined = self.build_combined()
        g_rate = g_learning_rate or (5.0 if self.discrete else 1.0) * learning_rate
        g_adam = adam(g_rate, self.beta_1)
        self.combined.compile(optimizer=g_adam)  # its losses take several outputs: see below
        self.compile()
        if self.discrete:
            self.probabilities, self.binary_sampler = self.build_samplers()

    @property
    def sampler(self) -> keras.Model:
        return self.binary_sampler if self.discrete else self.sampling_network

    def build_generator(self) -> keras.Model:
        """DCGAN's: z (B, latent_size) -> logits or images, float32 (B, S, S, C)."""
        base, stages = base_and_stages(self.image_size)
        filters = [self.width * 2**k for k in reversed(range(stages))]

        z = h = keras.Input((self.prior.size,))
        for units in (self.dense_units, base * base * filters[0]):
            if units:
                h = ReLU()(BatchNormalization()(dense(h, units, use_bias=False)))
        h = Reshape((base, base, filters[0]))(h)  # (B, 7, 7, 64) for 28 pixels
        for f in filters[1:]:
            h = conv_transpose(h, f, kernel=5, use_bias=False)
            h = ReLU()(BatchNormalization()(h))
        h = conv_transpose(h, self.channels, kernel=5)
        last = Activation("linear" if self.discrete else "tanh", dtype="float32")
        return keras.Model(z, last(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """x (B, S, S, C) in [-1, 1] -> F(x), float32 (B, 1)."""
        _, stages = base_and_stages(self.image_size)
        x = h = keras.Input(self.shape)
        for k in range(stages):
            # With M images of one z, batch statistics would tell generated batches from real ones.
            normalize = k > 0 and not self.discrete
            h = conv(h, self.width * 2**k, kernel=5, use_bias=not normalize)
            h = LeakyReLU(0.2)(BatchNormalization()(h) if normalize else h)
        h = Flatten()(h)
        if self.dense_units:
            h = LeakyReLU(0.2)(dense(h, self.dense_units))
        h = dense(h, 1)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="discriminator")

    def build_combined(self) -> keras.Model:
        """G into D, with the noise drawn outside.

        Discrete: z and u, uniform in [0, 1), (B, M, S, S, C) -> log p(x_m | z) and F(x_m), each
        (B, M). Continuous: z -> F(G(z)), (B, 1).
        """
        z = keras.Input((self.prior.size,))
        if not self.discrete:
            return keras.Model(z, self.discriminator(self.generator(z)), name="combined")
        u = keras.Input((self.samples, *self.shape))
        g = self.generator(z)  # (B, S, S, C)
        x = ops.cast(u < ops.expand_dims(ops.sigmoid(g), 1), "float32")  # (B, M, S, S, C)
        images = ops.reshape(2.0 * x - 1.0, (-1, *self.shape))  # (B M, S, S, C)
        log_w = ops.reshape(self.discriminator(images), (-1, self.samples))
        return keras.Model([z, u], [log_probability(x, g), log_w], name="combined")

    def build_samplers(self) -> tuple[keras.Model, keras.Model]:
        """Noise (B, latent.size) -> images (B, S, S, C), float32: pixel probabilities, and samples.

        Probabilities are mapped to [-1, 1]; samples are -1 or 1. The noise is z and a normal n for
        each pixel, which is on where Phi(n) is below its probability. Phi(n) is uniform, so the
        pixel is Bernoulli and a function of the noise.
        """
        noise = keras.Input((self.latent.size,))
        p = ops.sigmoid(self.sampling_network(noise[:, : self.prior.size]))
        n = ops.reshape(noise[:, self.prior.size :], (-1, *self.shape))
        below = 0.5 * (1.0 + ops.erf(n / 2.0**0.5))  # Phi(n)
        drawn = ops.where(below < p, 1.0, -1.0)
        shades = keras.Model(noise, 2.0 * p - 1.0, name="probabilities")
        return shades, keras.Model(noise, drawn, name="sampler")

    def generator_inputs(self, number: int, batch: tuple):
        return self.prior.of_seed(number, batch[0].shape[0])

    # The losses.

    def objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players; of discrete images with `ess`, the effective sample size.

        Near 1 the discriminator is too certain to learn from; at M it cannot tell images apart.
        """
        if not self.discrete:
            return super().objectives(x, labels)
        count = ops.shape(x)[0]
        z = self.prior.draw(count, self.noise)
        shape = (count, self.samples, *self.shape)
        u = sharded_random(keras.random.uniform, shape, seed=self.noise)
        x = ops.where(x > 0, 1.0, -1.0)
        log_p, fake = self.combined([z, u], training=True)
        real = self.discriminator(x, training=True)
        weights = normalized_weights(fake)
        d_loss = self.d_loss(Judged(x, labels, real), Judged(None, labels, fake))
        g_loss = policy_loss(weights, log_p, self.baseline)
        ess = effective_samples(weights)
        return {"discriminator": d_loss, "generator": g_loss}, {"ess": ess}

    def g_loss(self, real, fake):
        """L_G of the continuous case."""
        return 0.5 * losses.least_squares(0.0, fake.output)


if __name__ == "__main__":
    cli.main(BGAN, Generation, BinaryPixels)
