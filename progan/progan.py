"""ProGAN: a GAN that grows, from 4x4 pixels to the full size.

Progressive Growing of GANs for Improved Quality, Stability, and Variation
Tero Karras, Timo Aila, Samuli Laine, Jaakko Lehtinen. ICLR 2018, arXiv:1710.10196

Training starts with images of 4x4 pixels. New layers then double the resolution again and again,
each time faded in over many steps (section 2, figure 2): with the fade alpha from 1 to 0,

    G(z) = (1 - alpha) toRGB_S(h_S) + alpha up(toRGB_{S/2}(h_{S/2}))
    D:  h_{S/2} = (1 - alpha) block_S(fromRGB_S(x)) + alpha fromRGB_{S/2}(down(x))

and real images fade alike, (1 - alpha) x + alpha up(down(x)). up is nearest neighbour, down the
mean of 2x2 pixels. D sees how much a batch varies, by the deviation over groups of images (section
3); every weight has the scale sqrt(2 / fan_in) at run time, not at initialization alone (section
4.1); and G normalizes each pixel's features to mean square 1 (section 4.2). The objective is
WGAN-GP's, with a drift term for real images (appendix A.1):

    L_D = E[D(G(z))] - E[D(x)] + 10 E[(||grad D(x_hat)||_2 - g)^2 / g^2] + 0.001 E[D(x)^2]
    x_hat = e x + (1 - e) G(z),  e ~ U[0, 1) for each pair of images;    L_G = -E[D(G(z))]

with g = 1 (750 for CIFAR-10, appendix A.1). With classes, G takes one, D classifies too, and both
losses have a cross-entropy besides, as in the authors' code. Images are drawn by the moving average
of G's weights.

Deviations: G and D are updated at once, from one forward pass of G; the authors update G on noise
of its own. The batch size is the same at all resolutions. The average warms up, as in
`common/nn/weight_average.py`.

    python3 progan/progan.py --dataset mnist
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.growing import Growing
from common.nn import losses
from common.nn.equalized import GAIN, Bias, EqualizedConv2D, EqualizedDense
from common.nn.progressive import Grown, PixelNormalization
from common.tasks.generation import Generation
from common.tasks.progression import Progression

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Concatenate, LeakyReLU, Reshape


class ProGAN(Growing):
    """Progressive growing with equalized learning rates, pixel norms and WGAN-GP.

    Args:
        penalty_weight: lambda, the weight of the gradient penalty.
        penalty_norm: g, the norm of the gradient that costs nothing.
        drift: weight of D's squared output on real images.
    """

    logged = (*Growing.logged, "wasserstein", "gradient_norm")

    def __init__(
        self,
        penalty_weight: float = 10.0,
        penalty_norm: float = 1.0,
        drift: float = 0.001,
        **shared,
    ):
        super().__init__(name="progan", **shared)
        errors.not_negative(penalty_weight=penalty_weight, drift=drift)
        errors.above_zero(penalty_norm=penalty_norm)
        self.drift = drift
        self.penalty_weight, self.penalty_norm = penalty_weight, penalty_norm
        self.build_players()

    def build_generator(self) -> keras.Model:
        """z (B, latent) [, c (B, K)] -> images of each side from 4x4 on, and the current one."""
        z = keras.Input((self.latent.size,))
        c = [keras.Input((self.classes,))] if self.classes else []
        h = PixelNormalization()(Concatenate()([z, *c]) if c else z)
        h = EqualizedDense(16 * self.maps(4), gain=GAIN / 4, use_bias=False)(h)
        h = activated(Bias()(Reshape((4, 4, self.maps(4)))(h)))
        h = activated(EqualizedConv2D(self.maps(4), 3)(h))  # (B, 4, 4, 512)
        images = [self.to_rgb(h)]
        for side in self.all_sides[1:]:
            h = activated(EqualizedConv2D(self.maps(side), 3, "up")(h))
            h = activated(EqualizedConv2D(self.maps(side), 3)(h))  # (B, side, side, maps)
            images.append(self.to_rgb(h))
        grown = Grown(self.first_level, name="grown")(images)
        return keras.Model([z, *c] if c else z, [*images, grown], name="generator")

    @property
    def d_outputs(self) -> int:
        """A score, and with classes their logits."""
        return 1 + self.classes

    # The objective.

    def d_loss(self, real, fake):
        on_real, on_fake = real.output[:, :1], fake.output[:, :1]
        loss = losses.wasserstein(1.0, on_real) + losses.wasserstein(-1.0, on_fake)
        loss += self.drift * ops.mean(ops.square(on_real))
        return loss + self.class_loss(real) + self.class_loss(fake)

    def g_loss(self, real, fake):
        return losses.wasserstein(1.0, fake.output[:, :1]) + self.class_loss(fake)

    def class_loss(self, judged) -> tf.Tensor | float:
        """Cross-entropy of D's classes; 0 without classes."""
        if not self.classes:
            return 0.0
        return losses.softmax_cross_entropy(judged.classes, judged.output[:, 1:])

    def penalty(self, real, fake):
        """The penalty, and `gradient_norm`: the mean norm between real and generated images."""
        if not self.penalty_weight:
            return 0.0, {}
        x_hat = losses.interpolated(real.images, fake.images, self.noise)
        norm = losses.gradient_norm(lambda x: self.judge(x, real.classes, real=True)[:, :1], x_hat)
        g = self.penalty_norm
        penalty = self.penalty_weight * losses.gradient_penalty(norm, g) / g**2
        return penalty, {"gradient_norm": ops.mean(norm)}

    def logs(self, real, fake):
        """`wasserstein`: D's estimate of the distance, E[D(x)] - E[D(G(z))]."""
        return {"wasserstein": ops.mean(real.output[:, :1]) - ops.mean(fake.output[:, :1])}


def activated(h):
    return PixelNormalization()(LeakyReLU(0.2)(h))


if __name__ == "__main__":
    cli.main(ProGAN, Generation, Progression)
