"""Objectives compared on equal networks, with equally many updates of the generator.

Each objective is the class of its model, whose networks are replaced by the same ones: DCGAN's, of
width 16 with a hidden dense layer of 128. A penalty on the gradient forbids batch normalization in
the discriminator; its row says so.

    python3 benchmarks/objectives.py --dataset mnist
"""

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import ClassVar, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command_line, mixtures
from benchmarks.gaussian_mixtures import PLANAR, mode_scores
from benchmarks.points import TRAINING_POINTS, train, unlabelled
from common.adversarial import Adversarial
from common.averaging import AVERAGE_BATCHES
from common.data.labelled import LabelledImages
from common.evaluation.generated_images import ReferenceSet
from common.inference.sampler import sampler_of
from common.nn import convolutional, losses
from common.noise_to_image import NoiseToImage
from common.registry import chosen
from dcgan.dcgan import DCGAN
from dragan.dragan import DRAGAN
from lsgan.lsgan import LSGAN
from wgan.wgan import WGAN
from wgan_gp.wgan_gp import WGANGP

import keras
import numpy as np

WIDTH, DENSE_UNITS, BATCH = 16, 128, 64
POINT_OPTIONS = dict(mixtures.MODELS.values())  # of a class, such as the weight of a penalty
IMAGES_COMMON = {"latent_size": 100, "ema": 0.999}


class Hinge(NoiseToImage):
    """The hinge objective (Lim and Ye 2017): D's margin is 1, G's loss is linear."""

    targets: ClassVar[tuple[float, float]] = (1.0, -1.0)

    def __init__(self, **shared):
        super().__init__(name="hinge", **shared)
        self.build_players(losses.hinge)

    def g_loss(self, real, fake):
        return losses.wasserstein(1.0, fake.output)


class Objective(NamedTuple):
    """An objective to compare.

    Attributes:
        title: its name in the table.
        model: class of the model.
        options: its constructor arguments.
        normalize: batch normalization in the discriminator.
        n_critic: updates of the discriminator per update of the generator.
    """

    title: str
    model: type[Adversarial]
    options: dict
    normalize: bool = True
    n_critic: int = 1


PLAIN = {"l2": 0.0, "latent_distribution": "normal"}
PENALTY = {"learning_rate": 2e-4}
CLIPPING = {"n_critic": 5, "warm_up": 5, "learning_rate": 2e-4}
OBJECTIVES = {
    "cross_entropy": Objective("cross-entropy", DCGAN, PLAIN),
    "least_squares": Objective("least squares", LSGAN, {}),
    "hinge": Objective("hinge", Hinge, {}),
    "clipping": Objective("Wasserstein, clipping", WGAN, CLIPPING, n_critic=5),
    "penalty": Objective("Wasserstein, gradient penalty", WGANGP, PENALTY, False, 5),
    "penalty_1": Objective("the same, one update of D", WGANGP, PENALTY | {"n_critic": 1}, False),
    "dragan": Objective("DRAGAN", DRAGAN, {}, False),
    "cross_entropy_plain_d": Objective("cross-entropy, D not normalized", DCGAN, PLAIN, False),
}


def with_equal_networks(objective: Objective) -> type[Adversarial]:
    """The model of an objective, with the networks that all objectives share."""

    class Equal(objective.model):
        def build_generator(self) -> keras.Model:
            z = keras.Input((self.latent.size,))
            images = convolutional.generator(z, self.image_size, self.channels, WIDTH, DENSE_UNITS)
            return keras.Model(z, images, name="generator")

        def build_discriminator(self) -> keras.Model:
            x = keras.Input((self.image_size, self.image_size, self.channels))
            scores = convolutional.discriminator(
                x, WIDTH, DENSE_UNITS, normalize=objective.normalize
            )
            return keras.Model(x, scores, name="discriminator")

    return Equal


