"""PixelDA: images of a source are translated to a target domain, with their labels.

Unsupervised Pixel-Level Domain Adaptation with Generative Adversarial Networks
Konstantinos Bousmalis, Nathan Silberman, David Dohan, Dumitru Erhan, Dilip Krishnan. CVPR 2017,
arXiv:1612.05424

With x_s an image of the source, y_s its class, x_t one of the target, z uniform noise, and
x_f = G(x_s, z) the translation, D tells target images from translations, and T classifies them:

    L_d(D, G) = E[log D(x_t)] + E[log(1 - D(x_f))]                         (equation 2)
    L_t(T, G) = E[-log T(x_f)[y_s]] + E[-log T(x_s)[y_s]]                  (equation 3)

    min_{G, T} max_D  alpha L_d(D, G) + beta L_t(T, G)                     (equation 1)

where G minimizes -alpha E[log D(x_f)], which does not saturate. The weights are those of the
authors' code for MNIST-M: 0.1356 for D, 1 for T; 0.0113 for alpha and 0.0101 for beta in G's loss.
T's first convolution is one for the source and another for the target and for translations. After
training it classifies images of the target, of which no label was used.

Deviations: the networks are half as wide and deep as the paper's by default, and D has one layer
less, for a CPU; `--config paper` gives the paper's. All players are updated at once, from one
forward pass of G, where that code updates D and T, then G on another batch. The noise that is added
to D's activations is off at inference, where D is not used.

    python3 pixelda/pixelda.py --dataset mnist_m --photos PHOTOS
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import conv, dense, normal_init
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization, Dropout, GaussianNoise
from common.nn.optimizers import adam
from common.players import Player
from common.tasks.discriminator import Classification
from common.tasks.domain_adaptation import DomainAdaptation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import (
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Flatten,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Reshape,
)

DECAY, DECAY_STEPS = 0.95, 10_000  # of the learning rate: the factor, and the steps between two
CLIP_NORM = 5.0  # bound on the norm of the gradient of each variable


class PixelDA(Adversarial):
    """Residual translator G, discriminator D and classifier T, trained on two domains.

    Args:
        image_size: side of the images in pixels, a multiple of 4; 32 in the authors' code.
        channels: image channels of both domains, 3 for RGB or 1 for grayscale.
        classes: number of classes, 2 or more.
        width: number of filters of each convolution of G, and of the first one of D, doubled from
            there on; 64 in the paper.
        blocks: residual blocks of G; 6 in the paper.
        first_strides: strides of D's first convolution; 1 in the paper, where D has one layer more.
        latent_size: number of components of z.
        d_weight: weight of D's loss, which matters for the clipping of gradients alone.
        g_weight: alpha, the weight of the adversarial term of G's loss.
        task_weight: beta, the weight of T's loss on translations in G's loss.
        learning_rate: step size of Adam, for all players; it decays by 5% every 10,000 steps.
        beta_1: Adam's decay rate for the first moment.
        baseline: train T alone, to compare with: on labelled images of the source, or on labelled
            images of the target.
    """

    has_baseline = True
    defaults: ClassVar[dict] = {"batch_size": 32, "steps": 20000}

    def __init__(
        self,
        image_size: int = 32,
        channels: int = 3,
        classes: int = 10,
        width: int = 32,
        blocks: int = 3,
        first_strides: Literal[1, 2] = 2,
        latent_size: int = 10,
        d_weight: float = 0.1356036,
        g_weight: float = 0.0113173,
        task_weight: float = 0.0100960,
        learning_rate: float = 1e-3,
        beta_1: float = 0.5,
        baseline: Literal["source", "target"] | None = None,
    ):
        super().__init__(name="pixelda")
        errors.at_least_one(width=width, blocks=blocks, latent_size=latent_size)
        errors.above_zero(d_weight=d_weight, learning_rate=learning_rate)
        errors.not_negative(g_weight=g_weight, task_weight=task_weight)
        errors.below_one(beta_1=beta_1)
        if image_size < 8 or image_size % 4:
            raise UserError(f"--image_size {image_size}: give a multiple of 4 from 8 up, like 32")
        if classes < 2:
            raise UserError(
                f"--dataset: pixelda needs a source of 2 classes or more, here are {classes}; give "
                "one with a folder of images for each class, or a labelled one such as mnist"
            )
        self.image_size, self.channels, self.classes = image_size, channels, classes
        self.width, self.blocks, self.first_strides = width, blocks, first_strides
        self.baseline = baseline
        self.latent = Latent(latent_size, "uniform")
        self.noise = keras.random.SeedGenerator()

        adversarial, of_class = losses.cross_entropy, losses.softmax_cross_entropy
        optimizers = [adam(learning_rate, beta_1, clipnorm=CLIP_NORM) for _ in range(3)]
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.classifier = self.build_classifier()
        self.discriminator.compile(loss=adversarial, loss_weights=d_weight, optimizer=optimizers[0])
        self.classifier.compile(loss=[of_class, of_class], optimizer=optimizers[1])
        x_s, z = self.generator.inputs
        x_f = self.generator([x_s, z])
        self.combined = keras.Model([x_s, z], [self.discriminator(x_f), self.target_tower(x_f)])
        self.combined.compile(
            loss=[adversarial, of_class],
            loss_weights=[g_weight, task_weight],
            optimizer=optimizers[2],
        )
        self.compile()

    @property
    def players(self) -> dict[str, Player]:
        of_baseline = self.baseline is not None  # then T has one tower
        return {
            "discriminator": Player(self.discriminator, self.discriminator),
            "classifier": Player(self.classifier, self.classifier, growing=of_baseline),
            "generator": Player(self.combined, self.generator),
        }

    def rate_factor(self, step: int) -> float:
        return DECAY ** (step // DECAY_STEPS)

    # The networks (section 4.2 and the authors' code).

    def build_generator(self) -> keras.Model:
        """G: x_s (B, S, S, C), z (B, latent) -> its translation (B, S, S, C) in [-1, 1]."""

        def block(h):
            r = ReLU()(norm()(conv(h, self.width, kernel=3, strides=1, use_bias=False)))
            return Add()([h, norm()(conv(r, self.width, kernel=3, strides=1, use_bias=False))])

        side = self.image_size
        x_s, z = keras.Input((side, side, self.channels)), keras.Input((self.latent.size,))
        noise = ReLU()(norm()(dense(z, side * side, use_bias=False)))
        h = Concatenate()([x_s, Reshape((side, side, 1))(noise)])  # (B, S, S, C + 1)
        h = ReLU()(conv(h, self.width, kernel=3, strides=1))
        for _ in range(self.blocks):
            h = block(h)
        h = Conv2D(self.channels, 1, kernel_initializer=normal_init())(h)
        return keras.Model([x_s, z], Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) -> logits of being of the target (B, 1)."""

        def activated(h):
            return GaussianNoise(0.2)(Dropout(0.1)(LeakyReLU(0.2)(h)))

        x = keras.Input((self.image_size, self.image_size, self.channels))
        filters = self.width
        h = activated(conv(x, filters, kernel=3, strides=self.first_strides))
        while h.shape[1] > 4:  # to (B, 4, 4, 4 width) for 32 pixels; in the paper 8 width
            filters *= 2
            h = activated(norm()(conv(h, filters, kernel=3, use_bias=False)))
        h = Activation("linear", dtype="float32")(dense(Flatten()(h), 1))
        return keras.Model(x, h, name="discriminator")

    def build_classifier(self) -> keras.Model:
        """T: x_s, x_f (B, S, S, C) -> logits of the classes (B, K) of both.

        The towers of both domains share all layers but the first; each is a model by itself.
        """
        shape = self.image_size, self.image_size, self.channels
        h = keras.Input((shape[0] // 2, shape[1] // 2, 32))
        shared = keras.Model(h, self.shared_layers(h), name="shared")
        towers = []
        for domain in ("source", "target"):
            x = keras.Input(shape)
            towers.append(keras.Model(x, shared(pooled(x, 32)), name=f"{domain}_tower"))
        self.source_tower, self.target_tower = towers
        inputs = [keras.Input(shape) for _ in range(2)]
        outputs = [tower(x) for tower, x in zip(towers, inputs, strict=True)]
        return keras.Model(inputs, outputs, name="classifier")

    def shared_layers(self, h):
        h = Flatten()(pooled(h, 48))
        for _ in range(2):
            h = ReLU()(dense(h, 100))
        return Activation("linear", dtype="float32")(dense(h, self.classes))

    # The losses.

    def objectives(
        self, x_s: tf.Tensor, y_s: tf.Tensor, x_t: tf.Tensor, _y_t: tf.Tensor
    ) -> tuple[dict, dict]:
        """The losses of all players; the share of translations that T classifies as their source.

        Args:
            x_s, x_t: images of both domains, float32 (B, S, S, C) in [-1, 1].
            y_s: classes of the source's images, int32 (B,).
        """
        D, T = self.discriminator, self.classifier
        z = self.latent.draw(ops.shape(x_s)[0], self.noise)
        x_f = self.generator([x_s, z], training=True)
        # Two passes of D: batch normalization must not mix both.
        fake, real = D(x_f, training=True), D(x_t, training=True)
        of_source, of_fake = T([x_s, x_f], training=True)
        d_loss = D.compute_loss(y=tf.ones_like(real), y_pred=real)
        d_loss += D.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        values = {
            "discriminator": d_loss,
            "classifier": T.compute_loss(y=[y_s, y_s], y_pred=[of_source, of_fake]),
            "generator": self.combined.compute_loss(
                y=[tf.ones_like(fake), y_s], y_pred=[fake, of_fake]
            ),
        }
        return values, {"accuracy": losses.accuracy(y_s, of_fake)}

    def baseline_objectives(
        self, x_s: tf.Tensor, y_s: tf.Tensor, x_t: tf.Tensor, y_t: tf.Tensor
    ) -> tuple[dict, dict]:
        """T's loss on images of one domain, by the tower that classifies target images."""
        x, y = (x_s, y_s) if self.baseline == "source" else (x_t, y_t)
        logits = self.target_tower(x, training=True)
        logs = {"accuracy": losses.accuracy(y, logits)}
        return {"classifier": losses.softmax_cross_entropy(y, logits)}, logs

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        if self.baseline is None:
            return self.update(*batch)
        return self.update(*batch, objectives=self.baseline_objectives, only=["classifier"])

    def classify(self, images) -> tf.Tensor:
        """Class probabilities (B, K) of images of the target, float32 (B, S, S, C) in [-1, 1]."""
        return tf.nn.softmax(self.target_tower(images, training=False))


def norm() -> BatchNormalization:
    """Batch normalization with an offset and no scale, as in the authors' code."""
    return BatchNormalization(scale=False, epsilon=1e-3)


def pooled(h, filters: int):
    """5x5 convolution, ReLU and 2x2 max pooling."""
    h = Conv2D(filters, 5, padding="same", kernel_initializer=normal_init())(h)
    return MaxPooling2D()(ReLU()(h))


if __name__ == "__main__":
    cli.main(PixelDA, DomainAdaptation, Classification)
