"""The models that step.py measures, each with the classic Keras-GAN loop on the same networks.

A round of the classic loop is calls of `predict` and `train_on_batch`, each on a whole batch, with
noise drawn by NumPy. It does the work of one training step, or of `Case.steps` of them: the same
batches move the same players. Some things are its way and are left to it: the generator runs again
to be trained, its images for the discriminator come from `predict` and so are normalised by
moving averages, and a discriminator moves twice, by the real batch and by the fake one.

Left out of both sides: the L2 penalty of dcgan and cgan, which a compiled player does not know. Not
here at all: bgan's default, discrete images, whose loss takes two outputs of a network at once
and so is no loss of `train_on_batch`; bgan is measured with continuous ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from types import SimpleNamespace
from typing import NamedTuple

from aae.aae import AAE
from acgan.acgan import ACGAN
from bgan.bgan import BGAN
from cgan.cgan import CGAN
from common.adversarial import Adversarial
from common.nn import losses
from common.training.train import TrainingOptions
from cyclegan.cyclegan import CycleGAN
from dcgan.dcgan import DCGAN
from pix2pix.pix2pix import Pix2Pix
from srgan.srgan import SRGAN
from wgan.wgan import WGAN

import keras
import numpy as np

RANDOM = np.random.default_rng(0)


class Sizes(NamedTuple):
    image_size: int
    width: int
    batch_size: int


def digits(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Images float32 (B, S, S, C) and classes int32 (B,)."""
    x = images(count, model.image_size, model.channels)
    return x, RANDOM.integers(10, size=count, dtype="int32")


