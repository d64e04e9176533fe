"""Mode coverage of a model's objective on mixtures of Gaussians, fast on a CPU.

The model's class is used unchanged, with its objective and training step; only its networks are
replaced by multilayer perceptrons with two hidden layers of 128 units. A discriminator that is an
auto-encoder has its code in the second of them. Several generators share all layers but the last,
or those that --shared_layers says. Translators learn a relation between two mixtures.

    python3 benchmarks/mixtures.py --model dcgan --mixture ring
    python3 benchmarks/mixtures.py --model discogan --mixture five_to_ten --seeds 10
"""

import sys
import time
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from began.began import BEGAN
from benchmarks import command_line
from benchmarks.gaussian_mixtures import (
    MIXTURES,
    Mixture,
    concentration,
    histogram_kl,
    mode_scores,
)
from benchmarks.point_translators import TRANSLATORS, relate
from benchmarks.points import TRAINING_POINTS, hidden_layer, perceptron, train, unlabelled
from bgan.bgan import BGAN
from common.adversarial import Adversarial
from common.errors import UserError
from common.images import image_file
from dcgan.dcgan import DCGAN
from dragan.dragan import DRAGAN
from ebgan.ebgan import EBGAN
from gan.gan import GAN
from lsgan.lsgan import LSGAN
from madgan.madgan import MADGAN
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
    "madgan": (
        MADGAN,
        {"generators": 8, "shared_layers": 2, "latent_size": 64, "learning_rate": 2e-3},
    ),
}
AUTOENCODERS = {"ebgan": 2, "began": 1}  # outputs of the discriminator: reconstruction, code
COMMON = {"latent_size": 2, "learning_rate": 5e-4, "ema": 0.999}
SAMPLES = 2_500
LEAST = {"ring": 20, "grid": 10, "line": 20}  # good samples that a covered mode has at least
HISTOGRAM = 2**20  # samples on a line
COLOURS = np.array(  # of generators in a scatter plot
    [
        *[(0, 0, 0), (31, 119, 180), (255, 127, 14), (44, 160, 44), (148, 103, 189)],
        *[(140, 86, 75), (227, 119, 194), (23, 190, 207)],
    ],
    np.uint8,
)


def on_points(model_class: type[Adversarial], dimensions: int = 2) -> type[Adversarial]:
    """The model with multilayer perceptrons for points of so many coordinates as networks."""

    class OnPoints(model_class):
        def build_generator(self) -> keras.Model:
            z, g, _ = perceptron(self.latent.size, dimensions)
            return keras.Model(z, g, name="generator")

        def build_discriminator(self) -> keras.Model:
            count = AUTOENCODERS.get(self.name)
            x, y, code = perceptron(dimensions, dimensions if count else 1)
            return keras.Model(x, [y, code] if count == 2 else y)

        @property
        def sampler(self) -> keras.Model:
            return self.sampling_network  # points are not clipped to the range of images

    class Several(model_class):
        def layer(self, h, number: int):
            return hidden_layer(h) if number < self.stages else Dense(dimensions)(h)  # of three

        def build_discriminator(self) -> keras.Model:
            x, logits, _ = perceptron(dimensions, self.k + 1)
            return keras.Model(x, logits, name="discriminator")

    return Several if issubclass(model_class, MADGAN) else OnPoints


def scatter(
    samples: np.ndarray, makers: np.ndarray, mixture: Mixture, side: int = 400
) -> np.ndarray:
    """Scatter plot, uint8 (side, side, 3): samples in a colour for each generator, centres in red.

    A single generator's are black.
    """
    reach = 1.25 * mixture.extent

    def pixels(points):
        return tuple(((points / reach + 1) / 2 * side).astype(int).T[::-1])

    image = np.full((side, side, 3), 255, np.uint8)
    inside = (np.abs(samples) < reach).all(axis=1)
    image[pixels(samples[inside])] = COLOURS[makers[inside] % len(COLOURS)]
    image[pixels(mixture.centres)] = (255, 0, 0)
    return image


