"""The classic Keras-GAN loop of each model, and batches for it.

A round of a loop calls `predict` and `train_on_batch` with full batches and noise from NumPy. It is
equivalent to one training step, or to `Case.steps` of them: it updates the same players with the
same batches. Its own traits are preserved: the generator runs a second time for its update, its
images for the discriminator come from `predict` and hence use the moving statistics of batch
normalization, and a discriminator is updated twice, by the real and by the fake batch.
"""

from types import SimpleNamespace

from aae.aae import AAE
from acgan.acgan import ACGAN
from cgan.cgan import CGAN
from common.adversarial import Adversarial
from common.data.label_subset import halves
from common.nn import pyramid
from cyclegan.cyclegan import CycleGAN
from discogan.discogan import UPDATE_INTERVAL, DiscoGAN
from dualgan.dualgan import DualGAN
from gman.gman import GMAN
from lapgan.lapgan import LAPGAN
from madgan.madgan import MADGAN
from pix2pix.pix2pix import Pix2Pix
from sagan.sagan import SAGAN
from srgan.srgan import SRGAN
from wgan.wgan import WGAN

import keras
import numpy as np
import tensorflow as tf

RANDOM = np.random.default_rng(0)


# Batches: arrays from a model and a number of samples.


def digits(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Images float32 (B, S, S, C) and classes int32 (B,)."""
    x = images(count, model.image_size, model.channels)
    return x, RANDOM.integers(10, size=count, dtype="int32")


def pairs(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Inputs and targets, each float32 (B, S, S, C)."""
    return tuple(
        images(count, model.image_size, channels)
        for channels in (model.channels_in, model.channels_out)
    )


def two_domains(model: Adversarial, count: int) -> tuple[np.ndarray, ...]:
    """Images of two domains, each float32 (B, S, S, C)."""
    return tuple(images(count, model.image_size, model.channels) for _ in range(2))


def enlargements(model: SRGAN, count: int) -> tuple[np.ndarray, ...]:
    """Low-resolution images in [0, 1] and originals in [-1, 1], float32 (B, S, S, 3)."""
    lr = images(count, model.image_size // model.scale, 3)
    return (lr + 1) / 2, images(count, model.image_size, 3)


def images(count: int, size: int, channels: int) -> np.ndarray:
    """Uniform noise in [-1, 1], float32 (B, S, S, C)."""
    return RANDOM.uniform(-1, 1, (count, size, size, channels)).astype("float32")


# The loops.


def classic_gan(model: Adversarial, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """gan.py, dcgan.py, ...: D on real images, D on fakes, then G, with the same z."""
    z = noise(model, len(x))
    x_hat = predict(players.generator, z)
    players.discriminator.train_on_batch(x, ones(x))
    players.discriminator.train_on_batch(x_hat, zeros(x))
    players.combined.train_on_batch(z, ones(x))


def classic_gman(model: GMAN, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """gman.py: like `classic_gan`, with a part of the batch and a target for each discriminator."""
    z = noise(model, len(x))
    x_hat = predict(players.generator, z)
    real = np.ones((len(x) // model.N, model.N), "float32")
    players.discriminator.train_on_batch(model.parts(x), real)
    players.discriminator.train_on_batch(model.parts(x_hat), np.zeros_like(real))
    players.combined.train_on_batch(z, real)


def classic_madgan(model: MADGAN, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """madgan.py: like `classic_gan`, with the number of its generator as target of each fake."""
    z = noise(model, len(x))[:, :-1]  # the last component only chooses a generator
    x_hat = predict(players.generator, z)  # (B, k, S, S, C)
    makers = np.tile(1 + np.arange(model.k), len(x))
    players.discriminator.train_on_batch(x, np.zeros(len(x), int))
    players.discriminator.train_on_batch(x_hat.reshape(-1, *x.shape[1:]), makers)
    players.combined.train_on_batch(z, np.zeros((len(x), model.k), int))


def classic_wgan(model: WGAN, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """wgan.py: n_critic times the critic on real images and fakes, clipped on the host; then G.

    The same variables are clipped as in the model, and each call draws new noise, as there.
    """
    for _ in range(model.n_critic):
        x_hat = predict(players.generator, noise(model, len(x)))
        players.discriminator.train_on_batch(x, ones(x))
        players.discriminator.train_on_batch(x_hat, -ones(x))
        for weight in players.discriminator.trainable_variables:
            weight.assign(np.clip(weight.numpy(), -model.clip, model.clip))
    players.combined.train_on_batch(noise(model, len(x)), ones(x))


def classic_cgan(model: CGAN, players: SimpleNamespace, x: np.ndarray, labels: np.ndarray):
    """cgan.py: like `classic_gan`, with the classes of the batch as further inputs."""
    z, y = noise(model, len(x)), one_hot(labels, model.classes)
    x_hat = predict(players.generator, [z, y])
    players.discriminator.train_on_batch([x, y], ones(x))
    players.discriminator.train_on_batch([x_hat, y], zeros(x))
    players.combined.train_on_batch([z, y], ones(x))


def classic_acgan(model: ACGAN, players: SimpleNamespace, x: np.ndarray, c: np.ndarray):
    """acgan.py: like `classic_gan`, with random classes for the fakes as further targets."""
    z, c_fake = noise(model, len(x)), RANDOM.integers(model.classes, size=len(x), dtype="int32")
    y_fake = one_hot(c_fake, model.classes)
    x_hat = predict(players.generator, [z, y_fake])
    players.discriminator.train_on_batch(x, [ones(x), c])
    players.discriminator.train_on_batch(x_hat, [zeros(x), c_fake])
    players.combined.train_on_batch([z, y_fake], [ones(x), c_fake])


def classic_sagan(model: SAGAN, players: SimpleNamespace, x: np.ndarray, labels: np.ndarray):
    """sagan.py, biggan.py: like `classic_cgan`, with random classes for the fakes.

    G's update has other ones, and noise of its own.
    """

    def noise_and_classes():
        classes = RANDOM.integers(model.classes, size=len(x))
        return [noise(model, len(x)), one_hot(classes, model.classes)]

    z, y_fake = noise_and_classes()
    x_hat = predict(players.generator, [z, y_fake])
    players.discriminator.train_on_batch([x, one_hot(labels, model.classes)], ones(x))
    players.discriminator.train_on_batch([x_hat, y_fake], -ones(x))
    players.combined.train_on_batch(noise_and_classes(), ones(x))


def classic_aae(model: AAE, players: SimpleNamespace, x: np.ndarray, _: np.ndarray):
    """aae.py, but with reconstruction as a separate first call, as in the paper.

    In aae.py the last call updates the encoder by both losses; here each loss has its optimizer.
    """
    players.autoencoder.train_on_batch(x, x)
    code = predict(players.encoder, x)
    players.discriminator.train_on_batch(noise(model, len(x)), ones(x))  # a Gaussian prior
    players.discriminator.train_on_batch(code, zeros(x))
    players.combined.train_on_batch(x, ones(x))


def classic_lapgan(model: LAPGAN, players: SimpleNamespace, x: np.ndarray, labels: np.ndarray):
    """lapgan.py: like `classic_cgan` at each level, with the enlarged coarse images beside z."""
    y, y_other = halves(one_hot(labels, model.classes))
    for side in model.sides:
        generator, discriminator, combined = (
            getattr(players, f"{name}_{side}")
            for name in ("generator", "discriminator", "combined")
        )
        real, other = halves(pyramid.reduced(tf.constant(x), side))
        coarse = [] if side == model.sides[0] else [pyramid.up(pyramid.down(other)).numpy()]
        z = RANDOM.uniform(-1, 1, (len(other), model.noise_sizes[side])).astype("float32")
        x_hat = predict(generator, [z, *coarse, y_other])
        discriminator.train_on_batch([real.numpy(), y], ones(y))
        discriminator.train_on_batch([x_hat, y_other], zeros(y_other))
        combined.train_on_batch([z, *coarse, y_other], ones(y_other))


def classic_pix2pix(model: Pix2Pix, players: SimpleNamespace, x: np.ndarray, y: np.ndarray):
    """pix2pix.py: D on real pairs, D on translations, then G by the losses of D and L1."""
    y_hat = predict(players.generator, x)
    side = model.image_size // 2**model.strided - 2
    real = np.ones((len(x), side, side, 1), "float32")
    players.discriminator.train_on_batch([x, y], real)
    players.discriminator.train_on_batch([x, y_hat], np.zeros_like(real))
    players.combined.train_on_batch(x, [real, y])


def classic_cyclegan(model: CycleGAN, players: SimpleNamespace, a: np.ndarray, b: np.ndarray):
    """cyclegan.py: each D on real images and translations, then G and F by all six losses.

    It has no image pool: a discriminator sees the latest translations only.
    """
    fake_b, fake_a = predict(players.generator, [a, b])
    side = model.image_size // 2**model.strided - 2
    real = np.ones((len(a), side, side, 1), "float32")
    players.discriminator_a.train_on_batch(a, real)
    players.discriminator_a.train_on_batch(fake_a, np.zeros_like(real))
    players.discriminator_b.train_on_batch(b, real)
    players.discriminator_b.train_on_batch(fake_b, np.zeros_like(real))
    players.combined.train_on_batch([a, b], [real, real, a, b, b, a])


def classic_discogan(model: DiscoGAN, players: SimpleNamespace, a: np.ndarray, b: np.ndarray):
    """discogan.py: both D on real images and on translations; then G and F twice.

    The features of real images, which those of translations are to match, come from `predict`.
    """
    fake_b, fake_a = predict(players.generator, [a, b])
    real = predict(players.discriminator, [a, b])  # for each domain the logits, then the features
    first = 0, len(real) // 2
    for images, value in (([a, b], 1.0), ([fake_a, fake_b], 0.0)):
        targets = [np.full_like(f, value) if i in first else f for i, f in enumerate(real)]
        players.discriminator.train_on_batch(images, targets)
    for _ in range(UPDATE_INTERVAL - 1):
        real = predict(players.discriminator, [a, b])
        targets = [np.ones_like(f) if i in first else f for i, f in enumerate(real)]
        players.combined.train_on_batch([a, b], [a, b, a, b, *targets])


def classic_dualgan(model: DualGAN, players: SimpleNamespace, a: np.ndarray, b: np.ndarray):
    """dualgan.py: n_critic times both D on images and translations, clipped; then G and F.

    Without a gradient penalty, which `train_on_batch` cannot compute.
    """
    for _ in range(model.n_critic):
        fake_b, fake_a = predict(players.generator, [a, b])
        players.discriminator.train_on_batch([a, b], [ones(a), ones(b)])
        players.discriminator.train_on_batch([fake_a, fake_b], [-ones(a), -ones(b)])
        for weight in players.discriminator.trainable_variables:
            weight.assign(np.clip(weight.numpy(), -model.clip, model.clip))
    players.combined.train_on_batch([a, b], [a, b, a, b, ones(a), ones(b)])


def classic_srgan(_: SRGAN, players: SimpleNamespace, lr: np.ndarray, hr: np.ndarray):
    """srgan.py: like `classic_gan`, with the originals as targets of the content loss."""
    sr = predict(players.generator, lr)
    players.discriminator.train_on_batch(hr, ones(hr))
    players.discriminator.train_on_batch(sr, zeros(hr))
    players.combined.train_on_batch(lr, [ones(hr), hr])


def predict(network: keras.Model, inputs) -> np.ndarray:
    """Inference in a single batch; Keras' default batch size of 32 would be slower."""
    count = len(inputs[0] if isinstance(inputs, list) else inputs)
    return network.predict(inputs, batch_size=count, verbose=0)


def noise(model: Adversarial, count: int) -> np.ndarray:
    """z from NumPy, float32 (count, size of the latent space)."""
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
