"""pix2pix: paired image-to-image translation.

Image-to-Image Translation with Conditional Adversarial Networks
Phillip Isola, Jun-Yan Zhu, Tinghui Zhou, Alexei A. Efros. CVPR 2017, arXiv:1611.07004

With x an image, y its target and G(x) the translation, whose noise is dropout:

    L_cGAN(G, D) = E[log D(x, y)] + E[log(1 - D(x, G(x)))]                 (equation 1)
    L_L1(G)      = E[|y - G(x)|]                                           (equation 3)
    G*           = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G)           (equation 4)

G maximizes log D(x, G(x)) rather than minimizing log(1 - D), and D's loss is halved (section 3.3).

Deviations: convolutions followed by batch normalization have no bias, which the normalization
would cancel; the others have one, where the authors' code sets all biases to zero each step. G and
D are updated at once from one forward pass of G and one of D over the translation, where the paper
alternates; the authors' code shares that pass too, and differs only in back-propagating through the
D that was just updated. Of the discriminators of section 4.4 the one of single pixels is left out.

    python3 pix2pix/pix2pix.py --dataset facades
"""

import sys
from math import log2
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import conv, patchgan
from common.nn.layers import BatchNormalization, Dropout, SkipLeakyReLU
from common.nn.optimizers import adam
from common.nn.upsampling import Upsampling, upsample
from common.tasks.paired_translation import PairedTranslation

import keras
import tensorflow as tf
from keras.layers import Activation, Concatenate, ReLU

OBJECTIVES = {"cross_entropy": losses.cross_entropy, "least_squares": losses.least_squares}