def sample(model: Adversarial, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples float32 (N, d), in the unit of the mixture, and the generator of each, int (N,)."""
    noise = model.latent.of_seed(seed, count)
    draw = tf.function(lambda z: model.sampler(z, training=False), autograph=False)
    parts = [draw(z).numpy() for z in tf.split(noise, max(1, count // 2**16))]
    several = model.latent.choices > 1
    makers = model.latent.chosen(noise).numpy() if several else np.zeros(count, int)
    return np.concatenate(parts), makers


def main(
    model: str = "dcgan",
    mixture: Literal["ring", "grid", "line", "five_to_ten"] = "ring",
    steps: int = 10_000,
    batch_size: int = 256,
    seed: int = 0,
    seeds: int = 1,
    generators: int | None = None,
    shared_layers: int | None = None,
    learning_rate: float | None = None,
    image: str | None = None,
):
    """Trains on points and prints how many modes the samples or translations cover.

    Of 2,500 samples, at least 20 must be near the centre of a covered mode, or 10 for 25 modes.

    Args:
        model: model whose objective is used, one of gan, dcgan, lsgan, wgan, wgan_gp, dragan, bgan,
            ebgan, began and madgan; for five_to_ten discogan, discogan_one_way (only A
            is translated and reconstructed) or discogan_no_cycle.
        mixture: eight Gaussians on a circle (ring), 25 on a grid, five on a line, at the scale of
            10 to 110, for which also the divergence of histograms is printed, or five that are to
            be translated to ten (five_to_ten).
        steps: training steps; for wgan and wgan_gp updates of the critic.
        batch_size: points per step.
        seed: seed for points, initial weights and noise.
        seeds: number of runs, with this seed and the next ones.
        generators: number of generators of madgan; default 8. Each makes a batch of points.
        shared_layers: number of layers, of three, that the generators of madgan share, from the
            noise on; default 2; 0 for separate generators.
        learning_rate: step size of Adam, not for translators; default by model.
        image: output file for a scatter plot of the samples.
    """
    translated = mixture == "five_to_ten"
    known = TRANSLATORS if translated else MODELS
    if model not in known:
        raise UserError(f"--model {model}: choose from {', '.join(known)} for this --mixture")
    for option, value in (("generators", generators), ("shared_layers", shared_layers)):
        if value is not None and model != "madgan":
            raise UserError(f"--{option} {value}: {model} has one generator; leave the option out")
    if image and (translated or MIXTURES[mixture]().dimensions != 2):
        raise UserError(f"--image {image}: is for samples in a plane; leave the option out")
    numbers = range(seed, seed + seeds)
    if translated:
        if learning_rate is not None:
            raise UserError("--learning_rate: translators have their own; leave the option out")
        return relate(model, steps, batch_size, numbers)
    given = {
        "generators": generators,
        "shared_layers": shared_layers,
        "learning_rate": learning_rate,
    }
    options = {name: value for name, value in given.items() if value is not None}
    for number in numbers:
        drawn = cover(model, options, mixture, steps, batch_size, number)
    if image:
        image_file.write(Path(image), scatter(*drawn))


def cover(
    name: str, options: dict, mixture: str, steps: int, batch_size: int, seed: int
) -> tuple[np.ndarray, np.ndarray, Mixture]:
    """Trains a model and prints which modes its samples cover; returns what `scatter` takes."""
    target, (model_class, usual) = MIXTURES[mixture](), MODELS[name]
    keras.utils.set_random_seed(seed)
    model = on_points(model_class, target.dimensions)(**COMMON | usual | options)
    points = target.points(seed, TRAINING_POINTS) / target.unit
    begin = time.perf_counter()
    train(model, unlabelled(points), steps, batch_size, seed)
    seconds = time.perf_counter() - begin
    samples, makers = sample(model, SAMPLES, seed)
    samples *= target.unit
    scores = mode_scores(samples, target, LEAST[mixture])
    floor = mode_scores(target.points(seed + 1, SAMPLES), target, LEAST[mixture])
    print(f"{name} on {mixture}, {steps} steps of {batch_size}, seed {seed}, {seconds:.0f} s")
    for row, found in (("samples", scores), ("mixture", floor)):
        print(
            f"{row:8} modes {found['modes']:2d} of {len(target.centres)}  "
            f"good {found['good']:.1%}  kl {found['kl']:.3f}"
        )
    if mixture == "line":
        many, _ = sample(model, HISTOGRAM, seed)
        print(f"histograms: kl {histogram_kl(many, target.points(seed + 1, HISTOGRAM)):.3f}")
    if model.latent.choices > 1:
        shares = (f"{share:.0%}" for share in concentration(samples, makers, target))
        print(f"each generator's share nearest to two modes: {', '.join(shares)}")
    return samples, makers, target


if __name__ == "__main__":
    command_line.run(main)
