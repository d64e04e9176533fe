"""GAN: the first generative adversarial network, fully connected.

Generative Adversarial Nets
Ian J. Goodfellow, Jean Pouget-Abadie, Mehdi Mirza, Bing Xu, David Warde-Farley, Sherjil Ozair,
Aaron Courville, Yoshua Bengio. NIPS 2014, arXiv:1406.2661

D(x) is the probability that x is real, and the players play (equation 1)

    min_G max_D  E[log D(x)] + E[log(1 - D(G(z)))]

as L_D, with the factor 1/2 of the authors' code; and G's loss does not saturate (section 3):

    L_D = -1/2 E[log D(x)] - 1/2 E[log(1 - D(G(z)))],    L_G = -E[log D(G(z))]

What the text leaves to the code: z is uniform with variance 1; initial weights are uniform, ten
times smaller in D than in G; a fifth of the pixels are dropped before D, and half of its hidden
units. D's hidden units are maxout units.

Deviations: Adam with a learning rate that decays, where that code has SGD with a rate of 0.1 and a
growing momentum (`--optimizer sgd --learning_rate 0.1 --schedule constant`, with 0.5 throughout).
G's last biases begin at 0, there as the logits of the mean training image (`--mean_image true`);
measured here, G collapses from that start. The zoo's images in [-1, 1] are rescaled at both doors:
G's last layer is a sigmoid and D sees pixels in [0, 1], of which dropout makes black ones.

    python3 gan/gan.py --dataset mnist
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.images import image_file
from common.nn import losses
from common.nn.blocks import affine, maxout
from common.nn.layers import Dropout
from common.noise_to_image import NoiseToImage, filled
from common.tasks.generation import Generation
from common.tasks.parzen_window import ParzenWindow

import keras
import numpy as np
from keras.layers import Activation, Flatten, ReLU, Rescaling, Reshape

MEAN_COUNT = 10_000  # training images whose mean G begins with
SGD_DECAY, SGD_FLOOR = 1.000004, 1e-5  # the rate's divisor per update, and its smallest factor


class GAN(NoiseToImage):
    """Fully connected networks for images of any size.

    Args:
        units: units of each of G's two hidden layers; 1200 in the paper's code.
        maxout_units: units of each of D's two hidden layers, of five pieces; 240 in that code.
        saturating: G minimizes E[log(1 - D(G(z)))], as in equation 1, whose gradient vanishes where
            D is certain.
        mean_image: G begins with the mean of the training images, as in that code.
        optimizer: adam, or sgd as in that code.
    """

    defaults: ClassVar[dict] = {"batch_size": 100, "steps": 25000, "schedule": "linear"}
    unused_options = ("width",)  # of convolutions
    distribution = "uniform"

    def __init__(
        self,
        units: int = 1200,
        maxout_units: int = 240,
        saturating: bool = False,
        mean_image: bool = False,
        optimizer: Literal["adam", "sgd"] = "adam",
        **shared,
    ):
        super().__init__(name="gan", **shared)
        errors.at_least_one(units=units, maxout_units=maxout_units, image_size=self.image_size)
        self.shape = (self.image_size, self.image_size, self.channels)
        self.units, self.maxout_units, self.mean_image = units, maxout_units, mean_image
        self.saturating, self.optimizer_name = saturating, optimizer
        optimizers = {"adam": self.adam, "sgd": self.sgd}
        self.build_players(losses.cross_entropy, optimizers[optimizer])

    def sgd(self) -> keras.optimizers.SGD:
        """A new SGD with momentum, as the paper's code begins with."""
        return keras.optimizers.SGD(self.learning_rate, momentum=0.5)

    def rate_factor(self, step: int) -> float:
        """1; of SGD, 1.000004 to the power of minus the step."""
        return max(SGD_DECAY**-step, SGD_FLOOR) if self.optimizer_name == "sgd" else 1.0

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        z = keras.Input((self.latent.size,))
        h = Rescaling(3**0.5)(z)  # from U(-1, 1) to variance 1
        for _ in range(2):
            h = ReLU()(affine(h, self.units, 0.05))  # (B, 1200)
        h = affine(h, int(np.prod(self.shape)), 0.05, name="pixels")
        h = Activation("sigmoid", dtype="float32")(Reshape(self.shape)(h))
        return keras.Model(z, Rescaling(2.0, -1.0, dtype="float32")(h), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> logits (B, 1)."""
        x = keras.Input(self.shape)
        h = Dropout(0.2)(Flatten()(Rescaling(0.5, 0.5)(x)))
        for _ in range(2):
            h = Dropout(0.5)(maxout(h, self.maxout_units, 5))  # (B, 240)
        logits = Activation("linear", dtype="float32")(affine(h, 1, 0.005))
        return keras.Model(x, logits, name="discriminator")

    def initialize(self, data):
        """With `mean_image`, G's last biases: logits of the mean, kept off black and white."""
        if not self.mean_image:
            return
        images, _ = data.arrays("train", MEAN_COUNT)
        mean = 0.5 + 0.5 * image_file.to_unit(images).mean(axis=0, dtype=np.float64)
        mean = np.clip(mean, 1 / 255, 254 / 255)
        bias = self.generator.get_layer("pixels").bias
        bias.assign(np.log(mean / (1.0 - mean)).reshape(bias.shape))

    def d_loss(self, real, fake):
        return 0.5 * super().d_loss(real, fake)

    def g_loss(self, real, fake):
        if not self.saturating:
            return super().g_loss(real, fake)
        y = fake.output
        return -self.combined.compute_loss(y=filled(y, self.targets[1]), y_pred=y)


if __name__ == "__main__":
    cli.main(GAN, Generation, ParzenWindow)
