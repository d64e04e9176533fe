"""CycleGAN: unpaired image-to-image translation.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
Jun-Yan Zhu, Taesung Park, Phillip Isola, Alexei A. Efros. ICCV 2017, arXiv:1703.10593

With G: A -> B and F: B -> A the translators, a and b images of the two domains:

    L_GAN(G, D_B) = E[(D_B(b) - 1)^2] + E[D_B(G(a))^2]   of D_B;  E[(D_B(G(a)) - 1)^2]   of G
    L_cyc(G, F)   = E[|F(G(a)) - a|] + E[|G(F(b)) - b|]                      (equation 2)
    L_id(G, F)    = E[|G(b) - b|] + E[|F(a) - a|]                            (section 5.2)
    L(G, F, D_A, D_B) = L_GAN(G, D_B) + L_GAN(F, D_A) + lambda L_cyc + lambda lambda_id L_id

the last with least squares in place of the logarithm, where the loss of a discriminator is halved
(section 4). The discriminators learn from a pool of earlier translations, 50 for each domain.

Deviations: convolutions followed by instance normalization have no bias, which the normalization
would cancel. The identity loss is on by default for every dataset, as in the authors' code; the
paper has it for paintings to photos only. Over the second half of training the learning rate decays
with each step, not with each epoch.

    python3 cyclegan/cyclegan.py --dataset horse2zebra
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import normal_init, patchgan
from common.nn.image_pool import ImagePool
from common.nn.layers import InstanceNormalization, ReflectionPadding
from common.nn.optimizers import adam
from common.nn.upsampling import DoublingConvolution, Upsampling, upsample
from common.players import Player
from common.tasks.unpaired_translation import UnpairedTranslation
from common.two_translators import TwoTranslators

import keras
import tensorflow as tf
from keras.layers import Activation, Add, Conv2D, ReLU, ZeroPadding2D


class CycleGAN(TwoTranslators):
    """Two ResNet translators and two PatchGAN discriminators, trained on unpaired images.

    Args:
        image_size: side of the training images in pixels, a multiple of 4; 256 in the paper, 128
            by default in the authors' first code.
        channels: image channels of both domains, 3 for RGB or 1 for grayscale.
        width: number of filters of the first convolution of each network; 64 in the paper.
        blocks: residual blocks of a translator; default 9 from 256 pixels up and 6 from 128, as in
            the paper, and 3 below.
        upsampling: layers of a translator that double the sides: transposed convolutions as in the
            paper, or nearest or bilinear interpolation and a convolution each, against checkerboard
            patterns.
        strided: convolutions with strides 2 in a discriminator: 3 gives patches of 70x70 pixels, as
            in the paper, 2 of 34x34, 1 of 16x16. Default 3 from 64 pixels up, 2 below.
        cycle_weight: lambda, the weight of the cycle loss; 10 in the paper.
        identity_weight: lambda_id, the weight of the identity loss as a fraction of lambda; 0 saves
            its two forward passes.
        pool_size: number of translations in the pool of each domain; 0 for none.
        learning_rate: step size of Adam, for all players.
        beta_1: Adam's decay rate for the first moment.
        ema: decay of the moving average of the translators' weights, from 0 (none) to below 1.
    """

    defaults: ClassVar[dict] = {"schedule": "linear"}
    multiple = 8  # of the sides of a translator's input: 4 by the strides, and 2 pixels to reflect

    def __init__(
        self,
        image_size: int = 128,
        channels: int = 3,
        width: int = 64,
        blocks: int | None = None,
        upsampling: Upsampling = "transposed",
        strided: int | None = None,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        ema: float = 0.0,
    ):
        super().__init__(image_size, channels, width, ema, name="cyclegan")
        usual = depths(image_size)
        blocks = usual[0] if blocks is None else blocks
        strided = usual[1] if strided is None else strided
        errors.at_least_one(strided=strided)
        errors.above_zero(learning_rate=learning_rate)
        errors.not_negative(
            blocks=blocks,
            cycle_weight=cycle_weight,
            identity_weight=identity_weight,
            pool_size=pool_size,
        )
        errors.below_one(beta_1=beta_1)
        if image_size % 4 or image_size < max(8, 3 * 2**strided):
            raise UserError(
                f"--image_size {image_size}: give a multiple of 4 from "
                f"{max(8, 3 * 2**strided)} up with --strided {strided}, like 128"
            )
        self.blocks, self.strided = blocks, strided
        self.upsampling = upsampling
        image = image_size, image_size, channels
        self.pool_a, self.pool_b = (ImagePool(pool_size, image, name=n) for n in "ab")

        self.build_players(cycle_weight, identity_weight, lambda: adam(learning_rate, beta_1))
        self.compile()

    def build_players(self, cycle_weight: float, identity_weight: float, optimizer: Callable):
        """Builds and compiles the discriminators, and the translators with their losses."""
        self.generator = self.build_generator()
        G, F = (self.generator.get_layer(name) for name in ("AtoB", "BtoA"))
        self.discriminator_a, self.discriminator_b = map(self.build_discriminator, "ab")
        for discriminator in (self.discriminator_a, self.discriminator_b):
            discriminator.compile(
                loss=losses.least_squares,
                loss_weights=0.5,  # section 7.1; Adam is invariant to it
                optimizer=optimizer(),
            )

        a, b = (keras.Input((None, None, self.channels)) for _ in range(2))
        fake_b, fake_a = self.generator([a, b])
        outputs = [self.discriminator_b(fake_b), self.discriminator_a(fake_a), F(fake_b), G(fake_a)]
        weights = [1.0, 1.0, cycle_weight, cycle_weight]
        if identity_weight:
            outputs += [G(b), F(a)]
            weights += [cycle_weight * identity_weight] * 2
        self.combined = keras.Model([a, b], outputs, name="combined")
        self.combined.compile(
            loss=[losses.least_squares] * 2 + [losses.l1] * (len(outputs) - 2),
            loss_weights=weights,
            optimizer=optimizer(),
        )
        # The same pass, with the translations made on the way, for the pool.
        self.combined_and_fakes = keras.Model([a, b], [*outputs, fake_b, fake_a])

    @property
    def players(self) -> dict[str, Player]:
        """Both translators are one player: the cycle loss needs both."""
        players = {D.name: Player(D, D) for D in (self.discriminator_a, self.discriminator_b)}
        return players | {"generator": Player(self.combined, self.generator)}

    # The networks (appendix, section 7.2).

    def build_translator(self, name: str) -> keras.Model:
        """ResNet (Johnson et al. 2016): x (B, H, W, C) -> its translation (B, H, W, C)."""
        width = self.width

        def block(h):
            r = ReLU()(norm(conv(ReflectionPadding(1)(h), 4 * width)))
            r = norm(conv(ReflectionPadding(1)(r), 4 * width))
            return Add()([h, r])

        x = keras.Input((None, None, self.channels))
        h = ReLU()(norm(conv(ReflectionPadding(3)(x), width, kernel=7)))
        for factor in (2, 4):  # (B, H/4, W/4, 4 width)
            h = ReLU()(norm(conv_down(h, factor * width)))
        for _ in range(self.blocks):
            h = block(h)
        for factor in (2, 1):  # (B, H, W, width)
            h = ReLU()(norm(conv_up(h, factor * width, self.upsampling)))
        h = conv(ReflectionPadding(3)(h), self.channels, kernel=7, use_bias=True)
        return keras.Model(x, Activation("tanh", dtype="float32")(h), name=name)

    def build_discriminator(self, domain: str) -> keras.Model:
        """PatchGAN of one image: (B, S, S, C) -> logits, (B, 14, 14, 1) for 128 pixels."""
        x = keras.Input((None, None, self.channels))
        logits = patchgan(x, self.width, self.strided, InstanceNormalization)
        return keras.Model(x, logits, name=f"discriminator_{domain}")

    # The losses.

    def objectives(self, a: tf.Tensor, b: tf.Tensor) -> tuple[dict, dict]:
        """The losses of all players; `cycle_a` and `cycle_b`, the cycle losses, are logged.

        Args:
            a: images of one domain, float32 (B, S, S, C) in [-1, 1].
            b: unpaired images of the other; the same shape.
        """
        *scored, fake_b, fake_a = self.combined_and_fakes([a, b], training=True)
        targets = [*map(tf.ones_like, scored[:2]), a, b, b, a][: len(scored)]
        values = {
            "generator": self.combined.compute_loss(y=targets, y_pred=scored),
            "discriminator_a": self.d_loss(self.discriminator_a, a, self.pool_a(fake_a)),
            "discriminator_b": self.d_loss(self.discriminator_b, b, self.pool_b(fake_b)),
        }
        return values, {"cycle_a": losses.l1(a, scored[2]), "cycle_b": losses.l1(b, scored[3])}

    def d_loss(self, D: keras.Model, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """One discriminator's loss on images of its domain and on translations from its pool."""
        # One pass: no layer of D sees more than one image.
        scores = D(tf.concat([real, fake], axis=0), training=True)
        real, fake = tf.split(scores, 2)
        loss = D.compute_loss(y=tf.ones_like(real), y_pred=real)
        return loss + D.compute_loss(y=tf.zeros_like(fake), y_pred=fake)


def depths(image_size: int) -> tuple[int, int]:
    """Blocks of a translator and strided convolutions of a discriminator, by default."""
    blocks = 9 if image_size >= 256 else 6 if image_size >= 128 else 3
    return blocks, 3 if image_size >= 64 else 2


def norm(h):
    return InstanceNormalization()(h)


def conv(h, filters: int, *, kernel: int = 3, strides: int = 1, use_bias: bool = False):
    """Convolution without padding."""
    return Conv2D(
        filters, kernel, strides=strides, use_bias=use_bias, kernel_initializer=normal_init()
    )(h)


def conv_down(h, filters: int):
    """3x3 convolution that halves even sides, aligned as with Torch's `padding=1`."""
    return conv(ZeroPadding2D(((1, 0), (1, 0)))(h), filters, strides=2)


def conv_up(h, filters: int, upsampling: Upsampling):
    """3x3 convolution that doubles the sides, the inverse of `conv_down` in shape."""
    if upsampling == "transposed":
        return DoublingConvolution(filters, kernel_initializer=normal_init())(h)
    return upsample(h, filters, upsampling, kernel=3, use_bias=False)


if __name__ == "__main__":
    cli.main(CycleGAN, UnpairedTranslation)
