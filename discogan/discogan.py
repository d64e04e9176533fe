"""DiscoGAN: relations between two domains, discovered without pairs.

Learning to Discover Cross-Domain Relations with Generative Adversarial Networks
Taeksoo Kim, Moonsu Cha, Hyunsoo Kim, Jung Kwon Lee, Jiwon Kim. ICML 2017, arXiv:1703.05192

With G: A -> B and F: B -> A the translators, a and b images of the two domains, and f_1, f_2, ...
the activations of the normalized layers of a discriminator, the losses of the authors' code are

    L_D    = 1/2 sum over both domains of H(D(x), 1) + H(D(x'), 0)
    L_FM   = sum_l mean ( E[f_l(x)] - E[f_l(x')] )^2
    L_gen  = sum over both domains of (1 - s) H(D(x'), 1) + s L_FM
    L_rec  = E[(F(G(a)) - a)^2] + E[(G(F(b)) - b)^2]
    L_G    = (1 - r) L_gen + r L_rec

with x the images of a domain, x' the translations into it, H the binary cross-entropy, s = 0.9, and
r = 0.01 at first, then 0.5. Without feature matching, s = 0, and with r = 0.5 from the start, L_G
is the objective of the paper (section 3.2) up to a factor, to which Adam is invariant.

Step i updates both discriminators if i is a multiple of 3, else both translators, each on its own
batch. The translators have one optimizer, and so have the discriminators.

Deviations: images are in [-1, 1] with a tanh, where the code has [0, 1] and a sigmoid; the squared
error, of numbers that differ twice as much, is divided by 4. Initial weights are from N(0, 0.02),
as in the paper's DCGAN, where the code has Torch's default. At inference, batch normalization uses
moving statistics, and those of the batch in the code.

    python3 discogan/discogan.py --dataset apple2orange --image_size 64
"""

import sys
from math import log2
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.distributed.collectives import all_gather
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import conv, conv_transpose, normal_init
from common.nn.counter import add_counter
from common.nn.layers import BatchNormalization
from common.nn.optimizers import adam
from common.tasks.unpaired_translation import UnpairedTranslation
from common.two_translators import TwoTranslators

import keras
import tensorflow as tf
from keras.layers import Activation, Conv2D, Conv2DTranspose, LeakyReLU, ReLU

UPDATE_INTERVAL = 3  # steps, of which the first updates the discriminators


