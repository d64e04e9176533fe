"""MAD-GAN: several generators, and a discriminator that says which one made an image.

Multi-Agent Diverse Generative Adversarial Networks
Arnab Ghosh, Viveka Kulharia, Vinay Namboodiri, Philip H.S. Torr, Puneet K. Dokania. CVPR 2018,
arXiv:1704.02906

Of a real image D says that it is real, of a generated one by which of the k generators it was made:
D_0, ..., D_k are the softmax of k + 1 logits, D_0 is real.

    L_D = -1 / (k + 1) ( E[log D_0(x)] + sum_i E[log D_i(G_i(z))] ),    no gradient through G_i
    L_G = -1 / k sum_i E[log D_0(G_i(z))]

A generator only tries to look real. To be told apart, D makes each of them look for modes of its
own: at the optimum their mean, (1/k) sum_i p_i, is the distribution of the data.

The generators share their first layers, and all have the same z. As in an author's code of the
experiments with points, every generator makes as many images as there are real ones, which count
equally in L_D, and L_G does not saturate, where the paper has log(1 - D_0).

Deviations: of images there is no published code. Each generator has the layers from 7x7 pixels on
to itself, since a single filter for each cannot draw other digits from the same maps
(`--shared_layers 2` for all but the last); D has a hidden dense layer, since a sum of local scores
does not judge a digit as a whole. Real images and those of each generator pass D by themselves, as
batch normalization must not mix them. G and D are updated at once, from one pass of all generators;
that code updates D, then G with another z. The similarity of generators (MAD-GAN-Sim) is left out.

    python3 madgan/madgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.nn import convolutional, losses
from common.nn.blocks import base_and_stages, conv_transpose, dense
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.noise_to_image import NoiseToImage
from common.tasks.generation import Generation
from common.tasks.generator_choice import GeneratorChoice
from common.tasks.stacked_digits import StackedDigits

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, ReLU, Reshape

REAL = 0  # the class of real images; that of the i-th generator, from 0, is i + 1


class MADGAN(NoiseToImage):
    """Generators that share layers, against a discriminator of as many classes and one more.

    Args:
        generators: k, number of generators.
        shared_layers: number of layers, from the noise on, that the generators share; 0 for
            separate generators.
        dense_units: units of a hidden dense layer in the discriminator; 0 for none.
        width: number of filters next to the image in all networks; deeper layers have multiples.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 6000}
    distribution = "uniform"

    def __init__(
        self,
        generators: int = 4,
        shared_layers: int = 1,
        dense_units: int = 512,
        width: int = 32,
        **shared,
    ):
        super().__init__(name="madgan", width=width, **shared)
        errors.at_least_one(generators=generators)
        errors.not_negative(shared_layers=shared_layers, dense_units=dense_units)
        self.base, self.stages = base_and_stages(self.image_size)
        if shared_layers > self.stages:
            raise errors.UserError(
                f"--shared_layers {shared_layers}: give {self.stages} or less; each generator has "
                "a last layer of its own"
            )
        self.k, self.shared_layers, self.dense_units = generators, shared_layers, dense_units
        self.prior = self.latent  # of z
        self.latent = Latent(self.prior.size + 1, self.distribution, choices=generators)
        self.build_players(losses.softmax_cross_entropy)
        self.mixture = self.build_mixture()

    @property
    def sampler(self) -> keras.Model:
        return self.mixture

    # The networks.

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> an image of each generator, (B, k, S, S, C) in [-1, 1]."""
        z = keras.Input((self.prior.size,))
        paths = [z]
        for layer in range(self.stages + 1):
            if layer == self.shared_layers:
                paths = self.k * paths  # here they part
            paths = [self.layer(h, layer) for h in paths]
        return keras.Model(z, ops.stack(paths, axis=1), name="generator")

    def layer(self, h, number: int):
        """A layer of a generator: a dense one, then transposed convolutions."""
        filters = self.width * 2 ** (self.stages - 1 - number)  # 64 and 32 for 28 pixels
        if number == 0:
            h = dense(h, self.base**2 * filters, use_bias=False)
            h = Reshape((self.base, self.base, filters))(h)  # (B, 7, 7, 64)
        elif number < self.stages:
            h = conv_transpose(h, filters, kernel=5, use_bias=False)
        else:
            pixels = conv_transpose(h, self.channels, kernel=5)
            return Activation("tanh", dtype="float32")(pixels)
        return ReLU()(BatchNormalization()(h))

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits of real and of each generator, (B, k + 1)."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = convolutional.features(x, self.width, self.dense_units)
        logits = dense(h, self.k + 1)
        return keras.Model(x, Activation("linear", dtype="float32")(logits), name="discriminator")

    def build_combined(self) -> keras.Model:
        """z (B, latent) -> logits for the image of each generator, (B, k, k + 1)."""
        z = keras.Input((self.prior.size,))
        return keras.Model(z, self.of_each(self.generator(z)), name="combined")

    def build_mixture(self) -> keras.Model:
        """Noise (B, latent + 1) -> the image of the generator that its last component chooses."""
        noise = keras.Input((self.latent.size,))
        of_all = self.sampling_network(noise[:, :-1])  # (B, k, S, S, C)
        chosen = ops.one_hot(self.latent.chosen(noise), self.k)
        return keras.Model(noise, ops.einsum("bk...,bk->b...", of_all, chosen), name="mixture")

    def generator_inputs(self, number: int, batch: tuple):
        return self.prior.of_seed(number, batch[0].shape[0])

    # The step.

    def draw_z(self, labels: tf.Tensor) -> tf.Tensor:
        return self.prior.draw(ops.shape(labels)[0], self.noise)

    def of_each(self, images, training: bool | None = None):
        """D's logits (B, k, k + 1) for images (B, k, S, S, C), a pass for each generator."""
        each = ops.unstack(images, axis=1)
        return ops.stack([self.discriminator(x, training=training) for x in each], axis=1)

    def judge(self, images, classes, real):
        return super().judge(images, classes, real) if real else self.of_each(images, training=True)

    def d_loss(self, real, fake):
        logits = ops.concatenate([real.output[:, None], fake.output], axis=1)  # (B, k + 1, k + 1)
        makers = ops.arange(self.k + 1, dtype="int32")  # REAL, then the generators
        return losses.softmax_cross_entropy(ops.tile(makers, (logits.shape[0], 1)), logits)

    def g_loss(self, real, fake):
        as_real = ops.full(fake.output.shape[:2], REAL)
        return losses.softmax_cross_entropy(as_real, fake.output)


if __name__ == "__main__":
    cli.main(MADGAN, Generation, GeneratorChoice, StackedDigits)
