"""The models that step.py measures, each with the classic Keras-GAN loop on the same networks.

Both sides omit the L2 penalty of dcgan and cgan, which a compiled player does not have. bgan is
measured with continuous images: the loss of its default, discrete images, takes two outputs of a
network at once, which `train_on_batch` does not support. lapgan trains its levels one after the
other; measured is a step of each of them, together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from aae.aae import AAE
from acgan.acgan import ACGAN
from benchmarks.classic_loops import (
    classic_aae,
    classic_acgan,
    classic_cgan,
    classic_cyclegan,
    classic_discogan,
    classic_dualgan,
    classic_gan,
    classic_gman,
    classic_lapgan,
    classic_madgan,
    classic_pix2pix,
    classic_sagan,
    classic_srgan,
    classic_wgan,
    digits,
    enlargements,
    pairs,
    two_domains,
)
from bgan.bgan import BGAN
from biggan.biggan import BigGAN
from cgan.cgan import CGAN
from common.adversarial import Adversarial
from common.nn import losses
from common.signatures import parameters
from common.training.options import TrainingOptions
from cyclegan.cyclegan import CycleGAN
from dcgan.dcgan import DCGAN
from discogan.discogan import UPDATE_INTERVAL, DiscoGAN
from dualgan.dualgan import DualGAN
from gan.gan import GAN
from gman.gman import GMAN, log_probability
from lapgan.lapgan import LAPGAN
from lsgan.lsgan import LSGAN
from madgan.madgan import MADGAN
from pix2pix.pix2pix import Pix2Pix
from sagan.sagan import SAGAN
from srgan.srgan import SRGAN
from wgan.wgan import WGAN

import keras
import numpy as np
import tensorflow as tf


class Sizes(NamedTuple):
    image_size: int
    width: int
    batch_size: int


@dataclass(frozen=True)
class Case:
    """A model to measure.

    Attributes:
        model: class of the model.
        classic: one round of the classic loop; called with the model, its separately compiled
            players (by the names of the model's attributes) and a batch.
        options: constructor arguments for both sides.
        width: name of the constructor argument set by --width.
        steps: number of training steps equivalent to one round.
        once: conditional part of the training step that runs once a round; called with the model
            and a batch.
        losses: gives the losses of players that a model compiles without one, by attribute.
        batch: makes the arrays of a training batch from a model and a number of samples.
        idle: trainable variables of a model that have no gradient.
    """

    model: type[Adversarial]
    classic: Callable[..., None]
    options: dict = field(default_factory=dict)
    width: str = "width"
    steps: int = 1
    once: Callable[[Adversarial, tuple], object] | None = None
    losses: Callable[[Adversarial], dict] = lambda model: {}
    batch: Callable[[Adversarial, int], tuple[np.ndarray, ...]] = digits
    idle: Callable[[Adversarial], list[keras.Variable]] = lambda model: []

    def sizes(self, image_size: int | None, width: int | None, batch_size: int | None) -> Sizes:
        """The given sizes, with the model's defaults in place of None."""
        defaults = {name: p.default for name, p in parameters(self.model).items()}
        default_batch_size = TrainingOptions(**self.model.defaults).batch_size
        return Sizes(
            defaults["image_size"] if image_size is None else image_size,
            defaults[self.width] if width is None else width,
            default_batch_size if batch_size is None else batch_size,
        )

    def build(self, sizes: Sizes) -> Adversarial:
        """A new model, ready to train."""
        options = {"image_size": sizes.image_size, self.width: sizes.width} | self.options
        return self.model(**options)


class AllLevels(LAPGAN):
    """LAPGAN with a step of each level in one."""

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        logs = {}
        for stage in self.stages:
            logs |= self.update(*batch, objectives=stage.objectives, only=stage.players)
        return logs


def update_discogan(model: DiscoGAN, batch: tuple):
    """The updates of a round; which of them a step makes is decided within it."""
    model.update(*batch, only=["discriminator"])
    for _ in range(UPDATE_INTERVAL - 1):
        logs = model.update(*batch, only=["generator"])
    return logs


def update_dualgan(model: DualGAN, batch: tuple):
    """The updates of a round; which of them a step makes is decided within it."""
    for _ in range(model.n_critic - 1):
        model.update(*batch, only=["discriminator"])
    return model.update(*batch)


def last_biases(model: DualGAN) -> list[keras.Variable]:
    """What a critic adds to all scores: it cancels in the Wasserstein loss."""
    critics = (model.discriminator.get_layer(f"discriminator_{domain}") for domain in "ab")
    return [critic.trainable_variables[-1] for critic in critics]


def boundary(target, logits):
    """BGAN's generator loss for continuous images: 1/2 mean F^2; the target is ignored."""
    return 0.5 * losses.least_squares(0.0, logits)


def minimax(target, logits):
    """GMAN's generator loss with lambda = 0: mean log(1 - D); the target is ignored."""
    return keras.ops.mean(log_probability(-logits))


def discogan_losses(model: DiscoGAN) -> dict[str, list[Callable]]:
    """Losses of each output of both players, with the reconstruction's weight of the first steps.

    Weight decay is left out.
    """
    r, s = model.weights_of_reconstruction[0], model.feature_share
    features = len(model.filters) - 1
    entropy, matching = losses.cross_entropy, losses.feature_matching
    of_d = [scaled(entropy, 0.5), *[scaled(matching, 0.0)] * features]
    of_g = [
        scaled(entropy, (1 - r) * (1 - s)),
        *[scaled(matching, (1 - r) * s)] * features,
    ]
    translations = [scaled(losses.mse, 0.0)] * 2 + [scaled(losses.mse, r / 4)] * 2
    return {"discriminator": of_d * 2, "combined": translations + of_g * 2}


def scaled(loss: Callable, weight: float) -> Callable:
    return lambda target, output: weight * loss(target, output)


def dualgan_losses(model: DualGAN) -> dict[str, list[Callable]]:
    """Losses of each output of both players."""
    translations = [scaled(losses.l1, 0.0)] * 2
    cycles = [scaled(losses.l1, model.reconstruction_weight)] * 2
    scores = [losses.wasserstein] * 2
    return {"discriminator": scores, "combined": translations + cycles + scores}


CASES = {
    "aae": Case(AAE, classic_aae, width="hidden"),
    "acgan": Case(ACGAN, classic_acgan),
    "bgan": Case(
        BGAN, classic_gan, {"objective": "continuous"}, losses=lambda model: {"combined": boundary}
    ),
    # Without the regularization, which `train_on_batch` cannot compute.
    "biggan": Case(
        BigGAN,
        classic_sagan,
        {"orthogonal_weight": 0.0},
        losses=lambda model: {"combined": losses.wasserstein},
        once=lambda model, batch: model.g_step(*batch),
    ),
    "cgan": Case(CGAN, classic_cgan, {"l2": 0.0}),
    "cyclegan": Case(CycleGAN, classic_cyclegan, batch=two_domains),
    "dcgan": Case(DCGAN, classic_gan, {"l2": 0.0}),
    "discogan": Case(
        DiscoGAN,
        classic_discogan,
        {"weight_decay": 0.0},
        steps=UPDATE_INTERVAL,
        once=update_discogan,
        losses=discogan_losses,
        batch=two_domains,
    ),
    "dualgan": Case(
        DualGAN,
        classic_dualgan,
        {"mode": "clip", "n_critic": 3},
        steps=3,
        once=update_dualgan,
        losses=dualgan_losses,
        batch=two_domains,
        idle=last_biases,
    ),
    "gan": Case(GAN, classic_gan, width="units"),
    # Four, by which a mini-batch of 64 can be divided.
    "gman": Case(
        GMAN, classic_gman, {"discriminators": 4}, losses=lambda model: {"combined": minimax}
    ),
    "lapgan": Case(AllLevels, classic_lapgan),
    "lsgan": Case(LSGAN, classic_gan),
    "madgan": Case(MADGAN, classic_madgan),
    "pix2pix": Case(Pix2Pix, classic_pix2pix, batch=pairs),
    "sagan": Case(
        SAGAN,
        classic_sagan,
        losses=lambda model: {"combined": losses.wasserstein},
        once=lambda model, batch: model.g_step(*batch),
    ),
    # The second stage, without VGG19, whose forward passes would be the same on both sides.
    "srgan": Case(SRGAN, classic_srgan, {"stage": "gan", "content": "mse"}, batch=enlargements),
    # With this warm-up the generator is updated every n_critic steps, as in the classic round.
    "wgan": Case(
        WGAN,
        classic_wgan,
        {"n_critic": 5, "warm_up": 5},
        steps=5,
        once=lambda model, batch: model.g_step(*batch),
    ),
}
