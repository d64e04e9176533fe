"""LAPGAN: a GAN for each level of a Laplacian pyramid, from coarse to fine.

Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks
Emily Denton, Soumith Chintala, Arthur Szlam, Rob Fergus. NIPS 2015, arXiv:1506.05751

An image I_0 is halved again and again, I_{k+1} = d(I_k). What a level loses by it is its band:

    h_k = I_k - l_k,    l_k = u(I_{k+1})                                   (equation 3)

An ordinary GAN makes the coarsest image. At every finer level a conditional GAN makes the band of a
coarse image. Nothing is shared between the levels, and each is trained on real images alone:

    L_D = E[-log D_k(l_k + h_k)] + E[-log(1 - D_k(l_k' + G_k(z_k, l_k')))]
    L_G = E[-log D_k(l_k' + G_k(z_k, l_k'))]

with l_k' of other images than l_k + h_k. D sees a band added to its coarse image, as in the
authors' code. With classes, all networks take the class besides. Images are drawn through all
levels, each with noise of its own:

    I_k = u(I_{k+1}) + G_k(z_k, u(I_{k+1}))                                (equation 5)

The levels are the stages of one run, the coarsest first: it decides what an image shows, and its
steps are cheap. `--level` ends a run at a level, and a resumed run continues with the next.

Deviations: pixels are in [-1, 1], not normalized each by itself. The default optimizer is Adam. G
and D are updated at once, from one forward pass of G; the authors update G on noise of its own. The
last layer of a band starts close to 0, so that a level which is not trained yet adds nothing.

    python3 lapgan/lapgan.py --dataset mnist
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.data.label_subset import halves
from common.errors import UserError
from common.nn import losses, pyramid
from common.nn.latent import Latent
from common.nn.layers import Dropout
from common.noise_to_image import NoiseToImage
from common.plan import Plan
from common.players import Player
from common.staged import Stage, Staged
from common.tasks.generation import Generation
from common.tasks.refinement import Refinement

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Add, Concatenate, Conv2D, Dense, Flatten, ReLU, Reshape

ADAM_RATE, SGD_RATE, MOMENTUM = 2e-4, 0.02, 0.5


class Level(NamedTuple):
    """The networks of a level: G, D, and G into D, which carries G's loss and optimizer."""

    generator: keras.Model
    discriminator: keras.Model
    combined: keras.Model


