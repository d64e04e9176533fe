"""Checkpoints: one file per step, written atomically.

A checkpoint is a NumPy archive `step_00001000.npz` with every variable of the model's `state`
under the key `group/number`. It is written to a temporary name and renamed, so a kill or a full
disk leaves the previous checkpoint untouched.
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.adversarial import Adversarial
from common.errors import DAMAGE, UserError, one_line
from common.io.atomic import atomic_file

import numpy as np


class NonFiniteState(Exception):
    """A variable holds NaN or infinity; the message names it and its group."""


def path_of(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}.npz"


def steps(folder: Path) -> list[int]:
    """Steps with a checkpoint in the folder, in ascending order."""
    names = (re.fullmatch(r"step_(\d+)\.npz", path.name) for path in folder.glob("step_*.npz"))
    return sorted(int(match[1]) for match in names if match)


def save(
    folder: Path,
    step: int,
    model: Adversarial,
    keep: int = 2,
    retained: tuple[int, ...] = (),
) -> Path:
    """Writes a checkpoint and deletes older ones.

    Args:
        folder: folder of the checkpoints.
        step: global steps done.
        model: model whose state is saved.
        keep: number of newest checkpoints to keep.
        retained: steps whose checkpoints are never deleted.

    Raises:
        NonFiniteState: the state holds NaN or infinity; nothing is written.
        UserError: the file cannot be written; the earlier checkpoints are untouched.
    """
    path = write(path_of(folder, step), model)
    for old in steps(folder)[:-keep]:
        if old not in retained:
            path_of(folder, old).unlink()
    return path


def write(path: Path, model: Adversarial) -> Path:
    """Writes the model's state to one file, atomically; raises as `save`."""
    arrays = {}
    for group, variables in model.state().items():
        for number, variable in enumerate(variables):
            array = arrays[f"{group}/{number:04d}"] = variable.numpy()
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise NonFiniteState(f"{group} ({variable.name})")
    kept = steps(path.parent)
    remedy = (
        f"step {kept[-1]} is kept: free disk space, then --resume" if kept else "free disk space"
    )
    with atomic_file(path, fsync=True, remedy=remedy) as part, open(part, "wb") as file:
        np.savez(file, **arrays)
    return path


def checksum(model: Adversarial) -> int:
    """Returns the CRC-32 of the model's state."""
    crc = 0
    for variables in model.state().values():
        for variable in variables:
            crc = zlib.crc32(np.ascontiguousarray(variable.numpy()), crc)
    return crc


def load(path: Path, model: Adversarial, networks: list[str] | None = None):
    """Loads a checkpoint into a model.

    Args:
        path: path of the checkpoint.
        model: model built with the options of the run.
        networks: names of the networks to load; default the whole state.

    Raises:
        UserError: the file is damaged or belongs to another model; the model is unchanged.
    """
    if networks is None:
        state = model.state()
    else:  # does not create the optimizers' variables
        state = {name: model.networks[name].variables for name in networks}
    with _opened(path) as archive:
        known = [key for key in archive.files if networks is None or key.split("/")[0] in state]
        values = {key: archive[key] for key in known}
    assign(path, state, values)


def assign(path: Path, state: dict[str, list], values: dict[str, np.ndarray]):
    """Assigns the arrays of a file to variables.

    Args:
        path: the file, for messages.
        state: variables by group.
        values: an array for each of them, under the key `group/number`.

    Raises:
        UserError: they do not fit; no variable is changed.
    """
    wanted = {
        f"{group}/{number:04d}": variable
        for group, variables in state.items()
        for number, variable in enumerate(variables)
    }
    if set(values) != set(wanted):
        raise UserError(f"{path}: a checkpoint of another model or with other options")
    for key, value in values.items():
        if value.shape != tuple(wanted[key].shape):
            raise UserError(
                f"{path}: {key} has shape {value.shape} instead of "
                f"{tuple(wanted[key].shape)}: a checkpoint of another model or with other options"
            )
    for key, value in values.items():
        wanted[key].assign(value)


def weights(path: Path) -> dict[str, list[np.ndarray]]:
    """The weights of each network in a checkpoint, in their order; no random states.

    Raises:
        UserError: the file is damaged.
    """
    found: dict[str, list[np.ndarray]] = {}
    with _opened(path) as archive:
        for key in sorted(archive.files):
            group = key.split("/")[0]
            if group == "model" or group.endswith("_optimizer"):
                continue
            array = archive[key]
            if is_weight(array):
                found.setdefault(group, []).append(array)
    return found


def is_weight(variable) -> bool:
    """Whether a variable of a network, or its array, is a weight rather than a random state."""
    return np.issubdtype(variable.dtype, np.floating)


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path) as archive:
            yield archive
    except DAMAGE as error:
        raise UserError(
            f"{path}: the checkpoint is damaged ({one_line(error)}); delete it to use the previous "
            "one"
        ) from error
