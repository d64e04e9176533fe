"""AAE: an auto-encoder whose codes follow a distribution that can be sampled.

Adversarial Autoencoders
Alireza Makhzani, Jonathon Shlens, Navdeep Jaitly, Ian Goodfellow, Brendan Frey.
ICLR 2016 workshop, arXiv:1511.05644.

With x an image, z = Enc(x) its code and p(z) the prior, each mini-batch is used in sequential
phases, each starting from the weights updated by the previous one:

    1   min over Enc, Dec   E[(x - Dec(Enc(x)))^2], the mean over pixels in [0, 1]
    2a  min over D          -E[log D(z')] - E[log(1 - D(Enc(x)))]   with z' drawn from p(z)
    2b  min over Enc        -E[log D(Enc(x))]
    3   min over Enc        -E[log y_hat], the class of the few images that have a label

D sees codes, never images; samples of the prior are its real examples. Encoder and decoder convert
at their ends: images are in [-1, 1] outside and in [0, 1] inside, as in the paper. Phase 3 is part
of the semi-supervised variant alone: there the encoder also predicts the class, a categorical code
y_hat, and a second tower of D compares it with one-hot vectors.

Deviations: Adam, where the paper has SGD with momentum for a thousand epochs. Phases 2a and 2b
share one forward pass of the encoder, which neither updates before the other is done. Of the
paper's encoders the deterministic one only, and neither the prior that knows labels (section 2.3)
nor clustering (section 6).

    python3 aae/aae.py --dataset mnist
"""

import sys
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial
from common.data.label_subset import balanced_subset
from common.distributed.collectives import sharded_random
from common.errors import UserError
from common.images import image_file
from common.nn import losses
from common.nn.code_priors import PRIORS
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.nn.optimizers import adam
from common.players import Player
from common.tasks.autoencoding import AutoEncoding
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras.layers import Activation, Concatenate, Dense, Flatten, ReLU, Rescaling, Reshape


