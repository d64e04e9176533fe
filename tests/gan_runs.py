"""Runs of the tiny generator, and what their pictures are compared with."""

from functools import cache

from common import checkpoint
from common.data import pictures
from common.run import Run, pick

import keras
import numpy as np
from tiny_gan import TinyGan

NAMES = ["zero", "one", "many"]


def make_model(**options):
    """A tiny model whose moving statistics are not those that it was built with."""
    keras.utils.set_random_seed(options.get("seed", 3))
    model = TinyGan(**pick(TinyGan, options))
    random = np.random.default_rng(8)
    for network in model.networks.values():
        for variable in network.non_trainable_variables:
            if "seed" not in variable.path:
                variable.assign(random.uniform(0.1, 0.4, variable.shape))
    return model


def make_run(folder, **options):
    """A run of 4 steps, as far as the verbs look at it."""
    run = Run(folder)
    run.write_config("tiny_gan", {"dataset": "here", "seed": 5} | options, {"train": "4 pictures"})
    checkpoint.save(run.checkpoints, 4, make_model(**options))
    return folder


@cache
def network_of(run):
    return Run(run).load_sampler(TinyGan)


def own_pictures(run, seed, count, labels=None):
    """What the run's network itself makes of the noise of a seed."""
    model = network_of(run)
    noise = model.latent.of_seed(seed, count).numpy()
    inputs = noise if labels is None else [noise, np.eye(3, dtype=np.float32)[labels]]
    return pictures.to_uint8(model.sampler(inputs, training=False))


def written(folder):
    return {path.name: pictures.read(path, 1) for path in sorted(folder.glob("*.png"))}


def assert_same(picture, expected):
    """Equal but for roundings on the edge between two grey levels."""
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= 1


def cells(grid, rows, columns, side=8):
    """The pictures in a grid: (rows, columns, side, side, C)."""
    assert grid.shape[:2] == (rows * (side + 2) + 2, columns * (side + 2) + 2)
    inner = grid[2:, 2:].reshape(rows, side + 2, columns, side + 2, -1)
    return inner.transpose(0, 2, 1, 3, 4)[:, :, :side, :side]
