"""CC-GAN: in-painting teaches a classifier that has few labels.

Semi-Supervised Learning with Context-Conditional Generative Adversarial Networks
Emily Denton, Sam Gross, Rob Fergus. 2016, arXiv:1611.06430

A mask m is 1 on the visible pixels of an image x and 0 in a hole at a random place. G fills the
hole, D judges the composite image x_I and classifies images: D(x) is the probability that x is
real, and D_c(x) those of the classes.

    x_G = G(m x, m),    x_I = (1 - m) x_G + m x

    min over D     -E[t log D(x) + (1 - t) log(1 - D(x))] - E[log(1 - D(x_I))]
    min over G     -E[t log D(x_I) + (1 - t) log(1 - D(x_I))]
    min over D     -lambda_c E[log D_c(x_L)_y]          x_L one of the few images with a label y

in this order, each with the weights updated before. The target t is 0.9, as in the authors' code.
CC-GAN^2 (`--objective cc_gan2`) repeats the first two with x_G itself in place of x_I, so that D
sees what G makes of the visible pixels, too; there t is 1.

Deviations: the networks are small ones for digits, and G has a U-Net's skips and takes the mask,
without which a hole of zeros is a grey square. One batch and one pass of G serve the updates of D
and G, where the authors' code draws a batch for real images and another one for those with holes,
and its G of CC-GAN makes the same step twice. D's moving statistics follow whole images alone: they
serve `classify`. Images are shifted at random, not scaled, cropped and mirrored: a digit would
become another. The learning rate falls to 0 in the last half of a run. Biases are not held at 0.
Left out: noise as a further input of G; the copy of low resolution of the whole image that G is
given for large holes, since an image to complete has none.

    python3 ccgan/ccgan.py --dataset mnist
"""

import sys
from collections.abc import Callable
from math import ceil, log2
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial
from common.data.label_subset import FewLabels, few_labels
from common.errors import UserError
from common.nn import losses
from common.nn.augmentation import shifted
from common.nn.blocks import conv, conv_transpose, dense, normal_init
from common.nn.layers import BatchNormalization, Dropout
from common.nn.masks import composite, with_square_holes
from common.nn.optimizers import adam
from common.nn.padding import CropLike, PadToMultiple
from common.players import Player, kept
from common.tasks.discriminator import Classification
from common.tasks.inpainting import InPainting

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Concatenate, Conv2D, Flatten, LeakyReLU, MaxPooling2D, ReLU


