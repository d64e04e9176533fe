"""CGAN: a generator and a discriminator that are both told the class.

Conditional Generative Adversarial Nets
Mehdi Mirza, Simon Osindero. 2014, arXiv:1411.1784

With x an image of class y and z noise, D judges the pair of image and class, so that a good
image of another class is a fake too:

    min_G max_D  E[log D(x|y)] + E[log(1 - D(G(z|y')|y'))]                 (equation 2)

G maximises log D(G(z|y')|y') instead of minimising log(1 - D), and both get the same y'. By default
y' are the classes of the batch: drawn uniformly where the data are unbalanced, D could tell a fake
by how rare its class is among the real ones.

Deviations: the paper's networks are fully connected; the default here is convolutional, laid out as
the conditional digit networks in the code of DCGAN (Radford et al. 2016): the one-hot class enters
every layer. Both networks are trained with that code's Adam and L2 penalty, the paper's with its
decaying SGD. z is uniform in [-1, 1] and not in [0, 1], which the first layer's weights and biases
make up for. Of initial weights the paper says nothing: those of the fully connected networks are
as in GAN's code (Goodfellow et al. 2014), uniform up to 0.05 in G and 0.005 in D, which also drops
a fifth of the pixels. The discriminators end in a logit. Both players move at once, from one
forward pass of G and one of D over its images. Tags for photos (section 4.2) are left out.

    python3 cgan/cgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial, watching
from common.distributed.collectives import sharded_random
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization, Dropout
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Concatenate, Flatten, LeakyReLU, ReLU, Rescaling, Reshape


class CGAN(Adversarial):
    """Class-conditional generator and discriminator.

    Args:
        image_size: side of the images in pixels; for the convolutional networks 4 to 7 times a
            power of two, such as 28, 32 or 64.
        channels: channels of the images, 1 for grey or 3 for RGB.
        classes: number of classes, 2 or more.
        network: convolutional (the class enters every layer) or fully_connected (the paper's).
        width: filters of the convolutions at half the images' side, doubled at each smaller side
            up to eight times. The fully connected network is the paper's at 32, and as much
            narrower or wider as this is.
        latent_size: components of the noise z; 100 in the paper.
        dropout: share of units dropped in the fully connected networks; 0.5 in the paper. The
            convolutional ones have no dropout.
        pixel_dropout: share of pixel values that the fully connected discriminator drops, 0.2 in
            the code of GAN; the convolutional one drops none.
        fake_labels: classes of the generated images in training: those of the batch, or drawn
            uniformly.
        matching_weight: weight of a further term of D, which calls a real image with a wrong
            class a fake (matching-aware, Reed et al. 2016, algorithm 1); 0 for none.
        learning_rate: Adam's step size, for both players.
        beta_1: Adam's decay of the first moment.
        l2: of a player's weights w, l2 / 2 times the sum of w^2 is added to its loss.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    # The authors of DCGAN let the rate of their digits fall to 0 over the last 100 of 200 epochs.
    defaults: ClassVar[dict] = {"batch_size": 128, "schedule": "linear"}

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        classes: int = 10,
        network: Literal["convolutional", "fully_connected"] = "convolutional",
        width: int = 32,
        latent_size: int = 100,
        dropout: float = 0.5,
        pixel_dropout: float = 0.2,
        fake_labels: Literal["batch", "uniform"] = "batch",
        matching_weight: float = 0.0,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        l2: float = 2.5e-5,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="cgan")
        if classes < 2:
            raise UserError(
                f"--dataset: CGAN needs images of 2 classes or more, here are {classes}; give a "
                "folder with a subfolder for each class, or a labelled set such as mnist"
            )
        errors.at_least_one(image_size=image_size, width=width, latent_size=latent_size)
        errors.above_zero(learning_rate=learning_rate)
        errors.not_negative(matching_weight=matching_weight, l2=l2)
        errors.below_one(dropout=dropout, pixel_dropout=pixel_dropout, beta_1=beta_1)
        self.image_size, self.channels, self.classes = image_size, channels, classes
        self.network = network
        self.width = width
        self.dropout, self.pixel_dropout = dropout, pixel_dropout
        self.fake_labels = fake_labels
        self.matching_weight = matching_weight
        self.l2 = l2
        self.latent = Latent(latent_size, "uniform")
        self.noise = keras.random.SeedGenerator()

        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=losses.cross_entropy,
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )
        z, y = keras.Input((latent_size,)), keras.Input((classes,))
        judged = self.discriminator([self.generator([z, y]), y])
        self.combined = keras.Model([z, y], judged, name="combined")
        self.combined.compile(
            loss=losses.cross_entropy,
            optimizer=keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8),
        )
        self.compile()

    # G and D: the convolutional ones, then the paper's.

    def build_generator(self) -> keras.Model:
        """G: z (B, latent_size) and one-hot y (B, classes) -> images (B, S, S, C) in [-1, 1]."""
        z, y = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        convolutional = self.network == "convolutional"
        x = self.convolutional_generator(z, y) if convolutional else self.paper_generator(z, y)
        return keras.Model([z, y], x, name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) and one-hot y (B, classes) -> logits (B, 1), float32."""
        side = self.image_size
        x, y = keras.Input((side, side, self.channels)), keras.Input((self.classes,))
        convolutional = self.network == "convolutional"
        logit = self.convolutional_judge(x, y) if convolutional else self.paper_judge(x, y)
        return keras.Model(
            [x, y], Activation("linear", dtype="float32")(logit), name="discriminator"
        )

    def filters(self) -> list[int]:
        """Filters at half the side, a quarter, ... down to the base."""
        _, stages = base_and_stages(self.image_size)
        return [self.width * min(2**stage, 8) for stage in range(stages)]

    def convolutional_generator(self, z, y):
        """Transposed convolutions that double the base's side up to the image's."""
        base, _ = base_and_stages(self.image_size)
        *narrower, widest = self.filters()
        h = dense(with_class(z, y), base * base * widest, use_bias=False)
        h = Reshape((base, base, widest))(h)  # (B, 7, 7, 64) for digits
        h = ReLU()(BatchNormalization()(h))
        for filters in reversed(narrower):  # (B, 14, 14, 32)
            h = conv_transpose(with_class(h, y), filters, kernel=5, use_bias=False)
            h = ReLU()(BatchNormalization()(h))
        h = conv_transpose(with_class(h, y), self.channels, kernel=5)  # (B, 28, 28, 1)
        return Activation("tanh", dtype="float32")(h)

    def convolutional_judge(self, x, y):
        """Convolutions that halve the image's side down to the base's; the logit."""
        h = x
        for stage, filters in enumerate(self.filters()):  # (B, 14, 14, 32), (B, 7, 7, 64)
            h = conv(with_class(h, y), filters, kernel=5, use_bias=stage == 0)
            h = LeakyReLU(0.2)(BatchNormalization()(h) if stage else h)
        return dense(with_class(Flatten()(h), y), 1)

    def paper_generator(self, z, y):
        """Fully connected (section 4.1); its sigmoid's [0, 1] becomes the zoo's [-1, 1]."""
        side = self.image_size
        h_z, h_y = (affine(h, self.units(n), 0.05) for h, n in ((z, 200), (y, 1000)))
        h = Concatenate()([ReLU()(h_z), ReLU()(h_y)])
        h = Dropout(self.dropout)(ReLU()(affine(h, self.units(1200), 0.05)))
        h = affine(h, side * side * self.channels, 0.05)
        h = Reshape((side, side, self.channels))(h)
        h = Activation("sigmoid", dtype="float32")(h)
        return Rescaling(2.0, -1.0, dtype="float32")(h)  # 2 sigmoid(a) - 1 = tanh(a / 2)

    def paper_judge(self, x, y):
        """Maxout layers (section 4.1) over pixels in [0, 1]; the logit."""
        x = Dropout(self.pixel_dropout)(Flatten()(Rescaling(0.5, 0.5)(x)))
        h = Concatenate()([maxout(x, self.units(240), 5), maxout(y, self.units(50), 5)])
        h = maxout(Dropout(self.dropout)(h), self.units(240), 4)
        return affine(Dropout(self.dropout)(h), 1, 0.005)

    def units(self, paper: int) -> int:
        """Units of a fully connected layer that has `paper` units in the paper."""
        return max(1, paper * self.width // 32)

    def losses_and_gradients(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """Losses of both players and the gradients of each with respect to its own weights.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            labels: their classes, int32 (B,), from 0 to below `classes`.
        """
        D, G = self.updates["discriminator"], self.updates["generator"]
        z = self.latent.draw(ops.shape(x)[0], self.noise)
        y, y_fake = (tf.one_hot(c, self.classes) for c in (labels, self.classes_of_fakes(labels)))
        with watching(G.variables) as g_tape, watching(D.variables) as d_tape:
            fake = self.combined([z, y_fake], training=True)
            real = self.discriminator([x, y], training=True)
            d_loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
            d_loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
            if self.matching_weight:
                y_wrong = tf.one_hot(self.wrong_classes(labels), self.classes)
                wrong = self.discriminator([x, y_wrong], training=True)
                mismatch = self.discriminator.compute_loss(y=tf.zeros_like(wrong), y_pred=wrong)
                d_loss += self.matching_weight * mismatch
            d_loss += self.penalty(D.variables)
            g_loss = self.combined.compute_loss(y=tf.ones_like(fake), y_pred=fake)
            g_loss += self.penalty(G.variables)
        gradients = {
            "discriminator": D.gradients(d_tape, d_loss),
            "generator": G.gradients(g_tape, g_loss),
        }
        return {"d_loss": d_loss, "g_loss": g_loss}, gradients

    def classes_of_fakes(self, labels: tf.Tensor) -> tf.Tensor:
        """y' of a batch, int32 (B,); one draw for both players."""
        if self.fake_labels == "batch":
            return labels
        return sharded_random(
            keras.random.randint, ops.shape(labels), 0, self.classes, "int32", self.noise
        )

    def wrong_classes(self, labels: tf.Tensor) -> tf.Tensor:
        """For each label one of the other classes, drawn uniformly, int32 (B,)."""
        steps = sharded_random(
            keras.random.randint, ops.shape(labels), 1, self.classes, "int32", self.noise
        )
        return (labels + steps) % self.classes

    def penalty(self, variables: list[keras.Variable]) -> tf.Tensor | float:
        """l2 / 2 times the sum of the squared weights; its gradient is l2 w."""
        if not self.l2:
            return 0.0
        return self.l2 / 2 * sum(ops.sum(ops.square(v)) for v in variables)


def with_class(h, y):
    """Features (B, N) or (B, H, W, N) with the one-hot y (B, K) behind them, constant over H, W."""
    if len(h.shape) == 4:
        y = ops.tile(Reshape((1, 1, y.shape[-1]))(y), (1, *h.shape[1:3], 1))
    return Concatenate()([h, y])


def affine(h, units: int, reach: float):
    """A dense layer with initial weights from U(-reach, reach)."""
    init = keras.initializers.RandomUniform(-reach, reach)
    return keras.layers.Dense(units, kernel_initializer=init)(h)


def maxout(h, units: int, pieces: int):
    """(B, N) -> (B, units), each the largest of `pieces` affine functions of the input."""
    return ops.max(Reshape((units, pieces))(affine(h, units * pieces, 0.005)), axis=-1)


if __name__ == "__main__":
    cli.main(CGAN, Generation)
