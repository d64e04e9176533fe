"""Checkpoints as bytes, for comparing runs."""

import numpy as np


def arrays(run, step):
    """Every array of a checkpoint by name, as bytes."""
    with np.load(run / "checkpoints" / f"step_{step:08d}.npz") as archive:
        return {key: archive[key].tobytes() for key in archive.files}
