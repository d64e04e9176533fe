"""The smallest image translator with every kind of state; also a script, for tests that kill it.

It has moving statistics, dropout with its random state, two Adam optimizers and an optional average
generator, so it exercises `common/` as any model does, in a tenth of pix2pix's tracing time.
"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import cli
from common.adversarial import Adversarial
from common.nn import losses
from common.nn.blocks import conv, conv_transpose
from common.nn.layers import BatchNormalization, Dropout
from common.tasks.paired_translation import PairedTranslation

import keras


class Tiny(Adversarial):
    """A generator of two convolutions down and two up against a discriminator of one convolution.

    Args:
        image_size: side of the images in pixels, a multiple of 4.
        channels_in: channels of x.
        channels_out: channels of y.
        dropout: fraction of units dropped.
        inference_dropout: whether dropout stays on at inference.
        inference_statistics: batch normalisation statistics at inference: of the image or moving.
        inference_seed: seed of the dropout mask at inference.
        learning_rate: learning rate of Adam.
        ema: decay of the moving average of the generator's weights.
    """

    multiple = 4

    def __init__(
        self,
        image_size: int = 16,
        channels_in: int = 3,
        channels_out: int = 3,
        dropout: float = 0.5,
        inference_dropout: bool = True,
        inference_statistics: Literal["image", "moving"] = "image",
        inference_seed: int = 0,
        learning_rate: float = 1e-2,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="tiny")
        self.image_size = image_size
        self.channels_in, self.channels_out = channels_in, channels_out
        self.inference_statistics = inference_statistics
        self.dropout = dropout
        self.inference_seed = inference_seed if inference_dropout else None
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(
            loss=losses.cross_entropy, optimizer=keras.optimizers.Adam(learning_rate)
        )
        x = keras.Input((None, None, channels_in))
        y_hat = self.generator(x)
        self.combined = keras.Model(x, [self.discriminator([x, y_hat]), y_hat])
        self.combined.compile(
            loss=[losses.cross_entropy, losses.l1],
            optimizer=keras.optimizers.Adam(learning_rate),
        )
        self.compile()

    def build_generator(self):
        x = keras.Input((None, None, self.channels_in))
        h = keras.layers.LeakyReLU(0.2)(conv(x, 4))
        h = BatchNormalization(self.inference_statistics)(conv(h, 4))
        h = Dropout(self.dropout, inference_seed=self.inference_seed)(h)
        h = conv_transpose(conv_transpose(h, 4), self.channels_out)
        return keras.Model(x, keras.layers.Activation("tanh", dtype="float32")(h), name="generator")

    def build_discriminator(self):
        x = keras.Input((None, None, self.channels_in))
        y = keras.Input((None, None, self.channels_out))
        h = conv(keras.layers.Concatenate()([x, y]), 1)
        return keras.Model(
            [x, y], keras.layers.Activation("linear", dtype="float32")(h), name="discriminator"
        )

    def objectives(self, x, y):
        fake, y_hat = self.combined(x, training=True)
        real = self.discriminator([x, y], training=True)
        d_loss = self.discriminator.compute_loss(y=keras.ops.ones_like(real), y_pred=real)
        d_loss += self.discriminator.compute_loss(y=keras.ops.zeros_like(fake), y_pred=fake)
        g_loss = self.combined.compute_loss(y=[keras.ops.ones_like(fake), y], y_pred=[fake, y_hat])
        return {"discriminator": d_loss, "generator": g_loss}, {}


if __name__ == "__main__":
    cli.main(Tiny, PairedTranslation)
