"""AAE: an auto-encoder whose codes follow a distribution that one can sample.

Adversarial Autoencoders
Alireza Makhzani, Jonathon Shlens, Navdeep Jaitly, Ian Goodfellow, Brendan Frey.
ICLR 2016 workshop, arXiv:1511.05644.

With x an image, z = Enc(x) its code and p(z) the prior, each batch is learnt from in phases; a
phase starts from the weights that the phases before it have moved:

    1   min over Enc, Dec   E[(x - Dec(Enc(x)))^2], the mean over pixels in [0, 1]
    2a  min over D          -E[log D(z')] - E[log(1 - D(Enc(x)))]   with z' drawn from p(z)
    2b  min over Enc        -E[log D(Enc(x))]
    3   min over Enc        -E[log y_hat], the class of the few images that have a label

D looks at codes, never at images, and a sample of the prior is what it takes for real. Encoder
and decoder convert at their doors: images are in [-1, 1] outside and in [0, 1] inside, as in the
paper. Phase 3 is that of the semi-supervised variant alone: there the encoder says the class too,
as a categorical code y_hat, and a second tower of D compares it with one-hot vectors.

Deviations: Adam, where the paper has SGD with momentum for a thousand epochs. Phases 2a and 2b
share one forward pass of the encoder, which neither moves before the other is done. Of the paper's
encoders only the deterministic one, and neither the prior that knows labels (section 2.3) nor
clustering (section 6).

    python3 aae/aae.py --dataset mnist
"""

import sys
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial, Update, watching
from common.data.label_subset import first_of_each_class
from common.distributed.collectives import sharded_random
from common.errors import UserError
from common.images import image_file
from common.nn import losses
from common.nn.code_priors import PRIORS
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.tasks.autoencoding import AutoEncoding
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras.layers import Activation, Concatenate, Dense, Flatten, ReLU, Rescaling, Reshape


