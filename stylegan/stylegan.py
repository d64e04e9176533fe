"""StyleGAN: a generator whose layers are controlled by styles.

A Style-Based Generator Architecture for Generative Adversarial Networks
Tero Karras, Samuli Laine, Timo Aila. CVPR 2019, arXiv:1812.04948

A mapping network turns z into w = f(z). The synthesis network starts from a learned constant and is
told by w alone what to draw: each of its layers adds noise, one map for each image, to its
convolution, then a bias, applies a leaky ReLU, and gives each feature map x_i the deviation and
mean that are an affine function of w (section 2, equation 1):

    AdaIN(x_i, y) = (1 + y_s,i) (x_i - mean(x_i)) / std(x_i) + y_b,i,    y = A(w)

Style mixing (section 3.1): for 90 % of the batches of training, the layers from a random one on
take the w of another z. Truncation (appendix B): psi < 1 trades variety for quality at inference,
in the layers up to 32x32 pixels, by w' = w_mean + psi (w - w_mean).

G and D grow from 8x8 pixels, as ProGAN's (see `common/growing.py`), with D's layers and equalized
weights. Up- and downsampled maps are blurred (section 2.1). The objective is that of FFHQ in the
paper (appendix C), non-saturating with R1 on real images:

    L_D = E[-log D(x)] + E[-log(1 - D(G(z)))] + gamma / 2 E[||grad D(x)||^2],  L_G = -E[log D(G(z))]

With classes, as in the authors' code: a learned vector of the class follows z, and D has an output
for each class, of which that of the image's class counts.

Deviations: G and D are updated at once, from one forward pass of G; the authors update G on noise
of its own, so their mean of w takes two batches a step. The batch size is the same at all
resolutions. The average of G's weights warms up, as in `common/nn/weight_average.py`.

    python3 stylegan/stylegan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.growing import Growing
from common.nn import losses
from common.nn.equalized import Bias, EqualizedConv2D, EqualizedDense
from common.nn.progressive import Grown, PixelNormalization
from common.nn.style import (
    AdaptiveInstanceNormalization,
    Blur,
    Constant,
    NoiseInjection,
    RunningMean,
    fix_noise,
)
from common.tasks.generation import Generation
from common.tasks.styles import Styles

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Concatenate, Dense, LeakyReLU, RepeatVector

MIXED = 0.9  # share of the batches with two styles
MAPPING_RATE = 0.01  # the mapping network's learning rate, as a part of the others'


class StyleGAN(Growing):
    """Mapping and synthesis networks, style mixing, R1.

    Args:
        mapping_layers: number of layers of the mapping network.
        gamma: weight of R1.
        r1_every: steps from one with R1, times this number, to the next; 1 for all steps.
        half_life: number of images after which a weight of the generator counts half in its moving
            average.
    """

    first_side = 8
    rates: ClassVar[dict[int, float]] = {128: 1.5, 256: 2.0, 512: 3.0, 1024: 3.0}
    unused_options = (*Growing.unused_options, "ema")
    logged = (*Growing.logged, "r1")

    def __init__(
        self,
        mapping_layers: int = 8,
        gamma: float = 10.0,
        r1_every: int = 1,
        half_life: int = 10_000,
        **shared,
    ):
        super().__init__(name="stylegan", half_life=half_life, **shared)
        errors.at_least_one(mapping_layers=mapping_layers, r1_every=r1_every)
        errors.not_negative(gamma=gamma)
        self.mapping_layers = mapping_layers
        self.gamma, self.r1_every = gamma, r1_every
        self.layers_of_styles = 2 * len(self.all_sides)
        self.build_players()

    # The generator.

    def build_generator(self) -> keras.Model:
        """z (B, latent) [, c (B, K)] -> images of each side from 4x4 on, and the current one."""
        z = keras.Input((self.latent.size,))
        c = [keras.Input((self.classes,))] if self.classes else []
        w = RunningMean(name="w")(self.mapped(z, c))
        ws = RepeatVector(self.layers_of_styles, name="styles")(w)  # (B, layers, latent)
        styles = iter([ws[:, k] for k in range(self.layers_of_styles)])

        h = Constant((4, 4, self.maps(4)), name="constant")(ws)
        h = styled(h, next(styles))
        h = styled(EqualizedConv2D(self.maps(4), 3, use_bias=False)(h), next(styles))
        images = [self.to_rgb(h)]  # (B, 4, 4, C)
        for side in self.all_sides[1:]:
            h = Blur()(EqualizedConv2D(self.maps(side), 3, "up", use_bias=False)(h))
            h = styled(h, next(styles))
            h = styled(EqualizedConv2D(self.maps(side), 3, use_bias=False)(h), next(styles))
            images.append(self.to_rgb(h))  # (B, side, side, C)
        grown = Grown(self.first_level, name="grown")(images)
        generator = keras.Model([z, *c] if c else z, [*images, grown], name="generator")
        fix_noise(generator, 0)
        return generator

    def mapped(self, z, c: list):
        """The mapping network f: z (B, latent) [, one-hot c (B, K)] -> w (B, latent)."""
        table = {"use_bias": False, "kernel_initializer": keras.initializers.RandomNormal(0.0, 1.0)}
        embedded = [Dense(self.latent.size, **table)(each) for each in c]
        w = PixelNormalization()(Concatenate()([z, *embedded]) if c else z)
        for _ in range(self.mapping_layers):
            w = LeakyReLU(0.2)(EqualizedDense(self.latent.size, lr_multiplier=MAPPING_RATE)(w))
        return w

    # The discriminator.

    @property
    def d_outputs(self) -> int:
        """A logit, with classes one for each."""
        return max(1, self.classes)

    def smoothed(self, h):
        return Blur()(h)

    # Training.

    def generate(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images of the current resolution from fresh noise and mixed styles, and their classes."""
        mapping = mapping_of(self.generator)
        w, other = (self.inputs_of(self.draw_z(labels), labels) for _ in range(2))
        w = mapping(w, training=True)
        other = mapping(other, training=False)  # not taken into the mean
        synthesis = self.at_side(synthesis_of(self.generator))
        return self.images_of(synthesis(self.mixed(w, other), training=True)), labels

    def mixed(self, w: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """Styles (B, layers, latent): of the batch's w, for most batches to a random layer only."""
        active = 2 * (self.all_sides.index(self.side) + 1)
        crossover = keras.random.randint((), 1, active, "int32", self.noise)
        is_mixed = keras.random.uniform((), seed=self.noise) < MIXED
        count = ops.where(is_mixed, crossover, active)
        own = ops.arange(self.layers_of_styles)[None, :, None] < count
        return ops.where(own, w[:, None], other[:, None])

    def judge(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> tf.Tensor:
        logits = super().judge(images, classes, real)
        if not self.classes:
            return logits
        return ops.sum(logits * tf.one_hot(classes, self.classes), axis=1, keepdims=True)

    def d_loss(self, real, fake):
        on_real, on_fake = real.output, fake.output
        return losses.cross_entropy(1.0, on_real) + losses.cross_entropy(0.0, on_fake)

    def g_loss(self, real, fake):
        return losses.cross_entropy(1.0, fake.output)

    def penalty(self, real, fake):
        """R1, and `r1`: the mean squared norm of D's gradient, 0 in steps without."""

        def r1():
            return losses.r1(lambda x: self.judge(x, real.classes, real=True), real.images)

        every = self.r1_every
        norm = r1() if every == 1 else tf.cond(self.steps_done % every == 0, r1, lambda: 0.0)
        return 0.5 * self.gamma * every * norm, {"r1": norm}

    # Use.

    @property
    def mapping(self) -> keras.Model:
        """What the generator takes -> w (B, latent); its layer "w" has the mean of w."""
        return mapping_of(self.sampling_network)

    @property
    def synthesis(self) -> keras.Model:
        """Styles (B, layers, latent) -> images (B, S, S, C) in [-1, 1]."""
        network = synthesis_of(self.sampling_network)
        return keras.Model(network.input, ops.clip(network.outputs[-1], -1.0, 1.0))


def styled(h, w):
    """What follows a convolution: noise, bias, leaky ReLU, AdaIN with the style of w."""
    h = LeakyReLU(0.2)(Bias()(NoiseInjection()(h)))
    style = EqualizedDense(2 * h.shape[-1], gain=1.0)(w)
    return AdaptiveInstanceNormalization()([h, style])


def mapping_of(generator: keras.Model) -> keras.Model:
    return keras.Model(generator.input, generator.get_layer("w").output, name="mapping")


def synthesis_of(generator: keras.Model) -> keras.Model:
    return keras.Model(generator.get_layer("styles").output, generator.outputs, name="synthesis")


if __name__ == "__main__":
    cli.main(StyleGAN, Generation, Styles)
