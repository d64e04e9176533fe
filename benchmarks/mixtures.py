"""Mode coverage of a model's objective on two-dimensional mixtures of Gaussians, fast on a CPU.

The model's class is used unchanged, with its objective and training step; only its networks are
replaced by multilayer perceptrons with two hidden layers of 128 units. A discriminator that is an
auto-encoder has its code in the second of them. Translators learn a relation between two mixtures,
of five and of ten Gaussians; their discriminators have four hidden layers (Kim et al. 2017, section
4.1).

    python3 benchmarks/mixtures.py --model dcgan --mixture ring
    python3 benchmarks/mixtures.py --model discogan --mixture five_to_ten --seeds 10
"""

import sys
import time
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from began.began import BEGAN
from benchmarks import command_line
from benchmarks.gaussian_mixtures import MIXTURES, Mixture, mode_scores, relation_scores, ring
from bgan.bgan import BGAN
from common.adversarial import Adversarial
from common.data.stream import batch_indices, stream
from common.errors import UserError
from common.images import image_file
from dcgan.dcgan import DCGAN
from discogan.discogan import DiscoGAN
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
# The paper's loss; without its reconstruction of B, and without reconstruction.
TRANSLATORS = {
    "discogan": {},
    "discogan_one_way": {"both_directions": False},
    "discogan_no_cycle": {"reconstruction_weight": 0.0},
}
FIVE, TEN = ring(5, radius=1.0, std=0.05), ring(10, radius=2.0, std=0.05)
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


class TranslatorsOfPoints(DiscoGAN):
    """DiscoGAN with multilayer perceptrons for two-dimensional data as networks."""

    def build_translator(self, name: str) -> keras.Model:
        x, y, _ = perceptron(2, 2)
        return keras.Model(x, y, name=name)

    def build_discriminator(self, domain: str) -> keras.Model:
        x, logits, _ = perceptron(2, 1, hidden=4)
        return keras.Model(x, [logits], name=f"discriminator_{domain}")


def perceptron(inputs: int, outputs: int, hidden: int = 2) -> tuple[keras.KerasTensor, ...]:
    """Input, output and last hidden layer of a multilayer perceptron."""
    x = h = keras.Input((inputs,))
    for _ in range(hidden):
        h = Dense(128, activation="leaky_relu")(h)
    return x, Dense(outputs)(h), h


def train(
    model: Adversarial, arrays: tuple[np.ndarray, ...], steps: int, batch_size: int, seed: int
):
    """Trains on batches of arrays of equal length, in an order of their own each."""

    def load(numbers):
        return tuple(
            array[batch_indices(numbers, len(array), batch_size, seed + number)]
            for number, array in enumerate(arrays)
        )

    specs = [tf.TensorSpec(array.shape[1:], array.dtype) for array in arrays]
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
    mixture: Literal["ring", "grid", "five_to_ten"] = "ring",
    steps: int = 10_000,
    batch_size: int = 256,
    seed: int = 0,
    seeds: int = 1,
    image: str | None = None,
):
    """Trains on points and prints how many modes the samples or translations cover.

    Of 2,500 samples, at least 20 must be near the centre of a covered mode, or 10 for 25 modes.

    Args:
        model: model whose objective is used, one of gan, dcgan, lsgan, wgan, wgan_gp, dragan, bgan,
            ebgan and began; for five_to_ten discogan, discogan_one_way (B is not reconstructed) or
            discogan_no_cycle.
        mixture: eight Gaussians on a circle (ring), 25 on a grid, or five that are to be translated
            to ten (five_to_ten).
        steps: training steps; for wgan and wgan_gp updates of the critic.
        batch_size: points per step.
        seed: seed for points, initial weights and noise.
        seeds: number of runs, with this seed and the next ones.
        image: output file for a scatter plot of the samples of the last run.
    """
    known = TRANSLATORS if mixture == "five_to_ten" else MODELS
    if model not in known:
        raise UserError(f"--model {model}: choose from {', '.join(known)} for this --mixture")
    measure = relate if known is TRANSLATORS else cover
    complete = 0
    for number in range(seed, seed + seeds):
        keras.utils.set_random_seed(number)
        print(f"{model} on {mixture}, {steps} steps of {batch_size}, seed {number}", end=", ")
        found, total, drawn, target = measure(model, mixture, steps, batch_size, number)
        complete += found == total
    if seeds > 1:
        print(f"all modes in {complete} of {seeds} runs")
    if image:
        image_file.write(Path(image), scatter(drawn, target))


class Found(NamedTuple):
    """Modes that were found, of how many; points that show it, and their target."""

    modes: int
    total: int
    points: np.ndarray
    target: Mixture


def cover(model: str, mixture: str, steps: int, batch_size: int, seed: int) -> Found:
    """Trains a generator, and prints which modes its samples cover."""
    target = MIXTURES[mixture]()
    model_class, options = MODELS[model]
    made = on_points(model_class)(**COMMON | options)
    points = target.points(seed, TRAINING_POINTS) / target.extent
    begin = time.perf_counter()
    train(made, (points, np.zeros(len(points), np.int32)), steps, batch_size, seed)
    print(f"{time.perf_counter() - begin:.0f} s")
    z = made.latent.of_seed(seed, SAMPLES)
    samples = target.extent * made.sampler(z, training=False).numpy()
    scores = mode_scores(samples, target, LEAST[mixture])
    floor = mode_scores(target.points(seed + 1, SAMPLES), target, LEAST[mixture])
    for name, row in (("samples", scores), ("mixture", floor)):
        print(
            f"{name:8} modes {row['modes']:2d} of {len(target.centres)}  good {row['good']:.1%}  "
            f"kl {row['kl']:.3f}"
        )
    return Found(scores["modes"], len(target.centres), samples, target)


def relate(model: str, _mixture: str, steps: int, batch_size: int, seed: int) -> Found:
    """Trains translators, and prints to how many modes of B those of A are translated."""
    options = {"feature_share": 0.0, "initial_steps": 0, "learning_rate": 1e-3, "ema": 0.999}
    made = TranslatorsOfPoints(**options | TRANSLATORS[model])
    made.compile(jit="on")  # a step of such small networks is bound by the number of its operations
    scale = TEN.extent
    points = [FIVE.points(seed, TRAINING_POINTS), TEN.points(seed + 1, TRAINING_POINTS)]
    begin = time.perf_counter()
    train(made, tuple(each / scale for each in points), steps, batch_size, seed)
    print(f"{time.perf_counter() - begin:.0f} s")
    G = made.sampler.get_layer("AtoB")

    def translate(x: np.ndarray) -> np.ndarray:
        return scale * G(np.float32(x / scale), training=False).numpy()

    scores = relation_scores(translate, FIVE, TEN, seed)
    total = len(FIVE.centres)
    print(f"{'A to B':8} modes {scores['modes']:2d} of {total}  good {scores['good']:.1%}")
    return Found(scores["modes"], total, translate(points[0][:SAMPLES]), TEN)


if __name__ == "__main__":
    command_line.run(main)
