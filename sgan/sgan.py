"""SGAN: the discriminator classifies images, most of which have no label.

Semi-Supervised Learning with Generative Adversarial Networks
Augustus Odena. ICML 2016 workshop, arXiv:1606.01583

Improved Techniques for Training GANs
Tim Salimans, Ian Goodfellow, Wojciech Zaremba, Vicki Cheung, Alec Radford, Xi Chen. NIPS 2016,
arXiv:1606.03498

Few images x have a class y, one of K; most, x_u, have none; generated images are a class of their
own. With the logits l_k of the K classes relative to that class, D says

    p(y|x) = exp l_y(x) / (1 + exp Z(x)),    P(real|x) = sigmoid(Z(x)),    Z = log sum_k exp l_k

`odena` is the first paper's classification into K + 1, with unlabelled images as "not generated":

    L_D = -E[log p(y|x)] - E[log P(real|x_u)] - E[log(1 - P(real|G(z)))]
    L_G = -E[log P(real|G(z))]

`fm` is the second paper's feature matching (sections 3.1 and 5): D's labelled images are classified
among the real classes alone, and G matches the mean of the features f, D's last hidden layer:

    L_D = -E[log p(y|x, real)] - 1/2 E[log P(real|x_u)] - 1/2 E[log(1 - P(real|G(z)))]
    L_G = mean_d (E[f_d(G(z))] - E[f_d(x_u)])^2

D is updated first, then G with fresh noise and other unlabelled images: each gets half of a batch.
From the authors' code for fm are the fully connected networks, with weight normalization and noise
in D, the initialization of D by data, and Adam, whose epsilon under the root is 1e-4 outside of it.

Deviations: images are classified by a moving average of D's weights, as in that code, but one that
starts from the initial weights and has a shorter memory than 180,000 steps need. odena's networks
are DCGAN's for digits. The learning rate of fm is a third of that code's, with which D wins for
some draws of the labels. The moving statistics of D's batch normalization follow real images alone.

    python3 sgan/sgan.py --dataset mnist --labels 100
"""

import math
import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.data.label_subset import halves
from common.distributed.collectives import all_gather
from common.images import image_file
from common.nn import convolutional, losses
from common.nn.blocks import dense
from common.nn.layers import BatchNormalization, GaussianNoise
from common.nn.optimizers import adam
from common.nn.weight_normalization import WeightNormDense, initialize_by_data
from common.noise_to_image import NoiseToImage, check_classes
from common.players import kept
from common.semi_supervised import SemiSupervised
from common.tasks.discriminator import Classification
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Dense, Flatten, ReLU, Rescaling, Reshape

LEARNING_RATES = {"fm": 1e-3, "odena": 2e-4}
EPSILONS = {"fm": 1e-4, "odena": 1e-8}
INITIAL_IMAGES = 500  # by which fm's D is initialized