class Pix2Pix(Adversarial):
    """U-Net generator and PatchGAN discriminator, trained on pairs of images.

    Args:
        image_size: side of the training images in pixels, a power of two from 32 up. The U-Net
            halves it down to a single pixel, so it has log2(image_size) levels.
        channels_in: channels of the condition x, 3 for RGB or 1 for grayscale.
        channels_out: channels of the target y, 3 or 1.
        width: number of filters of the first convolution of each network; 64 in the paper.
        strided: convolutions with strides 2 in the discriminator: 3 gives patches of 70x70 pixels,
            2 of 34x34, 1 of 16x16, 5 of 286x286 (section 4.4). Default 3 from 256 pixels up, as in
            the paper, 2 at 128 and 1 below, which is the same part of an image.
        objective: adversarial loss, cross_entropy as in the paper or least_squares.
        l1_weight: lambda, the weight of the mean absolute difference in [-1, 1]; 100 in the paper.
        upsampling: layers of the decoder: transposed convolutions as in the paper, or nearest or
            bilinear interpolation and a convolution each, against checkerboard patterns.
        dropout: dropout rate in the first three decoder levels; 0.5 in the paper.
        inference_dropout: whether dropout stays on at inference, as in the paper.
        inference_statistics: statistics that normalize the generator's activations at inference:
            those of each image itself ("image", as in the paper at batch size 1) or moving averages
            ("moving").
        inference_seed: seed for the dropout mask at inference.
        learning_rate: step size of Adam, for both networks.
        beta_1: Adam's decay rate for the first moment.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    earlier_defaults: ClassVar[dict] = {"strided": 3}

    def __init__(
        self,
        image_size: int = 256,
        channels_in: int = 3,
        channels_out: int = 3,
        width: int = 64,
        strided: int | None = None,
        objective: Literal["cross_entropy", "least_squares"] = "cross_entropy",
        l1_weight: float = 100.0,
        upsampling: Upsampling = "transposed",
        dropout: float = 0.5,
        inference_dropout: bool = True,
        inference_statistics: Literal["image", "moving"] = "image",
        inference_seed: int = 0,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="pix2pix")
        errors.power_of_two(32, image_size=image_size)
        strided = min(max(int(log2(image_size)) - 5, 1), 3) if strided is None else strided
        errors.at_least_one(width=width, strided=strided)
        if image_size < 3 * 2**strided:
            raise UserError(
                f"--strided {strided}: give less, or an --image_size of {3 * 2**strided} or more"
            )
        errors.above_zero(learning_rate=learning_rate)
        errors.not_negative(l1_weight=l1_weight)
        errors.below_one(beta_1=beta_1, dropout=dropout)
        self.image_size = image_size
        self.channels_in, self.channels_out = channels_in, channels_out
        self.width, self.strided = width, strided
        self.upsampling, self.dropout = upsampling, dropout
        self.inference_seed = inference_seed if inference_dropout else None
        self.inference_statistics = inference_statistics

        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=OBJECTIVES[objective],
            loss_weights=0.5,  # section 3.3; Adam is invariant to it
            optimizer=adam(learning_rate, beta_1),
        )

        x = keras.Input((None, None, channels_in))
        y_hat = self.generator(x)
        self.combined = keras.Model(x, [self.discriminator([x, y_hat]), y_hat], name="combined")
        self.combined.compile(
            loss=[OBJECTIVES[objective], losses.l1],
            loss_weights=[1.0, l1_weight],
            optimizer=adam(learning_rate, beta_1),
        )
        self.compile()

    @property
    def multiple(self) -> int:
        """The sides of the generator's input must be multiples of this."""
        return self.image_size

    def build_generator(self) -> keras.Model:
        """U-Net (section 3.2.1 and appendix 6.1): x (B, H, W, C_in) -> G(x) (B, H, W, C_out)."""

        def normalize(h):
            return BatchNormalization(inference_statistics=self.inference_statistics)(h)

        def seed_of(level):  # another mask on each level
            return None if self.inference_seed is None else self.inference_seed * levels + level

        levels = int(log2(self.image_size))
        filters = [self.width * min(2**level, 8) for level in range(levels)]

        x = h = keras.Input((None, None, self.channels_in))
        skips = []
        for level in range(levels):  # sides halve to 1: (B, 1, 1, 8 width) for a training image
            outer, inner = level == 0, level == levels - 1
            if not outer:
                h = SkipLeakyReLU(0.2)(h)
            h = conv(h, filters[level], use_bias=outer or inner)
            if not (outer or inner):  # normalizing a 1x1 map would leave only the bias
                h = normalize(h)
            skips.append(h)

        for level in reversed(range(levels - 1)):  # sides double from 2 to H/2
            h = upsample(ReLU()(h), filters[level], self.upsampling, use_bias=False)
            h = normalize(h)
            if level >= levels - 4:  # the first three; G's only noise
                h = Dropout(self.dropout, inference_seed=seed_of(level))(h)
            h = Concatenate()([h, skips[level]])

        h = upsample(ReLU()(h), self.channels_out, self.upsampling)
        return keras.Model(x, Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """PatchGAN (section 3.2.2): (x, y) -> logits, (B, 30, 30, 1) for 256x256 pixels."""
        x = keras.Input((None, None, self.channels_in))
        y = keras.Input((None, None, self.channels_out))
        logits = patchgan(Concatenate()([x, y]), self.width, self.strided)
        return keras.Model([x, y], logits, name="discriminator")

    def objectives(self, x: tf.Tensor, y: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players (equation 4); `l1` is logged.

        Args:
            x: conditions, float32 (B, H, W, C_in) in [-1, 1].
            y: their targets, float32 (B, H, W, C_out) in [-1, 1].
        """
        fake, y_hat = self.combined(x, training=True)
        real = self.discriminator([x, y], training=True)
        d_loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
        d_loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        g_loss = self.combined.compute_loss(y=[tf.ones_like(fake), y], y_pred=[fake, y_hat])
        return {"discriminator": d_loss, "generator": g_loss}, {"l1": losses.l1(y, y_hat)}


if __name__ == "__main__":
    cli.main(Pix2Pix, PairedTranslation)
