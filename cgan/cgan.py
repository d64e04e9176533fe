"""CGAN: generator and discriminator are both conditioned on the class.

Conditional Generative Adversarial Nets
Mehdi Mirza, Simon Osindero. 2014, arXiv:1411.1784

With x an image of class y and z noise, D judges the pair of image and class, so that a good image
of another class counts as generated too:

    min_G max_D  E[log D(x|y)] + E[log(1 - D(G(z|y')|y'))]                 (equation 2)

G maximizes log D(G(z|y')|y') instead of minimizing log(1 - D), and both networks get the same y'.
By default y' are the classes of the batch: if they were drawn uniformly where the data are
unbalanced, D could recognize a generated image by the frequency of its class.

Deviations: the paper's networks are fully connected; the default here is convolutional, after the
conditional digit networks in the code of DCGAN (Radford et al. 2016): the one-hot class enters
every layer. Those have besides a hidden dense layer of 1,024 units in each network, and no biases
in G's last and D's first and last layer. Both of ours are trained with that code's Adam and L2
penalty, the paper's with SGD of decaying rate. z is uniform in [-1, 1], not [0, 1], for which the
first layer's weights and biases can make up. The paper gives no initial weights: those of the fully
connected networks are from the code of GAN (Goodfellow et al. 2014), uniform up to 0.05 in G and
0.005 in D, and like that code's D, ours drops a fifth of the pixels. At inference G uses the moving
statistics of batch normalization, that code those of the batch. The discriminators end in a logit.
G and D are updated at once, from one forward pass of G and one of D over its images. Tags for
photos (section 4.2) are left out.

    python3 cgan/cgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.blocks import affine, base_and_stages, conv, conv_transpose, dense, maxout
from common.nn.layers import BatchNormalization, Dropout
from common.noise_to_image import ClassConditional
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Concatenate, Flatten, LeakyReLU, ReLU, Rescaling, Reshape


class CGAN(ClassConditional):
    """Class-conditional generator and discriminator.

    Args:
        network: convolutional (the class enters every layer) or fully_connected (the paper's).
        width: number of filters at half the image's side, doubled at each smaller side up to eight
            times. The fully connected networks are the paper's at 32 and scale with the width.
        dropout: dropout rate of the fully connected networks, 0.5 in the paper; the convolutional
            ones have no dropout.
        pixel_dropout: dropout rate of the pixels in the fully connected discriminator, 0.2 in the
            code of GAN; the convolutional one drops none.
        fake_labels: classes of the generated images in training: those of the batch, or drawn
            uniformly.
        matching_weight: weight of another term of D's loss, for which a real image with a wrong
            class is a fake (matching-aware, Reed et al. 2016, algorithm 1); 0 for none.
        l2: coefficient of the L2 penalty: l2 / 2 times the sum of a network's squared weights.
    """

    # In the code of DCGAN the learning rate of digits falls to 0 over the last 100 of 200 epochs.
    defaults: ClassVar[dict] = {"batch_size": 128, "steps": 9000, "schedule": "linear"}
    distribution = "uniform"

    def __init__(
        self,
        network: Literal["convolutional", "fully_connected"] = "convolutional",
        width: int = 32,
        dropout: float = 0.5,
        pixel_dropout: float = 0.2,
        fake_labels: Literal["batch", "uniform"] = "batch",
        matching_weight: float = 0.0,
        l2: float = 2.5e-5,
        **shared,
    ):
        super().__init__(name="cgan", width=width, **shared)
        errors.at_least_one(image_size=self.image_size)
        errors.not_negative(matching_weight=matching_weight, l2=l2)
        errors.below_one(dropout=dropout, pixel_dropout=pixel_dropout)
        self.network, self.fake_labels = network, fake_labels
        self.dropout, self.pixel_dropout = dropout, pixel_dropout
        self.matching_weight, self.l2 = matching_weight, l2
        self.build_players(losses.cross_entropy)

    # The networks: convolutional ones, then the paper's.

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
        logit = (
            self.convolutional_discriminator(x, y)
            if convolutional
            else self.paper_discriminator(x, y)
        )
        return keras.Model(
            [x, y], Activation("linear", dtype="float32")(logit), name="discriminator"
        )

    def filters(self) -> list[int]:
        """Filters at half the side, a quarter, ... down to the base."""
        _, stages = base_and_stages(self.image_size)
        return [self.width * min(2**stage, 8) for stage in range(stages)]

    def convolutional_generator(self, z, y):
        """Transposed convolutions that double the side up to the image's."""
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

    def convolutional_discriminator(self, x, y):
        """Convolutions that halve the image's side; returns the logit."""
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

    def paper_discriminator(self, x, y):
        """Maxout layers (section 4.1) over pixels in [0, 1]; returns the logit."""
        x = Dropout(self.pixel_dropout)(Flatten()(Rescaling(0.5, 0.5)(x)))
        h = Concatenate()([maxout(x, self.units(240), 5), maxout(y, self.units(50), 5)])
        h = maxout(Dropout(self.dropout)(h), self.units(240), 4)
        return affine(Dropout(self.dropout)(h), 1, 0.005)

    def units(self, paper: int) -> int:
        """Units of a fully connected layer that has `paper` units in the paper."""
        return max(1, paper * self.width // 32)

    # The losses.

    def fake_classes(self, labels: tf.Tensor) -> tf.Tensor:
        return labels if self.fake_labels == "batch" else self.uniform_classes(labels)

    def d_loss(self, real, fake):
        loss = super().d_loss(real, fake)
        if self.matching_weight:
            other = (real.classes + self.uniform_classes(real.classes, start=1)) % self.classes
            wrong = self.judge(real.images, other, real=True)
            mismatch = self.discriminator.compute_loss(y=tf.zeros_like(wrong), y_pred=wrong)
            loss += self.matching_weight * mismatch
        return loss + losses.l2_penalty(self.discriminator.trainable_variables, self.l2)

    def g_loss(self, real, fake):
        weights = self.generator.trainable_variables
        return super().g_loss(real, fake) + losses.l2_penalty(weights, self.l2)


def with_class(h, y):
    """Features (B, N) or (B, H, W, N) joined with the one-hot y (B, K), constant over H and W."""
    if len(h.shape) == 4:
        y = ops.tile(Reshape((1, 1, y.shape[-1]))(y), (1, *h.shape[1:3], 1))
    return Concatenate()([h, y])


if __name__ == "__main__":
    cli.main(CGAN, Generation)