class SGAN(SemiSupervised, NoiseToImage):
    """A generator that takes no class, and a discriminator that knows the classes.

    Args:
        objective: fm (feature matching) or odena (classification into K + 1).
        classes: number of classes.
        width: number of filters next to the image in odena's networks.
        dense_units: units of a hidden dense layer in each of odena's networks; 0 for none.
        dropout: dropout rate after the convolutions of odena's D.
        units: units of the first hidden layer of fm's D; the next ones have a half and a quarter,
            G's have a half.
        classifier_ema: decay of the moving average of D's weights, which classifies, from 0 (none)
            to below 1.
        learning_rate: step size of Adam for both networks; default 0.001 for fm, 0.0002 for odena.
    """

    defaults: ClassVar[dict] = {"batch_size": 200, "steps": 15000}
    distribution = "uniform"
    classifying = "discriminator"

    def __init__(
        self,
        objective: Literal["fm", "odena"] = "fm",
        classes: int = 10,
        width: int = 32,
        dense_units: int = 512,
        dropout: float = 0.4,
        units: int = 1000,
        classifier_ema: float = 0.999,
        learning_rate: float | None = None,
        **shared,
    ):
        rate = LEARNING_RATES[objective] if learning_rate is None else learning_rate
        shared |= {"width": width, "learning_rate": rate, "classifier_ema": classifier_ema}
        super().__init__(name="sgan", **shared)
        check_classes(classes, "sgan")
        errors.not_negative(dense_units=dense_units)
        errors.at_least(4, units=units)
        errors.below_one(dropout=dropout)
        self.fm = objective == "fm"
        self.K = classes  # that D knows; `self.classes` is 0, as G takes none
        self.shape = (self.image_size, self.image_size, self.channels)
        self.dense_units, self.dropout, self.units = dense_units, dropout, units
        epsilon = EPSILONS[objective]
        self.build_players(optimizer=lambda: adam(rate, self.beta_1, epsilon=epsilon))

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        if not self.fm:
            sizes = self.image_size, self.channels, self.width, self.dense_units
            return keras.Model(z, convolutional.generator(z, *sizes), name="generator")
        h = Rescaling(0.5, 0.5)(z)  # from U(-1, 1) to U(0, 1)
        for _ in range(2):
            h = Dense(self.units // 2, use_bias=False)(h)
            h = Activation("softplus")(BatchNormalization(scale=False, epsilon=1e-6)(h))  # (B, 500)
        h = WeightNormDense(math.prod(self.shape), True, "glorot_uniform")(h)
        h = Activation("sigmoid", dtype="float32")(Reshape(self.shape)(h))
        return keras.Model(z, Rescaling(2.0, -1.0, dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits l (B, K) and features f (B, F), float32."""
        x = keras.Input(self.shape)
        if self.fm:
            h = GaussianNoise(0.3)(Flatten()(Rescaling(0.5, 0.5)(x)))  # pixels in [0, 1]
            for part in (1, 2, 4, 4, 4):
                f = ReLU()(WeightNormDense(self.units // part)(h))  # (B, 1000), ..., (B, 250)
                h = GaussianNoise(0.5)(f)
            logits = WeightNormDense(self.K, learned_scale=True)(h)
        else:
            f = convolutional.features(x, self.width, self.dense_units, dropout=self.dropout)
            h = dense(f, self.K + 1)
            logits = h[:, : self.K] - h[:, self.K :]
        outputs = [Activation("linear", dtype="float32")(h) for h in (logits, f)]
        return keras.Model(x, outputs, name="discriminator")

    def initialize(self, data):
        """Initial scales and biases of fm's D, by images without their labels."""
        images, _ = data.arrays("train", INITIAL_IMAGES)
        initialize_by_data(self.discriminator, image_file.to_unit(images))

    # The step, with D's outputs (l, f).

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of D, then one of G."""
        x_u, _ = batch  # whose labels are unknown
        of_d, of_g = halves(x_u)
        logs = self.update(of_d, objectives=self.d_objectives, only=["discriminator"])
        if self.baseline:
            return logs
        return logs | self.update(of_g, objectives=self.g_objectives, only=["generator"])

    def judge(self, images: tf.Tensor, classes: tf.Tensor | None, real: bool) -> list[tf.Tensor]:
        if real:
            return super().judge(images, classes, real)
        with kept(self.discriminator.non_trainable_weights):
            return super().judge(images, classes, real)

    def d_objectives(self, x_u: tf.Tensor) -> tuple[dict, dict]:
        """D's loss; `accuracy` is the share of the labelled images that D classifies correctly."""
        x, y = self.labelled.draw(x_u.shape[0], self.noise)
        logits, _ = self.judge(x, y, real=True)
        loss = losses.softmax_cross_entropy(y, logits)
        if not self.fm:  # -log p(y|x) = -log p(y|x, real) - log P(real|x)
            loss += losses.cross_entropy(1.0, Z(logits))
        logs = {"accuracy": losses.accuracy(y, logits)}
        if self.baseline:
            return {"discriminator": loss}, logs
        of_real, _ = self.judge(x_u, None, real=True)
        of_fake, _ = self.judge(self.fake(x_u), None, real=False)
        unlabelled = losses.cross_entropy(1.0, Z(of_real)) + losses.cross_entropy(0.0, Z(of_fake))
        loss += (0.5 if self.fm else 1.0) * unlabelled
        return {"discriminator": loss}, logs | {"unlabelled_loss": unlabelled}

    def g_objectives(self, x_u: tf.Tensor) -> tuple[dict, dict]:
        """G's loss."""
        logits, f = self.judge(self.fake(x_u), None, real=False)
        if not self.fm:
            return {"generator": losses.cross_entropy(1.0, Z(logits))}, {}
        _, f_u = self.judge(x_u, None, real=True)
        return {"generator": losses.feature_matching(all_gather(f), all_gather(f_u))}, {}

    def fake(self, x: tf.Tensor) -> tf.Tensor:
        """As many images from fresh noise as x has."""
        return self.generator(self.draw_z(x), training=True)


def Z(logits: tf.Tensor) -> tf.Tensor:
    """The logit of P(real), (B,), of the classes' logits (B, K)."""
    return ops.logsumexp(logits, axis=1)


if __name__ == "__main__":
    cli.main(SGAN, Generation, Classification)