def on_images(
    objective: Objective, data: LabelledImages, reference: ReferenceSet, updates: int, seed: int
) -> dict[str, float]:
    """Trains on images; returns the metrics of samples and seconds per generator update."""
    keras.utils.set_random_seed(seed)
    sizes = {"image_size": data.image_size, "channels": data.channels}
    model = with_equal_networks(objective)(**IMAGES_COMMON | sizes | objective.options)
    model.set_average_batches(data.stream(BATCH, 0, AVERAGE_BATCHES))
    steps = updates * objective.n_critic
    model.make_train_function()
    batches = iter(data.stream(BATCH, 0, steps))
    model.train_function(batches)  # traces the step
    begin = time.perf_counter()
    for _ in range(steps - 1):
        model.train_function(batches)
    seconds = (time.perf_counter() - begin) / max(1, steps - 1)
    model.update_average_statistics()
    sampler = sampler_of(model)
    measured = reference.measure(sampler.all(sampler.noise(seed, reference.count)))
    return {
        "digit FID": measured["fid"],
        "precision": measured["precision"],
        "recall": measured["recall"],
        "s / G update": seconds * objective.n_critic,
    }


def on_points(objective: Objective, updates: int, seed: int) -> dict[str, float]:
    """Trains on two mixtures of Gaussians; returns the number of modes that samples cover."""
    result = {}
    for name, mixture in PLANAR.items():
        target = mixture()
        keras.utils.set_random_seed(seed)
        options = objective.options | POINT_OPTIONS.get(objective.model, {})
        model = mixtures.on_points(objective.model)(
            **mixtures.COMMON | options | {"learning_rate": 5e-4, "ema": 0.99}
        )
        points = target.points(seed, TRAINING_POINTS) / target.extent
        train(model, unlabelled(points), updates * objective.n_critic, 256, seed)
        samples, _ = mixtures.sample(model, mixtures.SAMPLES, seed)
        scores = mode_scores(target.extent * samples, target, mixtures.LEAST[name])
        result[name] = scores["modes"]
    return result


def main(
    objectives: str = "all",
    dataset: str = "mnist",
    data_dir: str | None = None,
    updates: int = 2000,
    point_updates: int = 5000,
    seeds: int = 3,
    count: int = 10_000,
    json: str | None = None,
):
    """Trains each objective with several seeds, and prints a table of means and spreads.

    Args:
        objectives: one of them, several separated by commas, or all: cross_entropy, least_squares,
            hinge, clipping, penalty, penalty_1, dragan and cross_entropy_plain_d.
        dataset: labelled images, as for `train`.
        data_dir: folder of named datasets.
        updates: updates of the generator on images.
        point_updates: updates of the generator on each mixture of Gaussians.
        seeds: number of seeds, from 0.
        count: number of samples, and of test images.
        json: output file for the results of every run.
    """
    selected = [OBJECTIVES[name] for name in chosen(objectives, OBJECTIVES, "objectives")]
    data = LabelledImages(0, dataset, data_dir)
    reference = ReferenceSet(data, count)
    runs = []
    for objective in selected:
        for seed in range(seeds):
            result = on_images(objective, data, reference, updates, seed)
            result |= on_points(objective, point_updates, seed)
            runs.append({"objective": objective.title, "seed": seed} | result)
            print(", ".join(f"{key} {value}" for key, value in runs[-1].items()), flush=True)
    command_line.write_results(json, runs)
    command_line.print_markdown(*table(runs))


def table(runs: list[dict]) -> list[tuple[str, ...]]:
    """Mean and standard deviation over the seeds of each objective, as cells."""
    grouped = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for column, value in run.items():
            if column not in ("objective", "seed"):
                grouped[run["objective"]][column].append(value)
    columns = list(next(iter(grouped.values())))
    rows = [("objective", *columns)]
    for name, values in grouped.items():
        cells = (f"{np.mean(values[c]):.3g} ± {np.std(values[c]):.2g}" for c in columns)
        rows.append((name, *cells))
    return rows


if __name__ == "__main__":
    command_line.run(main)