class AAE(Adversarial):
    """Encoder, decoder and a discriminator of codes: three multilayer perceptrons.

    Args:
        image_size: image side in pixels.
        channels: image channels, 1 for grayscale or 3 for RGB.
        classes: number of classes of the labels; 0 where there are none.
        code_size: number of components of a code z.
        prior: distribution of the codes: gaussian, a mixture of ten Gaussians, or swiss_roll; the
            last two in the plane.
        prior_std: factor of the prior, for gaussian its standard deviation.
        supervised: whether the decoder is given each image's label, so that the code holds the
            style alone.
        labels: number of training images with a label in the semi-supervised variant, such as 100;
            0 for none.
        hidden: units of each of the two hidden layers of every network.
        learning_rate: step size of Adam for reconstruction and classification.
        adversarial_learning_rate: step size of Adam for D, and for the encoder against D.
        beta_1: Adam's decay rate for the first moment in the adversarial phases.
    """

    defaults: ClassVar[dict] = {"batch_size": 100, "steps": 8000, "schedule": "linear"}

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        classes: int = 10,
        code_size: int = 10,
        prior: Literal["gaussian", "mixture", "swiss_roll"] = "gaussian",
        prior_std: float = 1.0,
        supervised: bool = False,
        labels: int = 0,
        hidden: int = 1000,
        learning_rate: float = 1e-3,
        adversarial_learning_rate: float = 5e-4,
        beta_1: float = 0.5,
    ):
        super().__init__(name="aae")
        errors.at_least_one(image_size=image_size, code_size=code_size, hidden=hidden)
        errors.above_zero(prior_std=prior_std, learning_rate=learning_rate)
        errors.above_zero(adversarial_learning_rate=adversarial_learning_rate)
        errors.below_one(beta_1=beta_1)
        if PRIORS[prior].code_size not in (None, code_size):
            raise UserError(f"--prior {prior}: add --code_size {PRIORS[prior].code_size}")
        check_labels(labels, supervised, classes)
        self.image_size, self.channels, self.hidden = image_size, channels, hidden
        self.classes = classes if supervised or labels else 0  # that the decoder is told
        self.code_size, self.prior_std = code_size, prior_std
        self.labels, self.supervised = labels, supervised
        self.prior = PRIORS[prior].code_of
        self.latent = Latent(code_size + PRIORS[prior].extra, "normal")
        self.noise = keras.random.SeedGenerator()
        self.labelled = None  # the images of phase 3, set by `prepare`

        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()
        self.discriminator = self.build_discriminator()
        x = self.encoder.input
        self.combined = keras.Model(x, self.discriminator(self.encoder(x)), name="combined")
        self.autoencoder = self.build_autoencoder()
        for player in (self.discriminator, self.combined):
            player.compile(
                loss=losses.cross_entropy,
                loss_weights=2.0 if labels else 1.0,  # its mean over the towers becomes their sum
                optimizer=adam(adversarial_learning_rate, beta_1),
            )
        # A difference in [-1, 1] is twice that in [0, 1].
        self.autoencoder.compile(
            loss=losses.mse, loss_weights=0.25, optimizer=adam(learning_rate, 0.9)
        )
        if labels:
            logits = self.encoder.get_layer("logits").output
            self.classifier = keras.Model(x, logits, name="classifier")
            self.classifier.compile(
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                optimizer=adam(learning_rate, 0.9),
            )
        self.noise_to_image = self.build_sampler()
        self.compile()

    # The networks. A code is one vector: z, then the class y where there is one.

    def build_encoder(self) -> keras.Model:
        """x (B, S, S, C) in [-1, 1] -> z (B, d), with labels z and y_hat (B, d + classes)."""
        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = Flatten()(Rescaling(0.5, 0.5)(x))  # pixels in [0, 1]
        h = self.hidden_layers(h, normalize=bool(self.labels))
        code = Activation("linear", dtype="float32", name="z")(dense(h, self.code_size))
        if self.labels:
            logits = Activation("linear", dtype="float32", name="logits")(dense(h, self.classes))
            y_hat = Activation("softmax", dtype="float32")(logits)
            code = Concatenate()([code, y_hat])
        return keras.Model(x, code, name="encoder")

    def build_decoder(self) -> keras.Model:
        """z (B, d), or z and y (B, d + classes) -> x_hat (B, S, S, C) in [-1, 1]."""
        code = keras.Input((self.code_size + self.classes,))
        shape = self.image_size, self.image_size, self.channels
        x_hat = Reshape(shape)(dense(self.hidden_layers(code), prod(shape)))
        x_hat = Activation("sigmoid", dtype="float32")(x_hat)
        x_hat = Rescaling(2.0, -1.0, dtype="float32")(x_hat)
        return keras.Model(code, x_hat, name="decoder")

    def build_discriminator(self) -> keras.Model:
        """Codes as the encoder's -> logits, float32 (B, 1), with labels (B, 2): of z and of y."""
        code = keras.Input(self.encoder.output_shape[1:])
        z, y = code[:, : self.code_size], code[:, self.code_size :]
        logits = dense(self.hidden_layers(z), 1)
        if self.labels:
            logits = Concatenate()([logits, dense(self.hidden_layers(y), 1)])
        logits = Activation("linear", dtype="float32")(logits)
        return keras.Model(code, logits, name="discriminator")

    def build_autoencoder(self) -> keras.Model:
        """Images x, supervised [x, one-hot y (B, classes)] -> x_hat (B, S, S, C)."""
        x, y = self.encoder.input, keras.Input((self.classes,))
        if not self.supervised:
            return keras.Model(x, self.decoder(self.encoder(x)), name="autoencoder")
        x_hat = self.decoder(Concatenate()([self.encoder(x), y]))
        return keras.Model([x, y], x_hat, name="autoencoder")

    def build_sampler(self) -> keras.Model:
        """Noise (B, latent.size), or [noise, one-hot y (B, classes)] -> x (B, S, S, C)."""
        z, y = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        if not self.classes:
            return keras.Model(z, self.decoder(self.prior_code(z)), name="sampler")
        x = self.decoder(Concatenate()([self.prior_code(z), y]))
        return keras.Model([z, y], x, name="sampler")

    def hidden_layers(self, h, normalize: bool = False):
        for _ in range(2):
            h = dense(h, self.hidden, use_bias=not normalize)
            h = ReLU()(BatchNormalization()(h) if normalize else h)
        return h

    def prior_code(self, noise):
        """Noise (B, latent.size) from `latent` -> codes (B, code_size) that follow the prior."""
        return self.prior_std * self.prior(noise)

    # Who plays.

    @property
    def networks(self) -> dict[str, keras.Model]:
        return {each.name: each for each in (self.encoder, self.decoder, self.discriminator)}

    @property
    def players(self) -> dict[str, Player]:
        players = {
            "reconstruction": Player(self.autoencoder, self.autoencoder),
            "discriminator": Player(self.discriminator, self.discriminator),
            "encoder": Player(self.combined, self.encoder),
        }
        if self.labels:
            players["classifier"] = Player(self.classifier, self.classifier)
        return players

    @property
    def sampler(self) -> keras.Model:
        """Noise to images: the prior's function, then the decoder."""
        return self.noise_to_image

    @property
    def sampling_network(self) -> keras.Model:
        return self.decoder

    def prepare(self, data):
        """Keeps the labelled images: a function of data and seed, so not part of checkpoints."""
        if self.labels:
            x, y = balanced_subset(data, self.labels)
            self.labelled = tf.constant(image_file.to_unit(x)), tf.constant(y)

    # The phases of a step, each an update of its own.

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Phases 1, 2a, 2b and 3 in turn: x float32 (B, S, S, C) in [-1, 1], y int32 (B,)."""
        x, y = batch
        logs = self.update(x, y, objectives=self.reconstruction, only=["reconstruction"])
        logs |= self.update(x, objectives=self.regularization, only=["encoder"])
        if self.labels:
            count = x.shape[0]
            logs |= self.update(count, objectives=self.classification, only=["classifier"])
        return logs

    def reconstruction(self, x: tf.Tensor, y: tf.Tensor) -> tuple[dict, dict]:
        """Phase 1, of encoder and decoder."""
        inputs = [x, tf.one_hot(y, self.classes)] if self.supervised else x
        x_hat = self.autoencoder(inputs, training=True)
        return {"reconstruction": self.autoencoder.compute_loss(y=x, y_pred=x_hat)}, {}

    def regularization(self, x: tf.Tensor) -> tuple[dict, dict]:
        """Phases 2a and 2b: the encoder's loss by the D that was updated on the same codes."""
        code = self.encoder(x, training=True)
        fixed = tf.stop_gradient(code)
        logs = self.update(fixed, objectives=self.discrimination, only=["discriminator"])
        fake = self.discriminator(code, training=True)
        return {"encoder": self.combined.compute_loss(y=tf.ones_like(fake), y_pred=fake)}, logs

    def discrimination(self, code: tf.Tensor) -> tuple[dict, dict]:
        """Phase 2a, of D; `d_accuracy` is its accuracy on z before the update."""
        real = self.discriminator(self.prior_sample(code.shape[0]), training=True)
        fake = self.discriminator(code, training=True)
        loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
        loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        correct = tf.concat([real[:, 0] > 0, fake[:, 0] < 0], axis=0)
        accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
        return {"discriminator": loss}, {"d_accuracy": accuracy}

    def classification(self, count: int) -> tuple[dict, dict]:
        """Phase 3, of the encoder's path to y_hat, on `count` of the labelled images."""
        if self.labelled is None:
            raise ValueError("prepare(data) comes before the first step")
        x, y = self.labelled
        chosen = sharded_random(keras.random.randint, (count,), 0, self.labels, seed=self.noise)
        logits = self.classifier(tf.gather(x, chosen), training=True)
        loss = self.classifier.compute_loss(y=tf.gather(y, chosen), y_pred=logits)
        return {"classifier": loss}, {}

    def prior_sample(self, count: int) -> tf.Tensor:
        """Codes of the prior, as the encoder's: z, with labels z and a one-hot y."""
        z = self.prior_code(self.latent.draw(count, self.noise))
        if not self.labels:
            return z
        y = sharded_random(keras.random.randint, (count,), 0, self.classes, seed=self.noise)
        return tf.concat([z, tf.one_hot(y, self.classes)], axis=1)


def check_labels(labels: int, supervised: bool, classes: int):
    """Refuses variants that exclude each other or do not fit the data."""
    if labels and supervised:
        raise UserError(f"--labels {labels}: with --supervised every image has a label; drop one")
    if (labels or supervised) and not classes:
        option = f"--labels {labels}" if labels else "--supervised"
        raise UserError(f"{option}: the dataset has no labels; leave the option out")
    if labels < 0 or 0 < labels < classes:
        raise UserError(f"--labels {labels}: give 0, or {classes} or more: one of each class")


def dense(h, units: int, use_bias: bool = True):
    """A dense layer with the paper's initial weights, N(0, 0.01)."""
    init = keras.initializers.RandomNormal(0.0, 0.01)
    return Dense(units, use_bias=use_bias, kernel_initializer=init)(h)


if __name__ == "__main__":
    cli.main(AAE, Generation, AutoEncoding)