class AAE(Adversarial):
    """Encoder, decoder and a discriminator of codes, three multilayer perceptrons.

    Args:
        image_size: side of the images in pixels.
        channels: of the images, 1 or 3.
        classes: of the labels; 0 where there are none.
        code_size: components of a code z.
        prior: of the codes: gaussian; mixture of ten Gaussians or swiss_roll, both in the plane.
        prior_std: what the prior is multiplied by, for gaussian its standard deviation.
        supervised: tell the decoder each image's label, so that the code holds the style alone.
        labels: semi-supervised: how many training images have a label, such as 100; 0 for none.
        hidden: units of each of the two hidden layers of every network.
        learning_rate: Adam's step size for reconstruction, and for classification from labels.
        adversarial_learning_rate: Adam's step size for D, and for the encoder against D.
        beta_1: Adam's decay of the first moment in the adversarial phases.
    """

    defaults: ClassVar[dict] = {"batch_size": 100, "schedule": "linear"}

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
        self.labelled = None  # what phase 3 learns from, set by `prepare`

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
        self.autoencoder.compile(loss=losses.mse, loss_weights=0.25, optimizer=adam(learning_rate))
        if labels:
            logits = self.encoder.get_layer("logits").output
            self.classifier = keras.Model(x, logits, name="classifier")
            self.classifier.compile(
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                optimizer=adam(learning_rate),
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
    def updates(self) -> dict[str, Update]:
        moved = {
            "reconstruction": (self.autoencoder, self.autoencoder),
            "discriminator": (self.discriminator, self.discriminator),
            "encoder": (self.combined, self.encoder),
        } | ({"classifier": (self.classifier, self.classifier)} if self.labels else {})
        return {
            name: Update(compiled.optimizer, network.trainable_variables)
            for name, (compiled, network) in moved.items()
        }

    @property
    def sampler(self) -> keras.Model:
        """Noise to images: the prior's function, then the decoder."""
        return self.noise_to_image

    @property
    def sampling_network(self) -> keras.Model:
        """The network whose weights the sampler needs."""
        return self.decoder

    def prepare(self, data):
        """Keeps the images with labels: a function of data and seed, so in no checkpoint."""
        if self.labels:
            x, y = first_of_each_class(data, self.labels)
            self.labelled = tf.constant(image_file.to_unit(x)), tf.constant(y)

    # The phases of a step. Each moves its players, and returns its losses.

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Phases 1, 2a, 2b and 3 in turn: x float32 (B, S, S, C) in [-1, 1], y int32 (B,)."""
        x, y = batch
        losses = self.reconstruct(x, y) | self.regularize(x)
        return losses | self.classify_labelled(x.shape[0]) if self.labels else losses

    def reconstruct(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        """Phase 1: moves encoder and decoder."""
        inputs = [x, tf.one_hot(y, self.classes)] if self.supervised else x
        with watching(self.updates["reconstruction"].variables) as tape:
            x_hat = self.autoencoder(inputs, training=True)
            loss = self.autoencoder.compute_loss(y=x, y_pred=x_hat)
        self.move("reconstruction", tape, loss)
        return {"reconstruction": loss}

    def regularize(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Phases 2a and 2b: the encoder is moved against the D that has just been moved."""
        with watching(self.updates["encoder"].variables) as tape:
            code = self.encoder(x, training=True)
            losses = self.discriminate(tf.stop_gradient(code))
            fake = self.discriminator(code, training=True)
            g_loss = self.combined.compute_loss(y=tf.ones_like(fake), y_pred=fake)
        self.move("encoder", tape, g_loss)
        return losses | {"g_loss": g_loss}

    def discriminate(self, code: tf.Tensor) -> dict[str, tf.Tensor]:
        """Phase 2a: moves D. The share of right verdicts on z is of D before its move."""
        with watching(self.updates["discriminator"].variables) as tape:
            real = self.discriminator(self.prior_sample(code.shape[0]), training=True)
            fake = self.discriminator(code, training=True)
            d_loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
            d_loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        self.move("discriminator", tape, d_loss)
        right = tf.concat([real[:, 0] > 0, fake[:, 0] < 0], axis=0)
        return {"d_loss": d_loss, "d_accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

    def classify_labelled(self, count: int) -> dict[str, tf.Tensor]:
        """Phase 3: moves the encoder's way to y_hat, on `count` of the images with labels."""
        if self.labelled is None:
            raise ValueError("prepare(data) comes before the first step")
        x, y = self.labelled
        chosen = sharded_random(keras.random.randint, (count,), 0, self.labels, seed=self.noise)
        with watching(self.updates["classifier"].variables) as tape:
            logits = self.classifier(tf.gather(x, chosen), training=True)
            loss = self.classifier.compute_loss(y=tf.gather(y, chosen), y_pred=logits)
        self.move("classifier", tape, loss)
        return {"classification": loss}

    def prior_sample(self, count: int) -> tf.Tensor:
        """Codes of the prior, as the encoder's: z, with labels z and a one-hot y."""
        z = self.prior_code(self.latent.draw(count, self.noise))
        if not self.labels:
            return z
        y = sharded_random(keras.random.randint, (count,), 0, self.classes, seed=self.noise)
        return tf.concat([z, tf.one_hot(y, self.classes)], axis=1)

    def move(self, name: str, tape: tf.GradientTape, loss: tf.Tensor):
        self._apply({name: self.updates[name].gradients(tape, loss)})


def check_labels(labels: int, supervised: bool, classes: int):
    """Refuses variants that do not fit together, or the data."""
    if labels and supervised:
        raise UserError(f"--labels {labels}: with --supervised every image has its label")
    if (labels or supervised) and not classes:
        option = f"--labels {labels}" if labels else "--supervised"
        raise UserError(f"{option}: the data set has no labels; leave the option out")
    if labels < 0 or 0 < labels < classes:
        raise UserError(f"--labels {labels}: give 0, or {classes} or more: one of each class")


def adam(learning_rate: float, beta_1: float = 0.9) -> keras.optimizers.Adam:
    return keras.optimizers.Adam(learning_rate, beta_1, epsilon=1e-8)


def dense(h, units: int, use_bias: bool = True):
    """A dense layer with the paper's initial weights, N(0, 0.01)."""
    init = keras.initializers.RandomNormal(0.0, 0.01)
    return Dense(units, use_bias=use_bias, kernel_initializer=init)(h)


if __name__ == "__main__":
    cli.main(AAE, Generation, AutoEncoding)
