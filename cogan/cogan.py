"""CoGAN: a pair of GANs with tied layers learns the joint distribution of two domains.

Coupled Generative Adversarial Networks
Ming-Yu Liu, Oncel Tuzel. NIPS 2016, arXiv:1606.07536

With x_a and x_b unpaired images of the domains, one z for both generators g_a and g_b, whose first
layers are tied, and discriminators f_a and f_b, whose last layers are tied:

    max_{g} min_{f} V = E[-log f_a(x_a)] + E[-log(1 - f_a(g_a(z)))]
                      + E[-log f_b(x_b)] + E[-log(1 - f_b(g_b(z)))]        (equation 2)

where the generators minimize -log f(g(z)), which does not saturate. The layers that decode and
those that encode what an image shows are the same for both domains, so a z gives corresponding
images although the data have no pairs. For unsupervised domain adaptation the tied layers also
classify, with c_a and c_b the softmax of both domains and h_a, h_b their last hidden units:

    L_f = V + w_c E[-log c_a(x_a)[y_a]] + w_h E[|h_a(g_a(z)) - h_b(g_b(z))|^2]

Then c_b classifies images of b, of which no label was used. Networks, constants and the order of
updates are those of the authors' PyTorch code: two logits for fake and real, V as the mean of both
domains, weight decay added to the gradient, an update of f and then one of g on fresh noise. With
`--config usps` w_c = 10 and w_h = 0.01 as there; the paper's Caffe code has 0.5 and 0.005.

Deviations: half as many filters as in that code by default (`--width 128` for as many), and half of
its 10,000 iterations or fewer in the recipes for domain adaptation. The zoo's images in [-1, 1] are
rescaled at both doors: the generators end in a sigmoid.

    python3 cogan/cogan.py --dataset mnist_outlines
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.errors import UserError
from common.nn import losses
from common.nn.blocks import prelu
from common.nn.layers import BatchNormalization
from common.noise_to_image import NoiseToImage
from common.players import Player
from common.tasks.discriminator import Classification
from common.tasks.joint_generation import JointGeneration

import keras
import tensorflow as tf
from keras import ops
from keras.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    Flatten,
    MaxPooling2D,
    Rescaling,
    Reshape,
)

FAKE, REAL = 0, 1  # the columns of the logits
HIDDEN = 500  # units of h
# A generator's trunk has sides 4, 7, 13, ..., its last layer adds 3.
IMAGE_SIZES = {3 * 2**stages + 4: stages for stages in (2, 3, 4, 5)}


class CoGAN(NoiseToImage):
    """Coupled generators and coupled discriminators of images of two domains.

    Args:
        classes: number of classes of the source, domain a.
        class_weight: w_c, the weight of the class loss on images of the source; 10 in the authors'
            code; 0 for no classifier, and no use of labels.
        feature_weight: w_h, the weight of the distance of hidden units for both images of a z; 0.01
            in the authors' code for domain adaptation.
        l2: weight decay of all weights, added to their gradients.
        baseline: train the classifier alone, to compare with: on labelled images of the source, or
            on labelled images of the target.
    """

    has_baseline = True
    defaults: ClassVar[dict] = {"batch_size": 64, "steps": 10000}

    def __init__(
        self,
        classes: int = 10,
        class_weight: float = 0.0,
        feature_weight: float = 0.0,
        l2: float = 5e-4,
        baseline: Literal["source", "target"] | None = None,
        **shared,
    ):
        super().__init__(name="cogan", **shared)
        errors.not_negative(class_weight=class_weight, feature_weight=feature_weight, l2=l2)
        if self.image_size not in IMAGE_SIZES:
            raise UserError(f"--image_size {self.image_size}: give one of {[*IMAGE_SIZES]}")
        if baseline and not class_weight:
            raise UserError(f"--baseline {baseline}: needs a --class_weight above 0, such as 10")
        if class_weight and classes < 2:
            raise UserError(
                f"--class_weight {class_weight}: needs a source of 2 classes or more, here are "
                f"{classes}; give one with a folder of images for each class, or leave it out"
            )
        self.known_classes = classes if class_weight else 0
        self.class_weight, self.feature_weight = class_weight, feature_weight
        self.l2, self.baseline = l2, baseline
        self.classify = self.class_probabilities if self.known_classes else None
        self.build_players()

    @property
    def players(self) -> dict[str, Player]:
        of_baseline = self.baseline is not None  # then f_a's first layer takes no part
        return super().players | {
            "discriminator": Player(self.discriminator, self.discriminator, growing=of_baseline)
        }

    # The networks.

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> g_a(z) and g_b(z) side by side, (B, S, 2 S, C) in [-1, 1]."""

        def activated(h):
            return prelu(BatchNormalization(center=False, scale=False)(h))

        stages = IMAGE_SIZES[self.image_size]
        z = keras.Input((self.latent.size,))
        h = Reshape((1, 1, self.latent.size))(z)
        h = activated(conv_transpose(h, self.width * 2**stages, 4))  # (B, 4, 4, 8 width)
        for stage in reversed(range(stages)):  # sides 7, 13 and 25 for 28 pixels
            tied = conv_transpose(
                h, self.width * 2**stage, 3, strides=2, padding="same", output_padding=0
            )
            h = activated(tied)
        # The last layers of both generators, as one: each has output channels of its own.
        pixels = Cropping2D(1)(conv_transpose(h, 2 * self.channels, 6, name="pixels"))
        x = Activation("sigmoid", dtype="float32")(pixels)
        x = Concatenate(axis=2, dtype="float32")(ops.split(x, 2, axis=-1))
        return keras.Model(z, Rescaling(2.0, -1.0, dtype="float32")(x), name="generator")

    def build_discriminator(self) -> keras.Model:
        """(x_a, x_b), (B, S, S, C) each -> outputs of f_a and f_b, as of `build_tied_layers`.

        Each of both, `f["a"]` and `f["b"]`, is a model by itself.
        """
        shape = self.image_size, self.image_size, self.channels
        self.f, tied = {}, None
        for domain in "ab":
            x = keras.Input(shape)
            h = MaxPooling2D()(conv(Rescaling(0.5, 0.5)(x), 20, 5))  # (B, 12, 12, 20)
            tied = tied or self.build_tied_layers(h.shape[1:])
            self.f[domain] = keras.Model(x, tied(h), name=f"f_{domain}")
        inputs = [keras.Input(shape) for _ in range(2)]
        outputs = [f(x) for f, x in zip(self.f.values(), inputs, strict=True)]
        return keras.Model(inputs, outputs, name="discriminator")

    def build_tied_layers(self, shape: tuple[int, int, int]) -> keras.Model:
        """(B, *shape) -> logits of fake and real (B, 2), h (B, 500), class logits (B, K) if any."""
        x = h = keras.Input(shape)
        while h.shape[1] > 4:
            h = MaxPooling2D()(conv(h, 50, 5))  # (B, 4, 4, 50)
        h = Flatten()(prelu(conv(h, HIDDEN, h.shape[1])))
        logits = [dense(h, units) for units in (2, self.known_classes) if units]
        source, *of_class = [Activation("linear", dtype="float32")(each) for each in logits]
        return keras.Model(x, [source, h, *of_class], name="tied")

    def build_combined(self) -> keras.Model:
        """z (B, latent) -> outputs of f_a and f_b for both images."""
        z = keras.Input((self.latent.size,))
        return keras.Model(z, self.discriminator(halves(self.generator(z))), name="combined")

    # The losses.

    def d_objectives(self, x_a: tf.Tensor, y_a: tf.Tensor, x_b: tf.Tensor, _y_b: tf.Tensor):
        """f's loss.

        Args:
            x_a, x_b: images of both domains, float32 (B, S, S, C) in [-1, 1].
            y_a: classes of the images of a, int32 (B,).
        """
        x_fake = self.generator(self.draw_z(y_a), training=True)
        fake_a, fake_b = self.discriminator(halves(x_fake), training=True)
        real_a, real_b = self.discriminator([x_a, x_b], training=True)
        loss = coupled(real_a, real_b, REAL) + coupled(fake_a, fake_b, FAKE)
        logs = {}
        if self.known_classes:
            loss += self.class_weight * losses.softmax_cross_entropy(y_a, real_a[-1])
            logs["accuracy"] = losses.accuracy(y_a, real_a[-1])
        if self.feature_weight:
            loss += self.feature_weight * feature_distance(fake_a, fake_b)
        return {"discriminator": loss + self.decay(self.discriminator)}, logs

    def g_objectives(self, _x_a: tf.Tensor, y_a: tf.Tensor, *_):
        """g's loss, on fresh noise."""
        fake_a, fake_b = self.combined(self.draw_z(y_a), training=True)
        return {"generator": coupled(fake_a, fake_b, REAL) + self.decay(self.generator)}, {}

    def baseline_objectives(self, x_a: tf.Tensor, y_a: tf.Tensor, x_b: tf.Tensor, y_b: tf.Tensor):
        """The class loss on images of one domain, by the network that classifies b."""
        x, y = (x_a, y_a) if self.baseline == "source" else (x_b, y_b)
        *_, logits = self.f["b"](x, training=True)
        loss = self.class_weight * losses.softmax_cross_entropy(y, logits)
        loss += self.decay(self.f["b"])
        return {"discriminator": loss}, {"accuracy": losses.accuracy(y, logits)}

    def decay(self, network: keras.Model):
        return losses.l2_penalty(network.trainable_variables, self.l2)

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One update of f, then one of g."""
        if self.baseline is not None:
            objectives = self.baseline_objectives
            return self.update(*batch, objectives=objectives, only=["discriminator"])
        logs = self.update(*batch, objectives=self.d_objectives, only=["discriminator"])
        return logs | self.update(*batch, objectives=self.g_objectives, only=["generator"])

    def class_probabilities(self, images) -> tf.Tensor:
        """Class probabilities (B, K) of images of b, float32 (B, S, S, C) in [-1, 1]."""
        *_, logits = self.f["b"](images, training=False)
        return tf.nn.softmax(logits)


def coupled(a: list, b: list, target: int):
    """Mean cross-entropy of the logits of fake and real, over the images of both domains."""
    targets = ops.full(ops.shape(a[0])[:1], target)
    return ops.mean([losses.softmax_cross_entropy(targets, outputs[0]) for outputs in (a, b)])


def feature_distance(a: list, b: list):
    """Mean over the batch of |h_a - h_b|^2."""
    difference = ops.cast(a[1], "float32") - ops.cast(b[1], "float32")
    return ops.mean(ops.sum(ops.square(difference), axis=-1))


def halves(pair) -> list:
    """Images of a and of b from images of both side by side."""
    return ops.split(pair, 2, axis=2)


def initial() -> dict:
    """Xavier's uniform weights with gain sqrt(2), and biases of 0.1."""
    kernel = keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")
    return {"kernel_initializer": kernel, "bias_initializer": keras.initializers.Constant(0.1)}


def conv(h, filters: int, kernel: int):
    return Conv2D(filters, kernel, **initial())(h)


def conv_transpose(h, filters: int, kernel: int, **options):
    """Transposed convolution; with strides 2 and kernel 3 a side of n becomes 2 n - 1."""
    return Conv2DTranspose(filters, kernel, **options, **initial())(h)


def dense(h, units: int):
    return Dense(units, **initial())(h)


if __name__ == "__main__":
    cli.main(CoGAN, JointGeneration, Classification)