class DiscoGAN(TwoTranslators):
    """Encoder-decoders without skips, and discriminators of whole images that match features.

    Args:
        image_size: side of the training images in pixels, a power of two from 16 up; 64 in the
            paper. Convolutions halve it down to 4 pixels.
        width: number of filters of the first convolution of each network; doubled each time, up to
            eight times. 64 in the paper.
        bottleneck: channels of a single pixel between encoder and decoder; 0 for none. 100 for
            faces, cars and chairs in the authors' code.
        feature_share: s, the share of feature matching in the adversarial loss; 0 in the paper, 0.9
            in the authors' code.
        reconstruction_weight: r, the weight of the reconstruction; that of the adversarial loss is
            1 - r.
        initial_reconstruction_weight: r at first.
        initial_steps: number of training steps with it; 10,000 in the authors' code.
        both_directions: whether the translators learn from both directions, or from A to B and back
            alone, as the paper's GAN with a reconstruction loss (section 3.1).
        weight_decay: added to the gradient of each weight as this multiple of the weight.
        learning_rate: step size of Adam, for both players.
        beta_1: Adam's decay rate for the first moment.
    """

    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 40_000}

    def __init__(
        self,
        bottleneck: int = 0,
        feature_share: float = 0.9,
        reconstruction_weight: float = 0.5,
        initial_reconstruction_weight: float = 0.01,
        initial_steps: int = 10_000,
        both_directions: bool = True,
        weight_decay: float = 1e-5,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        **shared,
    ):
        super().__init__(name="discogan", **shared)
        shares = {"feature_share": feature_share, "reconstruction_weight": reconstruction_weight}
        shares["initial_reconstruction_weight"] = initial_reconstruction_weight
        errors.not_negative(
            bottleneck=bottleneck, initial_steps=initial_steps, weight_decay=weight_decay, **shares
        )
        for name, share in shares.items():
            if share > 1:
                raise UserError(f"--{name} {share}: give 0 to 1")
        errors.above_zero(learning_rate=learning_rate)
        errors.below_one(beta_1=beta_1)
        errors.power_of_two(16, image_size=self.image_size)
        levels = int(log2(self.image_size)) - 2
        self.filters = [self.width * min(2**k, 8) for k in range(levels)]
        self.bottleneck, self.feature_share = bottleneck, feature_share
        self.weights_of_reconstruction = initial_reconstruction_weight, reconstruction_weight
        self.initial_steps, self.both_directions = initial_steps, both_directions
        self.weight_decay = weight_decay
        self.steps_done = add_counter(self)
        self.build_players(lambda: adam(learning_rate, beta_1))

    @property
    def multiple(self) -> int:
        """The sides of a translator's input must be multiples of this."""
        return self.image_size if self.bottleneck else self.image_size // 4

    # The networks, without biases.

    def build_translator(self, name: str) -> keras.Model:
        """Encoder and decoder: x (B, H, W, C) -> its translation (B, H, W, C)."""
        x = keras.Input((None, None, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.filters[0], use_bias=False))
        for filters in self.filters[1:]:
            h = normalized_leaky_relu(conv(h, filters, use_bias=False))
        options = {"use_bias": False, "kernel_initializer": normal_init()}
        if self.bottleneck:  # (B, 1, 1, 100) for a training image
            h = normalized_leaky_relu(Conv2D(self.bottleneck, 4, **options)(h))
            h = ReLU()(BatchNormalization()(Conv2DTranspose(self.filters[-1], 4, **options)(h)))
        for filters in reversed(self.filters[:-1]):  # of (B, 4, 4, 512)
            h = ReLU()(BatchNormalization()(conv_transpose(h, filters, use_bias=False)))
        h = conv_transpose(h, self.channels, use_bias=False)
        return keras.Model(x, Activation("tanh", dtype="float32")(h), name=name)

    def build_discriminator(self, domain: str) -> keras.Model:
        """Images (B, S, S, C) -> [logits (B, 1, 1, 1), f_1, f_2, ...], for 64 pixels three maps."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.filters[0], use_bias=False))
        features = []
        for filters in self.filters[1:]:
            h = normalized_leaky_relu(conv(h, filters, use_bias=False))
            features.append(h)
        h = Conv2D(1, 4, use_bias=False, kernel_initializer=normal_init())(h)  # of the whole map
        outputs = [Activation("linear", dtype="float32")(each) for each in (h, *features)]
        return keras.Model(x, outputs, name=f"discriminator_{domain}")

    # The step.

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Updates the discriminators or the translators; logs the losses of both."""
        logs = tf.cond(
            self.steps_done % UPDATE_INTERVAL == 0,
            lambda: self.update(*batch, only=["discriminator"]),
            lambda: self.update(*batch, only=["generator"]),
        )
        self.steps_done.assign_add(1)
        return logs

    def objectives(self, a: tf.Tensor, b: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players; `cycle_a` and `cycle_b`, errors in [0, 1], are logged.

        Args:
            a: images of one domain, float32 (B, S, S, C) in [-1, 1].
            b: unpaired images of the other; the same shape.
        """
        # Real images and translations apart: batch normalization must not mix them.
        on_real = self.discriminator([a, b], training=True)
        _, (cycle_a, cycle_b), on_fake = self.combined([a, b], training=True)
        d_loss = sum(map(self.d_loss, on_real, on_fake))
        adversarial = [*map(self.adversarial, on_real, on_fake)]  # in domain A, in domain B
        cycles = [losses.mse(a, cycle_a) / 4, losses.mse(b, cycle_b) / 4]  # as in [0, 1]
        logs = {"cycle_a": cycles[0], "cycle_b": cycles[1]}
        if not self.both_directions:
            adversarial, cycles = adversarial[1:], cycles[:1]
        r = tf.where(self.steps_done < self.initial_steps, *self.weights_of_reconstruction)
        g_loss = (1 - r) * sum(adversarial) + r * sum(cycles)
        d_loss += self.decay(self.discriminator)
        return {"discriminator": d_loss, "generator": g_loss + self.decay(self.generator)}, logs

    def d_loss(self, on_real: list[tf.Tensor], on_fake: list[tf.Tensor]) -> tf.Tensor:
        """Of one domain's discriminator, from its outputs for images and translations."""
        real, fake = on_real[0], on_fake[0]
        return 0.5 * (losses.cross_entropy(1.0, real) + losses.cross_entropy(0.0, fake))

    def adversarial(self, on_real: list[tf.Tensor], on_fake: list[tf.Tensor]) -> tf.Tensor:
        """The adversarial loss of the translator into one domain."""
        pairs = zip(on_real[1:], on_fake[1:], strict=True)
        matching = sum(losses.feature_matching(all_gather(f), all_gather(g)) for f, g in pairs)
        entropy = losses.cross_entropy(1.0, on_fake[0])
        return (1 - self.feature_share) * entropy + self.feature_share * matching

    def decay(self, network: keras.Model) -> tf.Tensor:
        """Gives each weight w the further gradient `weight_decay` w."""
        return losses.l2_penalty(network.trainable_variables, self.weight_decay)


def normalized_leaky_relu(h):
    return LeakyReLU(0.2)(BatchNormalization()(h))


if __name__ == "__main__":
    cli.main(DiscoGAN, UnpairedTranslation)
