"""Runs of the tiny generator, and the images they are expected to give."""

from functools import cache

from common.images import image_file
from common.signatures import pick
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.tiny_gan import TinyGan

import keras
import numpy as np

NAMES = ["zero", "one", "many"]


def make_model(**options):
    """A tiny model whose moving statistics differ from their initial values."""
    keras.utils.set_random_seed(options.get("seed", 3))
    model = TinyGan(**pick(TinyGan, options))
    random = np.random.default_rng(8)
    for network in model.networks.values():
        for variable in network.non_trainable_variables:
            if "seed" not in variable.path:
                variable.assign(random.uniform(0.1, 0.4, variable.shape))
    return model


def make_run(folder, **options):
    """A run of 4 steps with all that the verbs read of one."""
    run = Run(folder)
    run.write_config("tiny_gan", {"dataset": "here", "seed": 5} | options, {"train": "4 images"})
    checkpoint.save(run.checkpoints, 4, make_model(**options))
    return folder


@cache
def network_of(run):
    return Run(run).load_sampler(TinyGan)


def own_images(run, seed, count, labels=None):
    """Images of the run's own network from the noise of a seed."""
    model = network_of(run)
    noise = model.latent.of_seed(seed, count).numpy()
    inputs = noise if labels is None else [noise, np.eye(3, dtype=np.float32)[labels]]
    return image_file.to_uint8(model.sampler(inputs, training=False))


def written(folder):
    return {path.name: image_file.read(path, 1) for path in sorted(folder.glob("*.png"))}


def assert_same(image, expected):
    """Asserts equality up to one grey level of rounding."""
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


def cells(grid, rows, columns, side=8):
    """The images in a grid, without text on the left and above: (rows, columns, side, side, C)."""
    grid = grid[-rows * (side + 2) - 2 :, -columns * (side + 2) - 2 :]
    assert grid.shape[:2] == (rows * (side + 2) + 2, columns * (side + 2) + 2)
    inner = grid[2:, 2:].reshape(rows, side + 2, columns, side + 2, -1)
    return inner.transpose(0, 2, 1, 3, 4)[:, :, :side, :side]