class LAPGAN(Staged, NoiseToImage):
    """A chain of small GANs, each of which doubles the side of the images.

    Args:
        classes: number of classes; with fewer than 2 the networks take no class.
        width: number of filters of the convolutions; 64 in the paper, enough for colour.
        units: units of each hidden layer of the coarsest level's G; its D has half as many.
        latent_size: components of the coarsest level's noise; a finer one has as many as pixels.
        coarse_steps: training steps of the coarsest level.
        band_steps: training steps of each finer level.
        level: side in pixels of the level after which training ends, such as 7, 14 or 28; resume
            the run with the next level to continue. Default: the finest level.
        optimizer: adam, or the paper's sgd, with a momentum of 0.5.
        learning_rate: step size of the optimizers; default 2e-4, with sgd 0.02.
    """

    defaults: ClassVar[dict] = {
        "batch_size": 128,  # half of it real, half generated
        "sample_every": 1000,
    }
    length_options = ("level",)
    distribution = "uniform"

    def __init__(
        self,
        classes: int = 10,
        width: int = 32,
        units: int = 1200,
        coarse_steps: int = 20000,
        band_steps: int = 5000,
        level: int | None = None,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float | None = None,
        **shared,
    ):
        rate = learning_rate
        if rate is None:
            rate = SGD_RATE if optimizer == "sgd" else ADAM_RATE
        super().__init__(name="lapgan", width=width, learning_rate=rate, **shared)
        errors.at_least(2, units=units)
        errors.at_least_one(coarse_steps=coarse_steps, band_steps=band_steps)
        self.classes = classes if classes > 1 else 0
        sgd = partial(keras.optimizers.SGD, rate, MOMENTUM)
        self.units, self.new_optimizer = units, sgd if optimizer == "sgd" else self.adam
        self.sides = pyramid.sides(self.image_size)  # 7, 14, 28
        base, *finer = self.sides
        if level not in (None, *self.sides):
            raise UserError(f"--level {level}: give one of {', '.join(map(str, self.sides))}")
        self.noise_sizes = {base: self.latent.size} | {side: side * side for side in finer}
        self.latent = Latent(sum(self.noise_sizes.values()), self.distribution)  # of all levels
        for side in self.sides:
            self.build_level(side)
        self.set_stages(
            [
                Stage(coarse_steps if side == base else band_steps, partial(self.game, side), pair)
                for side, pair in zip(self.sides, self.pairs, strict=True)
                if level is None or side <= level
            ]
        )
        self.compile()

    @property
    def plan(self) -> Plan:
        """The levels up to --level; the next one is not reached by prolonging this one."""
        missing = self.sides[len(self.stages) :]
        return super().plan._replace(continuation=f"--level {missing[0]}" if missing else "")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of the two players of each level, such as discriminator_14 and generator_14."""
        return [(f"discriminator_{side}", f"generator_{side}") for side in self.sides]

    @property
    def logged(self) -> tuple[str, ...]:
        games = [name for side in self.sides for name in (f"d_{side}_loss", f"g_{side}_loss")]
        return (*games, *(f"band_{side}" for side in self.sides[1:]))

    def networks_of(self, side: int) -> Level:
        return Level(*(getattr(self, f"{network}_{side}") for network in Level._fields))

    @property
    def players(self) -> dict[str, Player]:
        players = {}
        for side, (d_name, g_name) in zip(self.sides, self.pairs, strict=True):
            level = self.networks_of(side)
            players[d_name] = Player(level.discriminator, level.discriminator)
            players[g_name] = Player(level.combined, level.generator)
        return players

    @property
    def decays(self) -> dict[str, float]:
        return {generator: self.ema for _, generator in self.pairs}

    @property
    def sampling_networks(self) -> list[keras.Model]:
        return [self.average_of(generator) for _, generator in self.pairs]

    # The networks.

    def build_level(self, side: int):
        """Builds and compiles the networks of a level."""
        generator, discriminator = self.build_generator(side), self.build_discriminator(side)
        c = generator.inputs[-1:] if self.classes else []
        output = discriminator([generator.output, *c])
        combined = keras.Model(generator.inputs, output, name=f"combined_{side}")
        for network in (discriminator, combined):
            network.compile(loss=losses.cross_entropy, optimizer=self.new_optimizer())
        for name, network in Level(generator, discriminator, combined)._asdict().items():
            setattr(self, f"{name}_{side}", network)
        setattr(self, f"build_generator_{side}", partial(self.build_generator, side))  # averages

    def class_input(self) -> list:
        """The one-hot class c (B, K), as a list; empty without classes."""
        return [keras.Input((self.classes,))] if self.classes else []

    def build_generator(self, side: int) -> keras.Model:
        """G_k of a level: z_k, l_k but for the coarsest level, c -> images (B, side, side, C).

        z_k is (B, 100), at a finer level (B, side^2); l_k is (B, side, side, C).
        """
        z, c = keras.Input((self.noise_sizes[side],)), self.class_input()
        if side == self.sides[0]:
            inputs, image = [z, *c], self.coarse_image(z, c)
        else:
            coarse = keras.Input((side, side, self.channels))
            inputs = [z, coarse, *c]
            image = Add(dtype="float32")([coarse, self.band(z, coarse, c)])
        return keras.Model(inputs, image, name=f"generator_{side}")

    def coarse_image(self, z, c):
        """The coarsest image, fully connected."""
        side, init = self.sides[0], keras.initializers.RandomNormal(0.0, 0.05)
        h = joined([z, *c])
        for _ in range(2):
            h = ReLU()(Dense(self.units, kernel_initializer=init)(h))  # (B, 1200)
        h = Dense(side * side * self.channels, kernel_initializer=init)(h)
        h = Reshape((side, side, self.channels))(h)
        return Activation("linear", dtype="float32")(h)

    def band(self, z, coarse, c):
        """The band of an enlarged coarse image (B, F, F, C): its noise and class are planes."""
        side = coarse.shape[1]
        h = joined([Reshape((side, side, 1))(z), *self.class_plane(c, side), coarse])
        for _ in range(2):
            h = ReLU()(Conv2D(self.width, 7, padding="same")(h))  # (B, F, F, 32)
        init = keras.initializers.RandomNormal(0.0, 1e-3)
        h = Conv2D(self.channels, 5, padding="same", kernel_initializer=init)(h)
        return Activation("linear", dtype="float32")(h)

    def class_plane(self, c, side: int) -> list:
        """A map of the class (B, side, side, 1), as a list."""
        return [Reshape((side, side, 1))(ReLU()(Dense(side * side)(each))) for each in c]

    def build_discriminator(self, side: int) -> keras.Model:
        """D_k of a level: images (B, side, side, C), one-hot c (B, K) -> logits (B, 1)."""
        x, c = keras.Input((side, side, self.channels)), self.class_input()
        if side == self.sides[0]:
            h, init = joined([Flatten()(x), *c]), keras.initializers.RandomNormal(0.0, 0.005)
            for _ in range(2):
                h = ReLU()(Dense(self.units // 2, kernel_initializer=init)(h))  # (B, 600)
                h = Dropout(0.5)(h)
            h = Dense(1, kernel_initializer=init)(h)
        else:
            h = joined([x, *self.class_plane(c, side)])
            h = ReLU()(Conv2D(self.width, 5)(h))  # (B, 24, 24, 32) of 28x28
            h = ReLU()(Conv2D(self.width, 5, strides=2)(h))  # (B, 10, 10, 32)
            h = Dense(1)(Dropout(0.5)(Flatten()(h)))
        logits = Activation("linear", dtype="float32")(h)
        return keras.Model([x, *c], logits, name=f"discriminator_{side}")

    # Training of a level, and the chain of all.

    def game(self, side: int, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The losses of a level's players, and at finer levels the mean |band| over that of x.

        Args:
            side: side of the level's images in pixels.
            x: images, float32 (B, S, S, C) in [-1, 1]; the first half are the real ones, the others
                are those whose coarse images are given bands.
            labels: their classes, int32 (B,); generated images have those of the second half.
        """
        level = self.networks_of(side)
        real, other = halves(pyramid.reduced(x, side))
        c, c_other = ([ops.one_hot(y, self.classes)] * bool(self.classes) for y in halves(labels))
        coarse = [] if side == self.sides[0] else [pyramid.up(pyramid.down(other))]
        z = Latent(self.noise_sizes[side], self.distribution).draw(other.shape[0], self.noise)
        fake = level.generator([z, *coarse, *c_other], training=True)
        on_real = level.discriminator([real, *c], training=True)
        on_fake = level.discriminator([fake, *c_other], training=True)
        d_loss = level.discriminator.compute_loss(y=tf.ones_like(on_real), y_pred=on_real)
        d_loss += level.discriminator.compute_loss(y=tf.zeros_like(on_fake), y_pred=on_fake)
        g_loss = level.combined.compute_loss(y=tf.ones_like(on_fake), y_pred=on_fake)
        logs = {f"band_{side}": mean_band(fake, u) / mean_band(other, u) for u in coarse}
        return {f"discriminator_{side}": d_loss, f"generator_{side}": g_loss}, logs

    @property
    def sampler(self) -> keras.Model:
        """z (B, latent.size), one-hot c (B, K) -> images (B, S, S, C) in [-1, 1]."""
        return self.from_noise(self.refined)

    @property
    def coarse_sampler(self) -> keras.Model:
        """As `sampler`, but the coarsest images enlarged without any band."""
        return self.from_noise(lambda x, z, c: pyramid.enlarged(x, self.image_size))

    def from_noise(self, refined: Callable) -> keras.Model:
        z, c = keras.Input((self.latent.size,)), self.class_input()
        coarsest = self.sampling_networks[0]
        x = refined(coarsest([z[:, : coarsest.inputs[0].shape[1]], *c]), z, c)
        return keras.Model([z, *c] if c else z, ops.clip(x, -1.0, 1.0), name="sampler")

    def refiner(self, side: int) -> keras.Model:
        """Images (B, side, side, C) of a coarse level, z, c -> images (B, S, S, C) in [-1, 1]."""
        x, z = keras.Input((side, side, self.channels)), keras.Input((self.latent.size,))
        c = self.class_input()
        image = ops.clip(self.refined(x, z, c), -1.0, 1.0)
        return keras.Model([x, z, *c], image, name=f"refiner_{side}")

    def refined(self, x, z, c):
        """An image of a level with the bands of all finer ones, each drawn from its part of z."""
        parts = ops.split(z, [*accumulate(self.noise_sizes.values())][:-1], axis=1)
        for side, part, generator in zip(self.sides, parts, self.sampling_networks, strict=True):
            if side > x.shape[1]:
                x = generator([part, pyramid.up(x), *c])
        return x


def joined(tensors: list):
    return Concatenate()(tensors) if len(tensors) > 1 else tensors[0]


def mean_band(images, coarse):
    """Mean |band| of images, whose coarse images are given enlarged."""
    return ops.maximum(losses.l1(images, coarse), 1e-6)


if __name__ == "__main__":
    cli.main(LAPGAN, Generation, Refinement)
