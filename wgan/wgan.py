"""WGAN: a critic that estimates the Wasserstein distance takes the discriminator's place.

Wasserstein GAN
Martin Arjovsky, Soumith Chintala, Leon Bottou. ICML 2017, arXiv:1701.07875

With f the critic, its weights clipped to [-c, c] that it be Lipschitz, and z normal noise:

    W(P_r, P_g) ~ max_f  E[f(x)] - E[f(G(z))]      (equation 2, up to a factor)
    L_critic = -E[f(x)] + E[f(G(z))],    L_G = -E[f(G(z))]

Algorithm 1: n_critic steps of the critic, each with images and noise of its own, then one of the
generator with fresh noise. A training step here is a step of the critic; the generator moves at its
end when the critic has done its share.

Every weight of the critic is clipped, also the gains and offsets of its batch normalisation: one
that is not lets the critic grow as steep as it likes, and its estimate with it, while the images
get better (`--clip_normalization false`; measured in the README). Moving statistics are no weights
and stay as they are.

Deviations: clipped is after each step, where the authors' code does it before. In that code the
critic scores fakes high; here it scores images high, as in the paper, and the estimate of the
distance is positive. The first 25 and each 500th step of the generator wait for `warm_up` steps of
the critic, 100 in that code and 25 here. Digits are 28x28, made from 7x7 with a dense layer, not
padded to 32x32; `--image_size 32` resizes them.

    python3 wgan/wgan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.adversarial import Adversarial, Update, watching
from common.nn.blocks import base_and_stages, conv, conv_transpose, dense, hidden_units
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Conv2D, Dense, Flatten, LeakyReLU, ReLU, Reshape


def wasserstein(target, scores):
    """mean(-t f): -E[f] with target 1 for what is to score high, E[f] with -1.

    Args:
        target: 1 or -1; float, the shape of `scores`.
        scores: of the critic, any real number; float, any shape.

    Returns:
        A float scalar.
    """
    return -ops.mean(target * scores)


class WGAN(Adversarial):
    """DCGAN's networks with 4x4 kernels, the generator slower than its critic, RMSprop.

    Args:
        image_size: side of the images in pixels, 4 to 7 times a power of two: 28 is made from
            7x7 in two steps, 64 from 4x4 in four.
        channels: of the images, 1 for grey or 3 for RGB.
        width: filters next to the image in each player, doubled with each halving of the sides.
        latent_size: components of z, each N(0, 1).
        dense_units: units of a hidden dense layer in each player, 0 for none as in the paper;
            default 1024 where two convolutions or fewer halve the images, else 0.
        n_critic: steps of the critic for each of the generator.
        warm_up: as many for each of the first 25 steps of the generator and for every 500th.
        clip: c, the bound on the absolute value of the critic's weights.
        clip_normalization: bound the gains and offsets of its batch normalisation, too, not its
            kernels and biases alone.
        learning_rate: RMSprop's step size, for both players.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    defaults: ClassVar[dict] = {"batch_size": 64}
    counts = ("generator_steps",)

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 64,
        latent_size: int = 100,
        dense_units: int | None = None,
        n_critic: int = 5,
        warm_up: int = 25,
        clip: float = 0.01,
        clip_normalization: bool = True,
        learning_rate: float = 5e-5,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="wgan")
        errors.at_least_one(
            width=width, latent_size=latent_size, n_critic=n_critic, warm_up=warm_up
        )
        errors.above_zero(clip=clip, learning_rate=learning_rate)
        self.image_size, self.channels, self.classes = image_size, channels, 0
        self.width = width
        self.dense_units = hidden_units(image_size, dense_units)
        errors.not_negative(dense_units=self.dense_units)
        self.n_critic, self.warm_up = n_critic, warm_up
        self.clip, self.clip_normalization = clip, clip_normalization
        self.latent = Latent(latent_size)
        self.noise = keras.random.SeedGenerator()
        self.generator_steps = self.add_counter("generator_steps")
        self.critic_steps = self.add_counter("critic_steps")  # since the generator's last

        self.generator = self.build_generator()
        self.critic = self.build_critic()
        self.critic.compile(loss=wasserstein, optimizer=rmsprop(learning_rate))

        z = keras.Input((latent_size,))
        self.combined = keras.Model(z, self.critic(self.generator(z)), name="combined")
        self.combined.compile(loss=wasserstein, optimizer=rmsprop(learning_rate))
        self.compile()

    # Who plays.

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network once, by name."""
        networks = {"generator": self.generator, "critic": self.critic}
        if self.average_generator is not None:
            networks["average_generator"] = self.average_generator
        return networks

    @property
    def updates(self) -> dict[str, Update]:
        """The update of each player, by name."""
        return {
            "critic": Update(self.critic.optimizer, self.critic.trainable_variables),
            "generator": Update(self.combined.optimizer, self.generator.trainable_variables),
        }

    @property
    def clipped(self) -> list[keras.Variable]:
        """Weights of the critic that are clipped."""
        if self.clip_normalization:
            return self.critic.trainable_variables
        layers = [layer for layer in self.critic.layers if isinstance(layer, (Conv2D, Dense))]
        return [weight for layer in layers for weight in layer.trainable_variables]

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        base, stages = base_and_stages(self.image_size)
        filters = [self.width * 2**k for k in reversed(range(stages))]  # 512, 256, 128, 64

        z = h = keras.Input((self.latent.size,))
        if self.dense_units:
            h = ReLU()(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, base * base * filters[0], use_bias=False)
        h = Reshape((base, base, filters[0]))(h)
        for fewer in filters[1:]:
            h = ReLU()(BatchNormalization()(h))
            h = conv_transpose(h, fewer, use_bias=False)
        h = ReLU()(BatchNormalization()(h))  # (B, S/2, S/2, width)
        h = conv_transpose(h, self.channels, use_bias=False)
        return keras.Model(z, Activation("tanh", dtype="float32")(h), name="generator")

    def build_critic(self) -> keras.Model:
        """Images (B, S, S, C) -> scores (B, 1), any real numbers."""
        _, stages = base_and_stages(self.image_size)

        x = keras.Input((self.image_size, self.image_size, self.channels))
        h = LeakyReLU(0.2)(conv(x, self.width, use_bias=False))
        for k in range(1, stages):
            h = conv(h, self.width * 2**k, use_bias=False)
            h = LeakyReLU(0.2)(BatchNormalization()(h))
        h = Flatten()(h)  # 4x4x512 for 64x64
        if self.dense_units:
            h = LeakyReLU(0.2)(BatchNormalization()(dense(h, self.dense_units, use_bias=False)))
        h = dense(h, 1, use_bias=False)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="critic")

    # Algorithm 1.

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One step of the critic; then one of the generator, if it is due.

        Args:
            batch: images, float32 (B, S, S, C) in [-1, 1], and their labels, not used.

        Returns:
            `wasserstein`, the critic's estimate E[f(x)] - E[f(G(z))] and the negative of its loss;
            `g_loss`, -E[f(G(z))]; `generator_steps`, steps of the generator so far.
        """
        x, _ = batch
        count = ops.shape(x)[0]
        losses, gradients = self.critic_losses_and_gradients(x)
        self._apply({"critic": gradients})
        self.critic_steps.assign_add(1)
        # Where it is not due, its loss is that on the critic's noise.
        due = self.critic_steps >= self.share()
        g_loss = tf.cond(due, lambda: self.generator_step(count), lambda: losses["g_loss"])
        steps = ops.cast(self.generator_steps, "float32")
        return losses | {"g_loss": g_loss, "generator_steps": steps}

    def critic_losses_and_gradients(self, x: tf.Tensor) -> tuple[dict, list[tf.Tensor]]:
        """The estimate and G's loss on the same noise; the gradients of the critic's weights."""
        critic = self.updates["critic"]
        fakes = self.generator(self.latent.draw(ops.shape(x)[0], self.noise), training=True)
        with watching(critic.variables) as tape:
            # Two passes: each is normalised by the statistics of its own batch.
            fake = self.critic(fakes, training=True)
            real = self.critic(x, training=True)
            loss = self.critic.compute_loss(y=tf.ones_like(real), y_pred=real)
            loss += self.critic.compute_loss(y=-tf.ones_like(fake), y_pred=fake)
        return {"wasserstein": -loss, "g_loss": -ops.mean(fake)}, critic.gradients(tape, loss)

    def generator_loss_and_gradients(self, count: int) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """G's loss on fresh noise, and the gradients of its weights."""
        generator = self.updates["generator"]
        z = self.latent.draw(count, self.noise)
        with watching(generator.variables) as tape:
            scores = self.combined(z, training=True)
            loss = self.combined.compute_loss(y=tf.ones_like(scores), y_pred=scores)
        return loss, generator.gradients(tape, loss)

    def generator_step(self, count: int) -> tf.Tensor:
        """Moves the generator, begins its critic's next share, and returns the loss."""
        loss, gradients = self.generator_loss_and_gradients(count)
        self._apply({"generator": gradients})
        self.generator_steps.assign_add(1)
        self.critic_steps.assign(0)
        return loss

    def share(self) -> tf.Tensor:
        """How many steps the critic makes before the generator's next one."""
        done = self.generator_steps
        return tf.where((done < 25) | (done % 500 == 0), self.warm_up, self.n_critic)

    def _apply_gradients(self, gradients: dict[str, list[tf.Tensor]]):
        super()._apply_gradients(gradients)
        if "critic" in gradients:
            for weight in self.clipped:
                weight.assign(ops.clip(weight, -self.clip, self.clip))

    def add_counter(self, name: str) -> keras.Variable:
        """A variable of the model, part of its state, that counts from 0."""
        # int64: TensorFlow keeps int32 variables off the GPU, where XLA cannot reach them.
        return self.add_weight((), "zeros", dtype="int64", trainable=False, name=name)


def rmsprop(learning_rate: float) -> keras.optimizers.Optimizer:
    """RMSprop with Torch's constants, which the authors' code relies on."""
    # Torch adds 1e-8 to the root of the mean square, Keras adds its epsilon to the mean square.
    return keras.optimizers.RMSprop(learning_rate, rho=0.99, epsilon=1e-16)


if __name__ == "__main__":
    cli.main(WGAN, Generation)
