"""BigGAN: SAGAN at large scale, with noise at every block and truncated sampling.

Large Scale GAN Training for High Fidelity Natural Image Synthesis
Andrew Brock, Jeff Donahue, Karen Simonyan. ICLR 2019, arXiv:1809.11096

The residual networks with self-attention, the spectral normalization and the hinge loss are those
of SAGAN. New are, besides wider layers and larger batches (section 3 and appendix B):

- One embedding e(y) of the class is shared by all batch normalizations of G. z is cut into equal
  chunks z_0, ..., z_K. The first one starts G; block k normalizes with gains and biases that are
  linear in its own chunk and the class,

      gain = 1 + W_g [e(y), z_k],    bias = W_b [e(y), z_k]

- The weights are initially orthogonal, and G's are kept near it (equation 3, which leaves the
  lengths of the filters alone), with W the kernels before spectral normalization, as matrices of
  (outputs, rest):

      R_beta(W) = beta || W W^T o (1 - I) ||_F^2,    L_G = -E[D(G(z, y), y)] + sum_W R_beta(W)

- Samples come from averaged weights, and from a z whose large components are redrawn (truncation):
  fewer kinds of images, but better ones. Statistics of batch normalization are estimated with the
  same truncation.

Deviations: with `--ema`, the average follows G closely at first and reaches its decay gradually; in
the authors' code it is a copy of G for 20,000 updates. That code sums the gradients of several
batches for one update, and its Adam has an epsilon of 1e-6 for ImageNet (here 1e-8). Its launch
scripts leave out R_beta. The paper's rates are half of the code's, which are the defaults here,
with two updates of D for each of G. The code's networks for CIFAR-10 have no chunks, no shared
embedding and no attention; those for 32 pixels here are its blocks of that size with all three.
BigGAN-deep is left out.

    python3 biggan/biggan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import losses
from common.nn.attention import SelfAttention
from common.nn.conditional_normalization import ConditionalBatchNormalization
from common.nn.layers import BatchNormalization
from common.nn.residual import down_block, projection_score, up_block
from common.nn.spectral import SpectralConv2D, SpectralDense
from common.projection_gan import ProjectionGAN
from common.tasks.generation import Generation
from common.tasks.truncation import Truncation

import keras
from keras import ops
from keras.layers import Activation, Concatenate, Dense, ReLU, Reshape

EMBEDDING = "shared_embedding"
ORTHOGONAL = {"kernel_initializer": "orthogonal", "eps": 1e-6}  # of spectrally normalized layers


class BigGAN(ProjectionGAN):
    """Residual networks with attention, a shared class embedding and noise at every block.

    Args:
        width: number of filters that the layers have multiples of.
        latent_size: number of components of z: a multiple of 4, 5, 6 or 7 for images of 32, 64,
            128 or 256 pixels, one more than G has blocks.
        embedding_size: number of components of e(y), the shared embedding of the class.
        orthogonal_weight: beta, weight of the orthogonal regularization of G, 1e-4 in the paper; 0
            for none.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 6000}
    usual_attention = 64

    def __init__(
        self,
        width: int = 96,
        latent_size: int = 120,
        embedding_size: int = 128,
        orthogonal_weight: float = 1e-4,
        **shared,
    ):
        errors.at_least_one(embedding_size=embedding_size)
        errors.not_negative(orthogonal_weight=orthogonal_weight)
        self.embedding_size, self.orthogonal_weight = embedding_size, orthogonal_weight
        super().__init__(name="biggan", width=width, latent_size=latent_size, **shared)

    # The networks.

    def build_generator(self) -> keras.Model:
        """G: z (B, latent_size) and one-hot y (B, classes) -> images (B, S, S, C) in [-1, 1]."""
        if self.latent.size % self.chunk_count:
            raise errors.UserError(
                f"--latent_size {self.latent.size}: give a multiple of {self.chunk_count}, so that "
                "z can be cut into as many chunks"
            )
        first, *blocks = (multiple * self.width for multiple in self.layout.generator)
        z, y = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        e = Dense(  # not normalized, unlike every other layer
            self.embedding_size, use_bias=False, kernel_initializer="orthogonal", name=EMBEDDING
        )(y)
        # A copy for each normalization: the sum of their gradients then has a fixed order.
        copies = iter(ops.unstack(ops.repeat(e[:, None], 2 * len(blocks), axis=1), axis=1))
        z_0, *chunks = ops.split(z, self.chunk_count, axis=1)

        h = SpectralDense(4 * 4 * first, **ORTHOGONAL)(z_0)
        h = Reshape((4, 4, first))(h)
        for filters, z_k in zip(blocks, chunks, strict=True):

            def normalized(h, z_k=z_k):
                layer = ConditionalBatchNormalization(by="vector", spectral=ORTHOGONAL)
                return layer([h, Concatenate()([next(copies), z_k])])

            h = up_block(h, filters, normalized, ORTHOGONAL)
            if h.shape[1] == self.attention_size:
                h = SelfAttention(ORTHOGONAL)(h)  # (B, 64, 64, 2 width); 16x16 for 32 pixels
        h = ReLU()(BatchNormalization(gamma_initializer="ones")(h))
        h = SpectralConv2D(self.channels, **ORTHOGONAL)(h)
        return keras.Model([z, y], Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) and one-hot y (B, classes) -> scores (B, 1), float32."""
        side = self.image_size
        x, y = keras.Input((side, side, self.channels)), keras.Input((self.classes,))
        h = x
        for number, multiple in enumerate(self.layout.discriminator):
            halve = number < self.layout.halvings
            filters = multiple * self.width
            h = down_block(h, filters, activate=number > 0, halve=halve, spectral=ORTHOGONAL)
            if halve and h.shape[1] == self.attention_size:
                h = SelfAttention(ORTHOGONAL)(h)  # (B, 64, 64, width); 16x16 for 32 pixels
        return keras.Model([x, y], projection_score(h, y, ORTHOGONAL), name="discriminator")

    @property
    def chunk_count(self) -> int:
        """Number of chunks of z: one for the first map, and one for each block of G."""
        return len(self.layout.generator)

    # G's loss.

    def g_objectives(self, x, labels):
        objectives, logs = super().g_objectives(x, labels)
        objectives["generator"] += losses.orthogonal(self.regularized(), self.orthogonal_weight)
        return objectives, logs

    def regularized(self) -> list[keras.Variable]:
        """G's kernels, except the shared embedding: what R_beta is summed over."""
        embedding = self.generator.get_layer(EMBEDDING).kernel
        weights = self.generator.trainable_variables
        return [w for w in weights if len(w.shape) > 1 and w is not embedding]


if __name__ == "__main__":
    cli.main(BigGAN, Generation, Truncation)
