"""SAGAN: attention among distant pixels, and spectral normalization of both networks.

Self-Attention Generative Adversarial Networks
Han Zhang, Ian Goodfellow, Dimitris Metaxas, Augustus Odena. ICML 2019, arXiv:1805.08318

Both networks have a self-attention layer on a map of the middle resolution (section 3), with a
scalar gamma that is initially 0, A the softmax over the pixels j of theta(x_i) . phi(x_j):

    y_i = x_i + gamma o_i,    o_i = v( sum_j A_ij h(x_j) )                  (equations 1 to 3)

They are conditional on the class y: G by the gain and bias of its batch normalizations, D by the
projection of its features on an embedding of y. With the hinge loss (equation 4) and classes y'
drawn uniformly,

    L_D = E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y'), y'))],    L_G = -E[D(G(z, y'), y')]

Every convolution, dense layer and embedding of D and of G is spectrally normalized (section 4.1),
except the tables of gains and biases. D learns faster than G (section 4.2), so that one update of D
for each of G is enough; G's update has noise and classes of its own.

Deviations: keys and values are max-pooled, as in the authors' code, which stores the power
iteration's vector of D in its pass over real images alone; here real and generated images share one
pass. That code also takes gradients through that vector, which is a constant here (Miyato et al.
2018). The last batch normalization's moving averages have the decay of the others, 0.999 and not
0.9999. For 32 pixels, which the paper has not, the blocks are those of BigGAN's code. With `--ema`
the samples are those of averaged weights, which the paper has not either.

    python3 sagan/sagan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli
from common.nn.attention import SelfAttention
from common.nn.conditional_normalization import ConditionalBatchNormalization
from common.nn.layers import BatchNormalization
from common.nn.residual import down_block, projection_score, up_block
from common.nn.spectral import SpectralConv2D, SpectralDense
from common.projection_gan import ProjectionGAN
from common.tasks.attention import Attention
from common.tasks.generation import Generation

import keras
from keras.layers import Activation, ReLU, Reshape

DECAY = 0.999  # of moving statistics


class SAGAN(ProjectionGAN):
    """Residual networks with self-attention, for images with classes.

    Args:
        beta_2: Adam's decay rate for the second moment; the authors' code leaves it at 0.999.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 6000}
    usual_attention = 32

    def __init__(self, beta_2: float = 0.9, **shared):
        super().__init__(name="sagan", beta_2=beta_2, **shared)

    def build_generator(self) -> keras.Model:
        """G: z (B, latent_size) and one-hot y (B, classes) -> images (B, S, S, C) in [-1, 1]."""
        z, y = keras.Input((self.latent.size,)), keras.Input((self.classes,))

        def normalized(h):
            return ConditionalBatchNormalization(momentum=DECAY)([h, y])

        first, *blocks = (multiple * self.width for multiple in self.layout.generator)
        h = SpectralDense(4 * 4 * first)(z)
        h = Reshape((4, 4, first))(h)
        for filters in blocks:
            h = up_block(h, filters, normalized)
            if h.shape[1] == self.attention_size:
                h = SelfAttention()(h)  # (B, 32, 32, 4 width); 16x16 for 32 pixels
        h = ReLU()(BatchNormalization(momentum=DECAY, gamma_initializer="ones")(h))
        h = SpectralConv2D(self.channels)(h)
        return keras.Model([z, y], Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) and one-hot y (B, classes) -> scores (B, 1), float32."""
        sides = (self.image_size, self.image_size, self.channels)
        x, y = keras.Input(sides), keras.Input((self.classes,))
        h = x
        for number, multiple in enumerate(self.layout.discriminator):
            halve = number < self.layout.halvings
            h = down_block(h, multiple * self.width, activate=number > 0, halve=halve)
            if halve and h.shape[1] == self.attention_size:
                h = SelfAttention()(h)  # (B, 32, 32, 2 width)
        return keras.Model([x, y], projection_score(h, y), name="discriminator")


if __name__ == "__main__":
    cli.main(SAGAN, Generation, Attention)
