"""The smallest noise-to-image model, optionally class-conditional; also a script.

It has every kind of state: moving statistics, a random state of its own, two Adam optimizers and an
optional average generator.
"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import cli
from common.adversarial import Adversarial
from common.nn import losses
from common.nn.blocks import base_and_stages, conv, conv_transpose
from common.nn.latent import Latent
from common.nn.layers import BatchNormalization
from common.tasks.generation import Generation

import keras
import tensorflow as tf
from keras import layers


class TinyGan(Adversarial):
    """A dense layer and transposed convolutions against one convolution and a dense layer.

    Args:
        image_size: side of the images in pixels, such as 8.
        channels: number of image channels.
        classes: number of classes of the dataset.
        conditional: whether both networks take the class.
        distribution: distribution of the noise.
        learning_rate: learning rate of Adam.
        ema: decay of the moving average of the generator's weights.
    """

    def __init__(
        self,
        image_size: int = 8,
        channels: int = 1,
        classes: int = 3,
        conditional: bool = False,
        distribution: Literal["normal", "uniform"] = "normal",
        learning_rate: float = 1e-2,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="tiny_gan")
        self.image_size, self.channels = image_size, channels
        self.classes = classes if conditional else 0
        self.latent = Latent(5, distribution)
        self.noise = keras.random.SeedGenerator()
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=losses.cross_entropy, optimizer=keras.optimizers.Adam(learning_rate)
        )
        z = keras.Input((self.latent.size,))
        c = [keras.Input((self.classes,))] if self.classes else []
        self.combined = keras.Model(
            both(z, c), self.discriminator(both(self.generator(both(z, c)), c))
        )
        self.combined.compile(
            loss=losses.cross_entropy, optimizer=keras.optimizers.Adam(learning_rate)
        )
        self.compile()

    def build_generator(self):
        base, stages = base_and_stages(self.image_size)
        z = keras.Input((self.latent.size,))
        c = [keras.Input((self.classes,))] if self.classes else []
        h = layers.Concatenate()([z, *c]) if c else z
        h = layers.Reshape((base, base, 4))(layers.Dense(base * base * 4)(h))
        h = layers.LeakyReLU(0.2)(BatchNormalization()(h))
        for stage in reversed(range(stages)):
            h = conv_transpose(h, 4 if stage else self.channels)
        h = layers.Rescaling(30.0)(h)  # colours as varied as those of a trained network
        return keras.Model(
            both(z, c), layers.Activation("tanh", dtype="float32")(h), name="generator"
        )

    def build_discriminator(self):
        x = keras.Input((self.image_size, self.image_size, self.channels))
        c = [keras.Input((self.classes,))] if self.classes else []
        h = layers.Flatten()(layers.LeakyReLU(0.2)(conv(x, 2)))
        h = layers.Dense(1)(layers.Concatenate()([h, *c]) if c else h)
        return keras.Model(
            both(x, c), layers.Activation("linear", dtype="float32")(h), name="discriminator"
        )

    def generator_inputs(self, number, batch):
        x, y = batch
        z = self.latent.of_seed(number, x.shape[0])
        return both(z, [tf.one_hot(y, self.classes)] if self.classes else [])

    def objectives(self, x, y):
        z = self.latent.draw(x.shape[0], self.noise)
        c = [tf.one_hot(y, self.classes)] if self.classes else []
        fake = self.combined(both(z, c), training=True)
        real = self.discriminator(both(x, c), training=True)
        d_loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
        d_loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        g_loss = self.combined.compute_loss(y=tf.ones_like(fake), y_pred=fake)
        return {"discriminator": d_loss, "generator": g_loss}, {}


def both(tensor, c):
    """Inputs of a network: the tensor alone, or with the one-hot class."""
    return [tensor, *c] if c else tensor


if __name__ == "__main__":
    cli.main(TinyGan, Generation)