def pairs(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Images and their counterparts, each float32 (B, S, S, C)."""
    return tuple(
        images(count, model.image_size, channels)
        for channels in (model.channels_in, model.channels_out)
    )


def two_domains(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Images of two domains, each float32 (B, S, S, C)."""
    return tuple(images(count, model.image_size, model.channels) for _ in range(2))


def enlargements(model: SRGAN, count: int) -> tuple[np.ndarray, ...]:
    """Small images in [0, 1] and large ones in [-1, 1], float32 (B, S, S, 3)."""
    small = images(count, model.image_size // model.scale, 3)
    return (small + 1) / 2, images(count, model.image_size, 3)


def images(count: int, size: int, channels: int) -> np.ndarray:
    """Noise in [-1, 1], float32 (B, S, S, C)."""
    return RANDOM.uniform(-1, 1, (count, size, size, channels)).astype("float32")


@dataclass(frozen=True)
class Case:
    """A model to measure.

    Attributes:
        model: its class.
        classic: a round of the classic loop, called with the model, its players apart (by the
            names of its attributes) and a batch.
        options: constructor's arguments that both sides are measured with.
        width: the constructor's argument that --width sets.
        steps: training steps that do the work of one round.
        once: what they do once a round, under a condition; called with the model and a batch.
        losses: of players that the model compiles without, by attribute.
        batch: what `train_step` takes, NumPy arrays, for a model and a number of samples.
    """

    model: type[Adversarial]
    classic: Callable[..., None]
    options: dict = field(default_factory=dict)
    width: str = "width"
    steps: int = 1
    once: Callable[[Adversarial, tuple], object] | None = None
    losses: dict[str, Callable] = field(default_factory=dict)
    batch: Callable[[Adversarial, int], tuple[np.ndarray, ...]] = digits

    def sizes(self, image_size: int | None, width: int | None, batch_size: int | None) -> Sizes:
        """The sizes asked for; the model's own where they are None."""
        own = {name: p.default for name, p in signature(self.model).parameters.items()}
        batches = TrainingOptions(**self.model.defaults).batch_size
        return Sizes(
            own["image_size"] if image_size is None else image_size,
            own[self.width] if width is None else width,
            batches if batch_size is None else batch_size,
        )

    def build(self, sizes: Sizes) -> Adversarial:
        """A new model, ready to train."""
        asked = {"image_size": sizes.image_size, self.width: sizes.width}
        return self.model(**asked, **self.options)


# The classic loops.


def classic_gan(model: DCGAN | BGAN, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """dcgan.py and bgan.py of Keras-GAN: D on real, D on fake, then G, all on one z."""
    z = noise(model, len(x))
    x_hat = predict(players.generator, z)
    players.discriminator.train_on_batch(x, ones(x))
    players.discriminator.train_on_batch(x_hat, zeros(x))
    players.combined.train_on_batch(z, ones(x))


def boundary(target, logits):
    """BGAN's loss of G for continuous images, which has no target: 1/2 mean F^2."""
    return 0.5 * losses.least_squares(0.0, logits)


def classic_wgan(model: WGAN, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """wgan.py: n_critic times the critic on real and on fake, then clipped on the host; then G.

    What is clipped is what the model clips, and the noise is new each time, as there.
    """
    for _ in range(model.n_critic):
        x_hat = predict(players.generator, noise(model, len(x)))
        players.critic.train_on_batch(x, ones(x))
        players.critic.train_on_batch(x_hat, -ones(x))
        for weight in players.critic.trainable_variables:
            weight.assign(np.clip(weight.numpy(), -model.clip, model.clip))
    players.combined.train_on_batch(noise(model, len(x)), ones(x))


def classic_cgan(model: CGAN, players: SimpleNamespace, x: np.ndarray, labels: np.ndarray):
    """cgan.py: as of a GAN, all three told the classes of the batch."""
    z, y = noise(model, len(x)), one_hot(labels, model.classes)
    x_hat = predict(players.generator, [z, y])
    players.discriminator.train_on_batch([x, y], ones(x))
    players.discriminator.train_on_batch([x_hat, y], zeros(x))
    players.combined.train_on_batch([z, y], ones(x))


def classic_acgan(model: ACGAN, players: SimpleNamespace, x: np.ndarray, c: np.ndarray):
    """acgan.py: as of a GAN, with classes drawn for the fakes as the further targets."""
    z, c_fake = noise(model, len(x)), RANDOM.integers(model.classes, size=len(x), dtype="int32")
    y_fake = one_hot(c_fake, model.classes)
    x_hat = predict(players.generator, [z, y_fake])
    players.discriminator.train_on_batch(x, [ones(x), c])
    players.discriminator.train_on_batch(x_hat, [zeros(x), c_fake])
    players.combined.train_on_batch([z, y_fake], [ones(x), c_fake])


def classic_aae(model: AAE, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """aae.py, whose last call moves the encoder by both losses: here each has its optimizer.

    So reconstruction is a call of its own, and the first one as in the paper.
    """
    players.autoencoder.train_on_batch(x, x)
    code = predict(players.encoder, x)
    players.discriminator.train_on_batch(noise(model, len(x)), ones(x))  # a gaussian prior
    players.discriminator.train_on_batch(code, zeros(x))
    players.combined.train_on_batch(x, ones(x))


def classic_pix2pix(_: Pix2Pix, players: SimpleNamespace, x: np.ndarray, y: np.ndarray):
    """pix2pix.py: D on real pairs, D on translated ones, then G by D and L1."""
    y_hat = predict(players.generator, x)
    real = np.ones((len(x), x.shape[1] // 8 - 2, x.shape[2] // 8 - 2, 1), "float32")
    players.discriminator.train_on_batch([x, y], real)
    players.discriminator.train_on_batch([x, y_hat], np.zeros_like(real))
    players.combined.train_on_batch(x, [real, y])


def classic_cyclegan(model: CycleGAN, players: SimpleNamespace, a: np.ndarray, b: np.ndarray):
    """cyclegan.py: each D on real and on translated images, then G and F by all six losses.

    It has no history: a discriminator sees the newest translations only.
    """
    fake_b, fake_a = predict(players.generator, [a, b])
    side = model.image_size // 2**model.strided - 2
    real = np.ones((len(a), side, side, 1), "float32")
    players.discriminator_a.train_on_batch(a, real)
    players.discriminator_a.train_on_batch(fake_a, np.zeros_like(real))
    players.discriminator_b.train_on_batch(b, real)
    players.discriminator_b.train_on_batch(fake_b, np.zeros_like(real))
    players.combined.train_on_batch([a, b], [real, real, a, b, b, a])


def classic_srgan(_: SRGAN, players: SimpleNamespace, lr: np.ndarray, hr: np.ndarray):
    """srgan.py: as of a GAN, with the originals as the target of the content loss."""
    sr = predict(players.generator, lr)
    players.discriminator.train_on_batch(hr, ones(hr))
    players.discriminator.train_on_batch(sr, zeros(hr))
    players.combined.train_on_batch(lr, [ones(hr), hr])


def predict(network: keras.Model, inputs) -> np.ndarray:
    """The network at inference, in one batch; Keras' default of 32 a batch would be slower."""
    count = len(inputs[0] if isinstance(inputs, list) else inputs)
    return network.predict(inputs, batch_size=count, verbose=0)


def noise(model: Adversarial, count: int) -> np.ndarray:
    """z (count, latent size), float32, by NumPy."""
    shape = count, model.latent.size
    if model.latent.distribution == "normal":
        return RANDOM.normal(size=shape).astype("float32")
    return RANDOM.uniform(-1, 1, shape).astype("float32")


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype="float32")[labels]


def ones(x: np.ndarray) -> np.ndarray:
    return np.ones((len(x), 1), "float32")


def zeros(x: np.ndarray) -> np.ndarray:
    return np.zeros((len(x), 1), "float32")


CASES = {
    "aae": Case(AAE, classic_aae, width="hidden"),
    "acgan": Case(ACGAN, classic_acgan),
    "bgan": Case(BGAN, classic_gan, {"objective": "continuous"}, losses={"combined": boundary}),
    "cgan": Case(CGAN, classic_cgan, {"l2": 0.0}),
    "cyclegan": Case(CycleGAN, classic_cyclegan, batch=two_domains),
    "dcgan": Case(DCGAN, classic_gan, {"l2": 0.0}),
    "pix2pix": Case(Pix2Pix, classic_pix2pix, batch=pairs),
    # Its second stage, without VGG19, whose forward passes are the same on both sides.
    "srgan": Case(SRGAN, classic_srgan, {"stage": "gan", "content": "mse"}, batch=enlargements),
    # Without a warm-up the generator moves every n_critic steps, as in the classic round.
    "wgan": Case(
        WGAN,
        classic_wgan,
        {"n_critic": 5, "warm_up": 5},
        steps=5,
        once=lambda model, batch: model.generator_step(batch[0].shape[0]),
    ),
}
