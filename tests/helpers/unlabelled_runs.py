"""Runs of untrained models on a few images without labels, for which no classifier is trained."""

from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.run_folder import Run

import numpy as np


def run_of(folder, model, x_train, x_test, name, **options) -> Run:
    """A run of 4 steps with the model's weights; `name` is that of the model's file.

    Args:
        folder: folder for the dataset and the run.
        model: model for the images.
        x_train, x_test: uint8 (N, S, S).
        options: the constructor's options that are not the dataset's.
    """
    np.savez(folder / "images.npz", x_train=x_train, x_test=x_test)
    data = data_of(folder)
    run = Run(folder / "run")
    run.write_config(name, {"seed": 5} | data.found | options, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model)
    return run


def data_of(folder):
    """The dataset of `run_of`."""
    return Generation.data(seed=5, dataset=str(folder / "images.npz"))
