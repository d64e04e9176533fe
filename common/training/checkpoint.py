"""Checkpoints: one file a step, whole or not there at all.

A checkpoint is a NumPy archive `step_00001000.npz` with every variable of the model's `state`
under the key `group/number`. It is written to a temporary name and renamed, so a kill or a full
disk leaves the one before it untouched.
"""

import re
import zlib
from pathlib import Path

from common.adversarial import Adversarial
from common.errors import DAMAGE, UserError, one_line
from common.io.atomic import atomic_file

import numpy as np


class NotFinite(Exception):
    """A variable holds NaN or infinity; the message names its group."""


def path_of(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}.npz"


def steps(folder: Path) -> list[int]:
    """Steps of which the folder has a checkpoint, in order."""
    names = (re.fullmatch(r"step_(\d+)\.npz", path.name) for path in folder.glob("step_*.npz"))
    return sorted(int(match[1]) for match in names if match)


def save(
    folder: Path,
    step: int,
    model: Adversarial,
    keep: int = 2,
    spared: tuple[int, ...] = (),
) -> Path:
    """Writes the model's state after `step` steps, then drops all but the newest `keep`.

    Those of the steps in `spared` stay.

    Raises:
        NotFinite: the state holds NaN or infinity; nothing is written.
        UserError: the file cannot be written; the earlier checkpoints are untouched.
    """
    path = write(path_of(folder, step), model)
    for old in steps(folder)[:-keep]:
        if old not in spared:
            path_of(folder, old).unlink()
    return path


def write(path: Path, model: Adversarial) -> Path:
    """Writes the model's state to one file, whole or not at all; raises as `save`."""
    arrays = {}
    for group, variables in model.state().items():
        for number, variable in enumerate(variables):
            array = arrays[f"{group}/{number:04d}"] = variable.numpy()
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise NotFinite(f"{group} ({variable.name})")
    kept = steps(path.parent)
    remedy = f"step {kept[-1]} is kept: make room, then --resume" if kept else "make room"
    with atomic_file(path, fsync=True, remedy=remedy) as part, open(part, "wb") as file:
        np.savez(file, **arrays)
    return path


def digest(model: Adversarial) -> int:
    """A number that tells the model's state from others."""
    crc = 0
    for variables in model.state().values():
        for variable in variables:
            crc = zlib.crc32(np.ascontiguousarray(variable.numpy()), crc)
    return crc


def load(path: Path, model: Adversarial, networks: list[str] | None = None):
    """Reads variables from a checkpoint into the model.

    Args:
        path: the checkpoint.
        model: a model built with the options of the run.
        networks: names of those to read; default the whole state.

    Raises:
        UserError: the file is damaged or belongs to another model; the model is unchanged then.
    """
    if networks is None:
        state = model.state()
    else:  # the optimizers need not be made for it
        state = {name: model.networks[name].variables for name in networks}
    wanted = {
        f"{group}/{number:04d}": variable
        for group, variables in state.items()
        for number, variable in enumerate(variables)
    }
    try:
        with np.load(path) as archive:
            known = [key for key in archive.files if networks is None or key.split("/")[0] in state]
            if set(known) != set(wanted):
                raise UserError(f"{path}: a checkpoint of another model or of other options")
            values = {key: archive[key] for key in wanted}
    except DAMAGE as error:
        raise UserError(
            f"{path}: the checkpoint is damaged ({one_line(error)}); remove it to use the one "
            "before it"
        ) from error
    for key, value in values.items():
        if value.shape != tuple(wanted[key].shape):
            raise UserError(
                f"{path}: {key} has shape {value.shape}, this model's is "
                f"{tuple(wanted[key].shape)}: a checkpoint of another model or of other options"
            )
    for key, value in values.items():
        wanted[key].assign(value)
