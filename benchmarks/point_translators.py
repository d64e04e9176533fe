"""Translators between two mixtures of Gaussians, of five and of ten (Kim et al. 2017, section 4.1).

They learn from unpaired points; a translator without collapse maps the five modes to five others.
"""

import time

from benchmarks.gaussian_mixtures import relation_scores, ring
from benchmarks.points import TRAINING_POINTS, perceptron, train
from discogan.discogan import DiscoGAN

import keras
import numpy as np

# The paper's loss; without its reconstruction of B, and without reconstruction.
TRANSLATORS = {
    "discogan": {},
    "discogan_one_way": {"both_directions": False},
    "discogan_no_cycle": {"reconstruction_weight": 0.0},
}
FIVE, TEN = ring(5, radius=1.0, std=0.05), ring(10, radius=2.0, std=0.05)
OPTIONS = {"feature_share": 0.0, "initial_steps": 0, "learning_rate": 1e-3, "ema": 0.999}


class TranslatorsOfPoints(DiscoGAN):
    """DiscoGAN with multilayer perceptrons as networks; D has four hidden layers."""

    def build_translator(self, name: str) -> keras.Model:
        x, y, _ = perceptron(2, 2)
        return keras.Model(x, y, name=name)

    def build_discriminator(self, domain: str) -> keras.Model:
        x, logits, _ = perceptron(2, 1, hidden=4)
        return keras.Model(x, [logits], name=f"discriminator_{domain}")


def relate(model: str, steps: int, batch_size: int, seeds: range):
    """Trains translators with each seed; prints to how many modes of B those of A are mapped."""
    complete = 0
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        made = TranslatorsOfPoints(**OPTIONS | TRANSLATORS[model])
        made.compile(jit="on")  # so small a step is bound by the number of its operations
        scale = TEN.extent
        points = FIVE.points(seed, TRAINING_POINTS), TEN.points(seed + 1, TRAINING_POINTS)
        begin = time.perf_counter()
        train(made, tuple(each / scale for each in points), steps, batch_size, seed)
        seconds = time.perf_counter() - begin
        scores = relation_scores(translation(made, scale), FIVE, TEN, seed)
        complete += scores["modes"] == len(FIVE.centres)
        print(
            f"{model} on five_to_ten, {steps} steps of {batch_size}, seed {seed}, {seconds:.0f} s"
        )
        print(f"A to B   modes {scores['modes']:2d} of 5  good {scores['good']:.1%}", flush=True)
    if len(seeds) > 1:
        print(f"all modes in {complete} of {len(seeds)} runs")


def translation(model: TranslatorsOfPoints, scale: float):
    """The translator from A to B, points (N, 2) -> (N, 2)."""
    G = model.sampler.get_layer("AtoB")

    def translate(x: np.ndarray) -> np.ndarray:
        return scale * G(np.float32(x / scale), training=False).numpy()

    return translate