class CCGAN(Adversarial):
    """U-Net that fills holes in images of any size, and a VGG-like D with a classifier head.

    Args:
        image_size: side of the training images in pixels, 16 or more.
        channels: image channels, 1 for grayscale or 3 for RGB.
        classes: number of classes of the labels; 0 where there are none.
        objective: cc_gan, where D judges completed images, or cc_gan2, where it also judges the
            output of G itself, in a second update of D and G per step.
        labels: number of training images whose label is used, such as 100; 0 for in-painting alone.
        baseline: train D's classifier on the labelled images alone; G is not trained.
        hole: side of the square holes in pixels; default half of image_size.
        width: filters of G's first convolution; deeper ones have multiples, up to eight times.
        d_width: filters of D's first convolution; deeper ones have multiples, up to eight times.
        class_weight: lambda_c, the weight of the classifier's loss.
        reconstruction_weight: weight in G's loss of the mean absolute difference of the completed
            and the original image in [-1, 1]; 0 in the paper.
        shift: pixels by which training images are shifted at random, at most, in each direction.
        learning_rate: step size of Adam, for both networks.
        beta_1: Adam's decay rate for the first moment.
    """

    has_baseline = True
    defaults: ClassVar[dict] = {"batch_size": 32, "steps": 12000, "schedule": "linear"}

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        classes: int = 10,
        objective: Literal["cc_gan", "cc_gan2"] = "cc_gan",
        labels: int = 100,
        baseline: bool = False,
        hole: int | None = None,
        width: int = 32,
        d_width: int = 16,
        class_weight: float = 1.0,
        reconstruction_weight: float = 0.0,
        shift: int = 2,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
    ):
        super().__init__(name="ccgan")
        errors.at_least(16, image_size=image_size)
        errors.at_least_one(width=width, d_width=d_width)
        errors.above_zero(class_weight=class_weight, learning_rate=learning_rate)
        errors.not_negative(reconstruction_weight=reconstruction_weight, shift=shift)
        errors.below_one(beta_1=beta_1)
        check_labels(labels, baseline, classes)
        self.image_size, self.channels, self.classes = image_size, channels, classes
        self.hole = image_size // 2 if hole is None else hole
        if not 1 <= self.hole < image_size:
            raise UserError(f"--hole {hole}: give 1 to {image_size - 1}, less than --image_size")
        self.target, self.squared = (1.0, True) if objective == "cc_gan2" else (0.9, False)
        self.labels, self.baseline, self.class_weight = labels, baseline, class_weight
        self.width, self.d_width, self.shift = width, d_width, shift
        self.noise = keras.random.SeedGenerator()  # holes, shifts, choice of labelled images
        self.labelled = FewLabels()  # set by `prepare`

        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        image, heads = self.discriminator.input, self.discriminator.outputs
        self.adversary = keras.Model(image, heads[0], name="adversary")
        self.adversary.compile(loss=losses.cross_entropy, optimizer=adam(learning_rate, beta_1))
        if labels:
            self.classifier = keras.Model(image, heads[1], name="classifier")
        x, m = (keras.Input((image_size, image_size, depth)) for depth in (channels, 1))
        x_i = composite(m, x, self.generator([x, m]))
        self.combined = keras.Model([x, m], [self.adversary(x_i), x_i], name="combined")
        self.combined.compile(
            loss=[losses.cross_entropy, losses.l1],
            loss_weights=[1.0, reconstruction_weight],
            optimizer=adam(learning_rate, beta_1),
        )
        x, m = self.generator.inputs
        self.completion = keras.Model([x, m], composite(m, x, self.generator([x, m])))
        self.compile()

    # The networks.

    def build_generator(self) -> keras.Model:
        """G: x (B, H, W, C) in [-1, 1], of any sides, and m (B, H, W, 1) -> x_G (B, H, W, C)."""
        levels = ceil(log2(self.image_size / 4))
        filters = [self.width * min(2**level, 8) for level in range(levels)]

        x, m = keras.Input((None, None, self.channels)), keras.Input((None, None, 1))
        h = PadToMultiple(2**levels)(Concatenate()([m * x, m]))
        skips = []
        for level in range(levels):  # (B, 16, 16, 32), (B, 8, 8, 64), (B, 4, 4, 128) for digits
            h = conv(h, filters[level], use_bias=level == 0)
            h = LeakyReLU(0.2)(BatchNormalization()(h) if level else h)
            skips.append(h)
        for level in reversed(range(levels - 1)):
            h = conv_transpose(h, filters[level], use_bias=False)
            h = Concatenate()([ReLU()(BatchNormalization()(h)), skips[level]])
        h = CropLike()([conv_transpose(h, self.channels), x])
        return keras.Model([x, m], Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) -> logits of being real (B, 1) and, with labels, of the classes.

        Blocks of one or two 3x3 convolutions and pooling, as long as the side is above 3 pixels.
        """
        x = keras.Input((self.image_size, self.image_size, self.channels))
        missing = -self.image_size % 8
        margin = (missing // 2, missing - missing // 2)
        h = ops.pad(x, [(0, 0), margin, margin, (0, 0)], constant_values=-1.0)  # (B, 32, 32, 1)
        block = 0
        while h.shape[1] > 3:
            for _ in range(1 if block < 2 else 2):
                filters, options = self.d_width * min(2**block, 8), {"use_bias": False}
                options |= {"padding": "same", "kernel_initializer": normal_init()}
                h = LeakyReLU(0.2)(BatchNormalization()(Conv2D(filters, 3, **options)(h)))
            h = MaxPooling2D(padding="same")(h)
            block += 1
        heads = [dense(Flatten()(h), 1)]  # from (B, 2, 2, 128)
        if self.labels:
            channel = Dropout(0.5)(ops.ones_like(h[:, :1, :1]))  # drops whole channels
            heads.append(dense(Flatten()(h * channel), self.classes))
        heads = [Activation("linear", dtype="float32")(head) for head in heads]
        return keras.Model(x, heads, name="discriminator")

    # Who plays.

    @property
    def players(self) -> dict[str, Player]:
        """D's updates share one optimizer; each concerns one of its heads."""
        return {
            "discriminator": Player(self.adversary, self.discriminator, growing=True),
            "generator": Player(self.combined, self.generator),
        }

    @property
    def sampler(self) -> keras.Model:
        """x (B, H, W, C), of which only the visible pixels matter, and m (B, H, W, 1) -> x_I."""
        return self.completion

    def prepare(self, data):
        """Keeps the labelled images: a function of data and seed, so not part of checkpoints."""
        if self.labels:
            self.labelled = few_labels(data, self.labels)

    # The updates of a step.

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """D, G (twice for CC-GAN^2), then D's classifier.

        Args:
            batch: images, float32 (B, S, S, C) in [-1, 1]; the labels beside them are not used.
        """
        x, _ = batch
        logs = {}
        if not self.baseline:
            logs |= self.completing(x, whole=False)
        if not self.baseline and self.squared:
            second = self.completing(x, whole=True)
            logs |= {f"{name}_whole": value for name, value in second.items()}
        if self.labels:
            update = {"objectives": self.classification, "only": ["discriminator"]}
            logs["class_loss"] = self.update(x.shape[0], **update)["d_loss"]
        return logs

    def completing(self, x: tf.Tensor, whole: bool) -> dict[str, tf.Tensor]:
        """Updates D and G on images with new holes, completed or (`whole`) as G gives them."""
        x, m = shifted(x, self.shift, self.noise), self.masks(x.shape[0])
        seen = tf.zeros_like(m) if whole else m
        return self.update(x, m, seen, objectives=self.completion_objectives, only=["generator"])

    def completion_objectives(self, x: tf.Tensor, m: tf.Tensor, seen: tf.Tensor):
        """G's loss by the D that was updated on the same images; `hole_l1` is logged."""
        x_i = composite(seen, x, self.generator([x, m], training=True))
        fixed = tf.stop_gradient(x_i)
        logs = self.update(x, fixed, objectives=self.discrimination, only=["discriminator"])
        logit = self.judge_completed(x_i)
        y, y_pred = [self.target * tf.ones_like(logit), x], [logit, x_i]
        error = tf.reduce_sum((1.0 - m) * tf.abs(x - fixed))
        logs["hole_l1"] = error / (tf.reduce_sum(1.0 - m) * self.channels)
        return {"generator": self.combined.compute_loss(y=y, y_pred=y_pred)}, logs

    def discrimination(self, x: tf.Tensor, x_i: tf.Tensor) -> tuple[dict, dict]:
        """D's loss on real and on completed images, each normalized by itself."""
        D = self.adversary
        real, fake = D(x, training=True), self.judge_completed(x_i)
        loss = D.compute_loss(y=self.target * tf.ones_like(real), y_pred=real)
        return {"discriminator": loss + D.compute_loss(y=tf.zeros_like(fake), y_pred=fake)}, {}

    def judge_completed(self, x_i: tf.Tensor) -> tf.Tensor:
        with kept(self.discriminator.non_trainable_weights):
            return self.adversary(x_i, training=True)

    def classification(self, count: int) -> tuple[dict, dict]:
        """The classifier's loss on `count` of the labelled images."""
        x, y = self.labelled.draw(count, self.noise)
        logits = self.classifier(shifted(x, self.shift, self.noise), training=True)
        return {"discriminator": self.class_weight * losses.softmax_cross_entropy(y, logits)}, {}

    def masks(self, count: int, seed: keras.random.SeedGenerator | None = None) -> tf.Tensor:
        """Masks with holes at random places, float32 (count, S, S, 1)."""
        return with_square_holes(count, self.image_size, self.hole, seed or self.noise)

    @property
    def classify(self) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """Images, float32 (B, S, S, C) -> class probabilities (B, classes); None without labels."""
        if not self.labels:
            return None
        return lambda images: tf.nn.softmax(self.classifier(images, training=False))


def check_labels(labels: int, baseline: bool, classes: int):
    """Refuses numbers of labels that the data or the baseline exclude."""
    if labels and classes < 2:
        held = "one class" if classes else "no labels"
        raise UserError(f"--labels {labels}: the dataset has {held}; give --labels 0")
    if labels < 0 or 0 < labels < classes:
        raise UserError(f"--labels {labels}: give 0, or {classes} or more: one of each class")
    if baseline and not labels:
        raise UserError("--baseline: trains on labels alone; give --labels, such as 100")


if __name__ == "__main__":
    cli.main(CCGAN, InPainting, Classification)
