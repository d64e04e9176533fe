"""Triple-GAN: a generator, a classifier, and a discriminator of the pairs that both make.

Triple Generative Adversarial Nets
Chongxuan Li, Kun Xu, Jun Zhu, Bo Zhang. NIPS 2017, arXiv:1703.02291

G makes images of given classes, C gives images a class, and D tells these pairs (image, class) from
true ones. Few images x_l have a class y_l; others with the class that C gives them count as true as
well, and (x, y) are both kinds. With y_u = argmax C(x_u), y_g in equal shares and alpha = 1/2:

    L_D = -E[log D(x, y)] - alpha E[log(1 - D(x_u, y_u))]
          - (1 - alpha) E[log(1 - D(G(z, y_g), y_g))]
    L_G = -(1 - alpha) E[log D(G(z, y_g), y_g)]
    L_C = -alpha E[p_C(y_u|x_u) log D(x_u, y_u)] + R_L + alpha_P R_P + R_U

In L_C the verdict of D is a constant, as in REINFORCE: the gradient is that of p_C. R_L and the
pseudo-discriminative loss R_P are cross-entropies, and R_U wants C to be certain of each image, and
its classes to be equally frequent (section 3.3):

    R_L = -E[log p_C(y_l|x_l)],    R_P = -E[log p_C(y_g|G(z, y_g))]
    R_U = 0.3 E[H(p_C(.|x_u))] - 0.001 mean_y log E[p_C(y|x_u)]

D, G and C are updated in this order. From the authors' code for MNIST are the networks, D's with
weights of unit length and noise; the training of C alone before the game, by R_L and R_U (there
with 0.3 instead of 0.001); R_P after a time; the L2 penalty of C's last weights; and the moving
average of C's weights, which classifies.

Deviations: C has half as many filters, batches have 100 images in the game and 200 before it, where
the code has 100 to 500, and C is trained alone for 1,000 steps and not 3,600, to fit a CPU; C sees
x_u once a step, for D's loss and its own. R_P begins when 60 % of 6,000 steps are done, there 30 %
of 600,000. The moving statistics of C's average are estimated for its weights. That code can also
take the mean over all classes in place of the most probable one; this cannot.

    python3 triplegan/triplegan.py --dataset mnist --labels 100
"""

import math
import sys
from functools import partial
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.data.label_subset import halves
from common.distributed.collectives import all_gather, local_rows, replica_count
from common.nn import losses
from common.nn.layers import BatchNormalization, Dropout, GaussianNoise
from common.nn.optimizers import adam
from common.nn.weight_normalization import WeightNormDense
from common.noise_to_image import ClassConditional
from common.players import Player, kept
from common.semi_supervised import SemiSupervised
from common.staged import Stage, Staged
from common.tasks.discriminator import Classification
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import layers, ops

ALPHA, ALPHA_P = 0.5, 0.1
ENTROPY, BALANCE, FIRST_BALANCE = 0.3, 1e-3, 0.3  # weights in R_U, the last one before the game
FIRST_RATE = 3e-4  # learning rate before the game
DECAY, EPOCH = 0.995, 600  # of the learning rates in the end, and the steps in which they decay
L2 = 2e-4  # of C's last weights


