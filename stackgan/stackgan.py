"""StackGAN: text to image in two stages: a small image, then a large one of both.

StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative Adversarial Networks
Han Zhang, Tao Xu, Hongsheng Li, Shaoting Zhang, Xiaogang Wang, Xiaolei Huang, Dimitris Metaxas.
ICCV 2017, arXiv:1612.03242

A text encoder, Stage I and Stage II are trained one after the other, as the stages of one run. The
encoder, then frozen, turns a text into a vector t. Each stage draws a condition of it, with
parameters of its own (conditioning augmentation, section 3.2):

    c = mu(t) + sigma(t) eps

Stage I draws a small image of c and z, Stage II a large one of c and the small image, with no other
noise. D judges an image and t together. Besides generated images it rejects real ones that the text
does not describe, x':

    L_D = E[-log D(x, t)] + 1/2 (E[-log(1 - D(x', t))] + E[-log(1 - D(G(z, c), t))])
    L_G = E[-log D(G(z, c), t)] + kl KL(N(mu(t), sigma(t)^2) || N(0, I))   (equations 3 to 6)

Deviations: the encoder is trained on the captions at hand, by matching them with their images,
where the paper has Reed's, trained elsewhere; --embeddings gives embeddings of any other. It sees
one caption of an image at a time. G and D are updated at once, from one forward pass of G; the
authors update D first. D judges real, wrong and generated images in one pass, the authors in three:
normalised by itself, a batch of which no pair matches was told by its statistics. KL is the mean
over components, with a factor of 2, as in the authors' code.

    python3 stackgan/stackgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.errors import UserError
from common.nn import losses, pyramid
from common.nn.blocks import dense
from common.nn.bottleneck import conv, enlarged, joined, normalized_conv, painted, residual
from common.nn.conditioning_augmentation import ConditioningAugmentation, kl_divergence
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.nn.optimizers import adam
from common.players import Player
from common.staged import Stage
from common.tasks.text_to_image import TextToImage
from common.text_conditional import TextConditional

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Add, Concatenate, LeakyReLU, ReLU, Reshape, UpSampling2D

RATIO = 4  # side of Stage II's images over Stage I's
REFINING_BLOCKS = 4  # residual blocks of Stage II's generator


class StackGAN(TextConditional):
    """Two generators, each with its discriminator, and a text encoder.

    Args:
        image_size: side of images in pixels, 32, 64, 128 or 256; Stage I's have a quarter of it.
        channels: image channels, 3 for RGB.
        vocabulary: words of the training captions.
        caption_length: number of words of a caption that the encoder reads.
        embedding_size: components of embeddings that are given; 0 to encode captions.
        examples: captions of the sample grid.
        width: filters of the generators; 128 in the paper.
        d_width: filters of the first convolution of Stage I's discriminator; 64 in the paper.
        d_width_2: filters of the first convolution of Stage II's discriminator; 64 in the paper.
        condition_size: components of c, and of what each discriminator makes of t; 128.
        latent_size: components of z; 100 in the paper.
        word_size: components of a word's embedding in the text encoder.
        units: units of the text encoder's GRU in each direction.
        pretrain_steps: training steps of the text encoder.
        coarse_steps: training steps of Stage I.
        fine_steps: training steps of Stage II.
        halve_every: steps after which Stage I's rates are halved, Stage II's twice; 0 for never.
        kl: weight of the divergence of c's distribution from N(0, I).
        learning_rate: step size of Adam for the generators and discriminators.
        encoder_rate: step size of Adam for the text encoder.
        beta_1: Adam's decay rate for the first moment.
    """

    logged = (
        *("matcher_loss", "matched"),
        *("d_1_loss", "g_1_loss", "kl_1", "wrong_1"),
        *("d_2_loss", "g_2_loss", "kl_2", "wrong_2"),
    )
    defaults: ClassVar[dict] = {"batch_size": 64, "sample_every": 1000}

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        vocabulary: list[str] | None = None,
        caption_length: int = 16,
        embedding_size: int = 0,
        examples: list[str] | None = None,
        width: int = 32,
        d_width: int = 32,
        d_width_2: int = 16,
        condition_size: int = 32,
        latent_size: int = 32,
        word_size: int = 64,
        units: int = 64,
        pretrain_steps: int = 2000,
        coarse_steps: int = 6000,
        fine_steps: int = 5000,
        halve_every: int = 0,
        kl: float = 2.0,
        learning_rate: float = 2e-4,
        encoder_rate: float = 1e-3,
        beta_1: float = 0.5,
    ):
        super().__init__(name="stackgan")
        errors.at_least(4, width=width)
        errors.at_least_one(d_width=d_width, d_width_2=d_width_2, units=units, word_size=word_size)
        errors.at_least_one(condition_size=condition_size, latent_size=latent_size)
        errors.at_least_one(pretrain_steps=pretrain_steps)
        errors.at_least_one(coarse_steps=coarse_steps, fine_steps=fine_steps)
        errors.not_negative(kl=kl, halve_every=halve_every)
        errors.above_zero(learning_rate=learning_rate, encoder_rate=encoder_rate)
        errors.below_one(beta_1=beta_1)
        if image_size not in (32, 64, 128, 256):
            raise UserError(f"--image_size {image_size}: give 32, 64, 128 or 256")
        self.image_size, self.channels, self.side = image_size, channels, image_size // RATIO
        self.width, self.condition_size, self.z_size = width, condition_size, latent_size
        self.set_text(vocabulary, caption_length, embedding_size, examples, units)
        self.latent = Latent(latent_size + 2 * condition_size)  # z, and eps of both stages
        self.kl, self.halve_every = kl, halve_every
        self.build_encoders(image_size, channels, word_size, encoder_rate)
        self.generator_1, self.generator_2 = self.build_generator_1(), self.build_generator_2()
        self.discriminator_1 = self.build_discriminator(self.side, d_width, 1)
        self.discriminator_2 = self.build_discriminator(image_size, d_width_2, 2)
        for network in self.pair(1) + self.pair(2):
            network.compile(optimizer=adam(learning_rate, beta_1))
        coarse = Stage(coarse_steps, self.coarse_objectives, ("discriminator_1", "generator_1"))
        fine = Stage(fine_steps, self.fine_objectives, ("discriminator_2", "generator_2"))
        self.set_stages([*self.encoder_stages(pretrain_steps), coarse, fine])
        self.compile()

    # Who plays, and for how long.

    @property
    def coarse_only(self) -> bool:
        """Whether Stage II has not been trained yet."""
        return self.stage_of(int(self.steps_done)) < len(self.stages) - 1

    def pair(self, stage: int) -> tuple[keras.Model, keras.Model]:
        """G and D of a stage."""
        return getattr(self, f"generator_{stage}"), getattr(self, f"discriminator_{stage}")

    @property
    def players(self) -> dict[str, Player]:
        networks = [each for stage in (1, 2) for each in self.pair(stage)]
        return self.encoder_players | {each.name: Player(each, each) for each in networks}

    @property
    def sampling_networks(self) -> list[keras.Model]:
        return [*self.encoder_networks, self.generator_1, self.generator_2]

    def rate_factor(self, step: int) -> float:
        """Halves the rates of both stages again and again; the encoder's stays."""
        start, end = (0, *self.ends)[-3:-1]
        if not self.halve_every or step < start:
            return 1.0
        done, every = (step - start, 1) if step < end else (step - end, 2)
        return 0.5 ** (done // (every * self.halve_every))

    # The networks (section 3.5).

    def build_generator_1(self) -> keras.Model:
        """Stage I: t (B, d), z and eps (B, z + c) -> images (B, S/4, S/4, C); mu, log sigma."""
        t, noise = keras.Input((self.t_size,)), keras.Input((self.z_size + self.condition_size,))
        z, eps = noise[:, : self.z_size], noise[:, self.z_size :]
        c, statistics = ConditioningAugmentation(self.condition_size)([t, eps])
        filters, side = 8 * self.width, 4
        h = dense(Concatenate()([c, z]), side * side * filters)
        h = Reshape((side, side, filters))(BatchNormalization()(h))  # (B, 4, 4, 1024)
        h = ReLU()(residual(h))
        while 2 * side < self.side:
            filters, side = filters // 2, 2 * side
            h = enlarged(h, filters)  # (B, 8, 8, 512), (B, 16, 16, 256), (B, 32, 32, 128)
            h = ReLU()(residual(h) if side == 8 else h)
        images = painted(UpSampling2D()(h), self.channels)
        return keras.Model([t, noise], [images, statistics], name="generator_1")

    def build_generator_2(self) -> keras.Model:
        """Stage II: t, eps (B, c), Stage I's images -> images (B, S, S, C); mu, log sigma."""
        t, eps = keras.Input((self.t_size,)), keras.Input((self.condition_size,))
        x = keras.Input((self.side, self.side, self.channels))
        c, statistics = ConditioningAugmentation(self.condition_size)([t, eps])
        h = ReLU()(conv(x, self.width))
        for filters in (2 * self.width, 4 * self.width):
            h = ReLU()(normalized_conv(h, filters, 4, 2))
        h = ReLU()(normalized_conv(joined(h, c), filters))  # (B, 16, 16, 512)
        for _ in range(REFINING_BLOCKS):
            branch = normalized_conv(ReLU()(normalized_conv(h, filters)), filters)
            h = ReLU()(Add()([h, branch]))
        for _ in range(4):  # (B, 32, 32, 256), ..., (B, 256, 256, 32)
            filters //= 2
            h = ReLU()(enlarged(h, filters))
        return keras.Model([t, eps, x], [painted(h, self.channels), statistics], name="generator_2")

    def build_discriminator(self, side: int, width: int, stage: int) -> keras.Model:
        """Images (B, side, side, C), t (B, d) -> logits (B, 1): whether t describes a real one."""
        x, t = keras.Input((side, side, self.channels)), keras.Input((self.t_size,))
        h, filters = LeakyReLU(0.2)(conv(x, width, 4, 2)), width
        linear = 8 if stage == 1 else 4  # from this side on there is no activation
        while (side := h.shape[1]) > 4:
            filters *= 2
            h = normalized_conv(h, filters, 4, 2)
            if h.shape[1] > linear or filters > 8 * width:
                h = LeakyReLU(0.2)(h)
        while filters > 8 * width:
            filters //= 2
            h = normalized_conv(h, filters, 1)
            h = LeakyReLU(0.2)(h) if filters > 8 * width else h
        h = LeakyReLU(0.2)(residual(h, LeakyReLU(0.2)))  # (B, 4, 4, 512)
        c = LeakyReLU(0.2)(dense(t, self.condition_size))
        h = LeakyReLU(0.2)(normalized_conv(joined(h, c), filters, 1))
        h = Reshape((1,))(conv(h, 1, 4, padding="valid"))
        logits = Activation("linear", dtype="float32")(h)
        return keras.Model([x, t], logits, name=f"discriminator_{stage}")

    # The objectives of the stages.

    def coarse_objectives(self, x: tf.Tensor, text: tf.Tensor, wrong: tf.Tensor):
        """Stage I, on small images.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            text: their captions' tokens, int32 (B, T), or embeddings, float32 (B, d).
            wrong: images that these captions do not describe, float32 (B, S, S, C).
        """
        t, coarse_noise, _ = self.drawn(text)
        fake = self.generator_1([t, coarse_noise], training=True)
        x, wrong = (pyramid.reduced(each, self.side) for each in (x, wrong))
        return self.game(1, x, wrong, *fake, t)

    def fine_objectives(self, x: tf.Tensor, text: tf.Tensor, wrong: tf.Tensor):
        """Stage II, on Stage I's images, of whose batch the statistics are: it is not updated."""
        t, coarse_noise, eps = self.drawn(text)
        coarse, _ = self.generator_1([t, coarse_noise], training=True)
        fake = self.generator_2([t, eps, tf.stop_gradient(coarse)], training=True)
        return self.game(2, x, wrong, *fake, t)

    def game(self, stage: int, x, wrong, fake, statistics, t) -> tuple[dict, dict]:
        """The losses of a stage's D and G: real, wrong and generated images beside one text."""
        _, D = self.pair(stage)
        # In one pass: batches of their own statistics are told apart without reading any image.
        images, texts = ops.concatenate([x, wrong, fake]), ops.concatenate([t, t, t])
        on_real, on_wrong, on_fake = ops.split(D([images, texts], training=True), 3)
        rejected = (losses.cross_entropy(0.0, each) for each in (on_wrong, on_fake))
        d_loss = losses.cross_entropy(1.0, on_real) + 0.5 * sum(rejected)
        divergence = kl_divergence(statistics)
        g_loss = losses.cross_entropy(1.0, on_fake) + self.kl * divergence
        logs = {f"kl_{stage}": divergence, f"wrong_{stage}": ops.mean(ops.sigmoid(on_wrong))}
        return {f"discriminator_{stage}": d_loss, f"generator_{stage}": g_loss}, logs

    def drawn(self, text: tf.Tensor) -> tuple:
        """t of a text, and the parts of fresh noise."""
        return self.embedded(text), *self.parts(self.latent.draw(text.shape[0], self.noise))

    def parts(self, noise) -> list:
        """Stage I's part of the noise, z and eps, and Stage II's, eps."""
        return ops.split(noise, [self.z_size + self.condition_size], axis=1)

    # At inference.

    @property
    def sampler(self) -> keras.Model:
        """t (B, d), noise (B, latent.size) -> images (B, S, S, C) in [-1, 1], and Stage I's."""
        t, noise = keras.Input((self.t_size,)), keras.Input((self.latent.size,))
        coarse_noise, eps = self.parts(noise)
        coarse, _ = self.generator_1([t, coarse_noise])
        images, _ = self.generator_2([t, eps, coarse])
        return keras.Model([t, noise], [images, coarse], name="sampler")


if __name__ == "__main__":
    cli.main(StackGAN, TextToImage)
