"""Mode coverage of a model's objective on two-dimensional mixtures of Gaussians, fast on a CPU.

The model's class is used unchanged, with its objective and training step; only its networks are
replaced by multilayer perceptrons with two hidden layers of 128 units. A discriminator that is an
auto-encoder has its code in the second of them.

    python3 benchmarks/mixtures.py --model dcgan --mixture ring
"""

import sys
import time
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from began.began import BEGAN
from benchmarks import command_line
from benchmarks.gaussian_mixtures import MIXTURES, Mixture, mode_scores
from bgan.bgan import BGAN
from common.adversarial import Adversarial
from common.data.stream import batch_indices, stream
from common.errors import UserError
from common.images import image_file
from dcgan.dcgan import DCGAN
from dragan.dragan import DRAGAN
from ebgan.ebgan import EBGAN
from gan.gan import GAN
from lsgan.lsgan import LSGAN
from wgan.wgan import WGAN
from wgan_gp.wgan_gp import WGANGP

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense

# Class and constructor arguments; no penalty on the weights.
MODELS = {
    "gan": (GAN, {}),
    "dcgan": (DCGAN, {"l2": 0.0, "latent_distribution": "normal"}),
    "lsgan": (LSGAN, {}),
    "wgan": (WGAN, {"clip": 0.1, "ema": 0.99}),  # its generator is updated at every fifth step
    "wgan_gp": (WGANGP, {"penalty_weight": 0.1, "ema": 0.99}),  # as wgan's; the paper's weight here
    "dragan": (DRAGAN, {}),
    "bgan": (BGAN, {"objective": "continuous"}),
    "ebgan": (EBGAN, {"margin": 1.0}),  # points are nearer to each other than images
    "began": (BEGAN, {}),
}
AUTOENCODERS = {"ebgan": 2, "began": 1}  # outputs of the discriminator: reconstruction, code
COMMON = {"latent_size": 2, "learning_rate": 5e-4, "ema": 0.999}
TRAINING_POINTS, SAMPLES = 100_000, 2_500
LEAST = {"ring": 20, "grid": 10}  # high-quality samples that a covered mode has at least


def on_points(model_class: type[Adversarial]) -> type[Adversarial]:
    """The model with multilayer perceptrons for two-dimensional data as networks."""

    class OnPoints(model_class):
        def build_generator(self) -> keras.Model:
            z, g, _ = perceptron(self.latent.size, 2)
            return keras.Model(z, g, name="generator")

        def build_discriminator(self) -> keras.Model:
            count = AUTOENCODERS.get(self.name)
            x, y, code = perceptron(2, 2 if count else 1)
            return keras.Model(x, [y, code] if count == 2 else y)

        @property
        def sampler(self) -> keras.Model:
            return self.sampling_network  # points are not clipped to the range of images

    return OnPoints


def perceptron(inputs: int, outputs: int) -> tuple[keras.KerasTensor, ...]:
    """Input, output and last hidden layer of a multilayer perceptron."""
    x = h = keras.Input((inputs,))
    for _ in range(2):
        h = Dense(128, activation="leaky_relu")(h)
    return x, Dense(outputs)(h), h


def train(model: Adversarial, points: np.ndarray, steps: int, batch_size: int, seed: int):
    """Trains on points, float32 (N, 2), scaled so that the centres are in [-1, 1]."""

    def load(numbers):
        indices = batch_indices(numbers, len(points), batch_size, seed)
        return points[indices], np.zeros(len(indices), np.int32)

    specs = [tf.TensorSpec((2,)), tf.TensorSpec((), tf.int32)]
    batches = iter(stream(load, specs, batch_size, 0, steps, finish=lambda *batch: batch))
    model.make_train_function()
    for _ in range(steps):
        model.train_function(batches)


def scatter(samples: np.ndarray, mixture: Mixture, side: int = 400) -> np.ndarray:
    """Scatter plot, uint8 (side, side, 3): samples in black, centres in red."""
    reach = 1.25 * mixture.extent

    def pixels(points):
        inside = points[(np.abs(points) < reach).all(axis=1)]
        return tuple(((inside / reach + 1) / 2 * side).astype(int).T[::-1])

    image = np.full((side, side, 3), 255, np.uint8)
    image[pixels(samples)] = 0
    image[pixels(mixture.centres)] = (255, 0, 0)
    return image


def main(
    model: str = "dcgan",
    mixture: Literal["ring", "grid"] = "ring",
    steps: int = 10_000,
    batch_size: int = 256,
    seed: int = 0,
    image: str | None = None,
):
    """Trains on points and prints how many modes the samples cover.

    Of 2,500 samples, at least 20 must be near the centre of a covered mode, or 10 for 25 modes.

    Args:
        model: model whose objective is used, one of gan, dcgan, lsgan, wgan, wgan_gp, dragan, bgan,
            ebgan and began.
        mixture: eight Gaussians on a circle (ring), or 25 on a grid.
        steps: training steps; for wgan and wgan_gp updates of the critic.
        batch_size: points per step.
        seed: seed for points, initial weights and noise.
        image: output file for a scatter plot of the samples.
    """
    if model not in MODELS:
        raise UserError(f"--model {model}: choose from {', '.join(MODELS)}")
    target = MIXTURES[mixture]()
    keras.utils.set_random_seed(seed)
    model_class, options = MODELS[model]
    made = on_points(model_class)(**COMMON | options)
    begin = time.perf_counter()
    train(made, target.points(seed, TRAINING_POINTS) / target.extent, steps, batch_size, seed)
    seconds = time.perf_counter() - begin
    samples = (
        target.extent * made.sampler(made.latent.of_seed(seed, SAMPLES), training=False).numpy()
    )
    scores = mode_scores(samples, target, LEAST[mixture])
    floor = mode_scores(target.points(seed + 1, SAMPLES), target, LEAST[mixture])
    print(f"{model} on {mixture}, {steps} steps of {batch_size}, seed {seed}, {seconds:.0f} s")
    for name, row in (("samples", scores), ("mixture", floor)):
        print(
            f"{name:8} modes {row['modes']:2d} of {len(target.centres)}  good {row['good']:.1%}  "
            f"kl {row['kl']:.3f}"
        )
    if image:
        image_file.write(Path(image), scatter(samples, target))


if __name__ == "__main__":
    command_line.run(main)