class TripleGAN(SemiSupervised, Staged, ClassConditional):
    """A generator that takes a class, a classifier, and a discriminator of pairs.

    Args:
        width: number of filters of C's first convolution, 32 in the paper; the next ones have twice
            and four times as many.
        units: units of D's first hidden layer; the next ones have a half and a quarter, G's have a
            half.
        pretrain_steps: steps in which C is trained alone, before the game; 3,600 in the paper.
        pseudo_after: steps of the game before C is trained on generated images, too; 180,000 in the
            paper.
        decay_after: steps of the game before the learning rates decay, by 0.5 % in 600 steps.
        learning_rate: step size of Adam for all networks in the game.
    """

    defaults: ClassVar[dict] = {"batch_size": 200, "steps": 7000}
    distribution = "uniform"
    logged = ("pretraining_loss", "d_loss", "g_loss", "classifier_loss", "accuracy")

    def __init__(
        self,
        width: int = 16,
        units: int = 1000,
        pretrain_steps: int = 1000,
        pseudo_after: int = 3600,
        decay_after: int = 180_000,
        learning_rate: float = 1e-3,
        **shared,
    ):
        super().__init__(name="triplegan", width=width, learning_rate=learning_rate, **shared)
        errors.at_least(12, image_size=self.image_size)
        errors.at_least(4, units=units)
        errors.not_negative(pretrain_steps=pretrain_steps, pseudo_after=pseudo_after)
        errors.not_negative(decay_after=decay_after)
        self.units, self.decay_after = units, pretrain_steps + decay_after
        self.shape = (self.image_size, self.image_size, self.channels)
        self.classifier = self.build_classifier()
        class_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.classifier.compile(loss=class_loss, optimizer=self.adam())
        x = self.classifier.input
        self.pretraining = keras.Model(x, self.classifier(x), name="pretraining")
        self.pretraining.compile(optimizer=adam(FIRST_RATE, 0.9))
        stages = [  # C's objectives in the game include the updates of D and G
            Stage(pretrain_steps, self.before_the_game, ("pretraining",)),
            Stage(pseudo_after, partial(self.game, pseudo=False), ("classifier",)),
            Stage(math.inf, partial(self.game, pseudo=True), ("classifier",)),
        ]
        labels_alone = [Stage(math.inf, self.labels_alone, ("classifier",))]
        self.set_stages(labels_alone if self.baseline else stages)
        self.build_players()

    @property
    def players(self) -> dict[str, Player]:
        return super().players | {
            "classifier": Player(self.classifier, self.classifier),
            "pretraining": Player(self.pretraining, self.classifier),
        }

    def rate_factor(self, step: int) -> float:
        return DECAY ** (max(0, step - self.decay_after) // EPOCH)

    # The networks. The class is an input of every layer of G and D.

    def build_generator(self) -> keras.Model:
        """G: z (B, latent) and one-hot y (B, K) -> images (B, S, S, C) in [-1, 1]."""
        z, y = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        h = layers.Rescaling(0.5, 0.5)(z)  # from U(-1, 1) to U(0, 1)
        for _ in range(2):
            h = layers.Dense(self.units // 2, use_bias=False)(layers.Concatenate()([h, y]))
            h = layers.Activation("softplus")(BatchNormalization()(h))  # (B, 500)
        h = layers.Concatenate()([h, y])
        h = WeightNormDense(math.prod(self.shape), True, "glorot_uniform")(h)
        h = layers.Activation("sigmoid", dtype="float32")(layers.Reshape(self.shape)(h))
        x = layers.Rescaling(2.0, -1.0, dtype="float32")(h)
        return keras.Model([z, y], x, name="generator")

    def build_discriminator(self) -> keras.Model:
        """D: images (B, S, S, C) and one-hot y (B, K) -> logits (B, 1) of being a true pair."""
        x, y = keras.Input(self.shape), keras.Input((self.classes,))
        h = layers.Flatten()(layers.Rescaling(0.5, 0.5)(x))  # pixels in [0, 1]
        h = GaussianNoise(0.3)(h)
        for part in (1, 2, 4, 4, 4):
            h = WeightNormDense(self.units // part)(layers.Concatenate()([h, y]))
            h = GaussianNoise(0.5)(layers.ReLU()(h))  # (B, 1000), (B, 500), (B, 250)
        h = WeightNormDense(1)(layers.Concatenate()([h, y]))
        logits = layers.Activation("linear", dtype="float32")(h)
        return keras.Model([x, y], logits, name="discriminator")

    def build_classifier(self) -> keras.Model:
        """C: images (B, S, S, C) -> logits (B, K)."""
        x = keras.Input(self.shape)
        h = convolution(layers.Rescaling(0.5, 0.5)(x), self.width, 5, "valid")
        h = Dropout(0.5)(layers.MaxPooling2D()(h))  # (B, 12, 12, width) of 28x28
        h = convolution(h, 2 * self.width, 3, "same")
        h = convolution(h, 2 * self.width, 3, "valid")
        h = Dropout(0.5)(layers.MaxPooling2D()(h))  # (B, 5, 5, 2 width)
        for _ in range(2):
            h = convolution(h, 4 * self.width, 3, "same")
        init = keras.initializers.RandomNormal(0.0, 0.01)
        h = layers.GlobalAveragePooling2D()(h)
        h = layers.Dense(self.classes, kernel_initializer=init, name="logits")(h)
        return keras.Model(x, layers.Activation("linear", dtype="float32")(h), name="classifier")

    # A step's objectives, by the stage. The labels of its batch are not used.

    def before_the_game(self, x_u: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """C's loss before the game."""
        loss, logs = self.loss_of_labels(x_u.shape[0])
        loss += regularization(self.classifier(x_u, training=True), FIRST_BALANCE)
        return {"pretraining": loss}, logs

    def labels_alone(self, x_u: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The baseline's loss, on as many images as in the game."""
        loss, logs = self.loss_of_labels(halves(x_u)[0].shape[0])
        return {"classifier": loss}, logs

    def game(self, x_u: tf.Tensor, labels: tf.Tensor, pseudo: bool) -> tuple[dict, dict]:
        """C's loss, once D and G are updated; with R_P or without."""
        x, x_u = halves(x_u)
        count = x_u.shape[0]
        logits = self.classifier(x_u, training=True)
        y, y_u = (ops.argmax(c, axis=1) for c in (self.classifier(x, training=True), logits))
        logs = self.update(x, y, x_u, y_u, objectives=self.d_objectives, only=["discriminator"])
        logs |= self.update(count, objectives=self.g_objectives, only=["generator"])

        loss, of_labels = self.loss_of_labels(count)
        p = ops.max(ops.softmax(logits), axis=1)  # p_C(y_u|x_u)
        verdict = self.judge(x_u, y_u, real=False)[:, 0]
        loss += ALPHA * ops.mean(p * ops.softplus(-verdict)) + regularization(logits, BALANCE)
        if pseudo:
            x_g, y_g = self.generate(self.equal_shares(count))
            with kept(self.classifier.non_trainable_weights):  # statistics of real images
                logits = self.classifier(x_g, training=True)
            loss += ALPHA_P * self.classifier.compute_loss(y=y_g, y_pred=logits)
        return {"classifier": loss}, logs | of_labels

    def d_objectives(self, x, y, x_u, y_u) -> tuple[dict, dict]:
        """D's loss: true are one in a hundred of the labelled images, and x with C's classes y."""
        x_l, y_l = self.labelled.draw(max(self.labels // 100, 1), self.noise)
        x, y = ops.concatenate([x_l, x]), ops.concatenate([y_l, y])
        x_g, y_g = self.generate(self.equal_shares(x_u.shape[0]))
        loss = losses.cross_entropy(1.0, self.judge(x, y, real=True))
        loss += ALPHA * losses.cross_entropy(0.0, self.judge(x_u, y_u, real=False))
        loss += (1 - ALPHA) * losses.cross_entropy(0.0, self.judge(x_g, y_g, real=False))
        return {"discriminator": loss}, {}

    def g_objectives(self, count: int) -> tuple[dict, dict]:
        """G's loss on `count` images."""
        output = self.judge(*self.generate(self.equal_shares(count)), real=False)
        return {"generator": (1 - ALPHA) * losses.cross_entropy(1.0, output)}, {}

    def equal_shares(self, count: int) -> tf.Tensor:
        """The classes 0, 1, ..., K - 1, 0, ..., continued in the next step, int32 (count,)."""
        images = replica_count() * count
        numbers = tf.range(images, dtype=tf.int64) + images * self.steps_done
        return ops.cast(local_rows(numbers) % self.classes, "int32")

    def loss_of_labels(self, count: int) -> tuple[tf.Tensor, dict]:
        """R_L and the penalty; `accuracy` is the share of these images that C has right."""
        x, y = self.labelled.draw(count, self.noise)
        logits = self.classifier(x, training=True)
        loss = self.classifier.compute_loss(y=y, y_pred=logits)
        loss += losses.l2_penalty([self.classifier.get_layer("logits").kernel], L2)
        return loss, {"accuracy": losses.accuracy(y, logits)}


def convolution(h, filters: int, kernel: int, padding: str):
    """Convolution, batch normalization and ReLU, with the authors' initial weights."""
    init = keras.initializers.RandomNormal(0.0, 0.05)
    h = layers.Conv2D(filters, kernel, padding=padding, use_bias=False, kernel_initializer=init)(h)
    return layers.ReLU()(BatchNormalization()(h))


def regularization(logits: tf.Tensor, balance: float) -> tf.Tensor:
    """R_U of C's logits (B, K), with the weight of its second term."""
    log_p = ops.log_softmax(logits)
    p = ops.exp(log_p)
    entropy = -ops.mean(ops.sum(p * log_p, axis=1))
    mean_p = ops.mean(all_gather(p), axis=0)  # (K,)
    return ENTROPY * entropy - balance * ops.mean(ops.log(ops.maximum(mean_p, 1e-6)))


if __name__ == "__main__":
    cli.main(TripleGAN, Generation, Classification)
