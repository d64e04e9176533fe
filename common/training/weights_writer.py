"""Writes the weights of a run's networks to a file that others can use: see `io.weights_file`."""

import os
from pathlib import Path
from typing import Literal

from common.adversarial import Adversarial
from common.data.sources.super_resolution import parts_of
from common.errors import UserError
from common.io import records, weights_file
from common.training.run_data import PLACES
from common.training.run_folder import Run

import numpy as np

Networks = Literal["sampling", "all"]
_OF_THE_RUN = {"run", "resume", "init_from", "data_dir"}  # mean nothing elsewhere


def write(
    path: Path,
    run: Run,
    model: Adversarial,
    step: int,
    networks: Networks = "sampling",
    check: dict | None = None,
):
    """Writes a weights file.

    Beside what rebuilds the model it notes `measured`, the run's evaluation.json if that is of the
    same weights; `check`; and data and versions from the run's config.json.

    Args:
        path: the file; its folder is created.
        run: the run.
        model: its model with the weights to write.
        step: step of the checkpoint of these weights.
        networks: "sampling" for those that make images; "all" for the discriminators too, and
            whatever else the model has. Of a network with an average there is the average alone.
        check: measurements that a copy can be compared with.

    Raises:
        UserError: a weight is too large for float16, or the file cannot be written.
    """
    config = run.config()
    network = "average" if model.averaged else "generator"
    options = shared_options(config["options"])
    if "ema" in options and not model.averaged:
        options["ema"] = 0.0  # the model then has no average
    about = {
        "model": model.name,
        "step": step,
        "network": network,
        "options": options,
        "data": config.get("data", {}),
        "versions": config.get("versions", {}),
        "measured": _measured(run, step, network),
        "check": check or {},
    }
    arrays = {
        f"{name}/{number:04d}": weights_file.rounded(variable.numpy())
        for name in chosen(model, networks)
        for number, variable in enumerate(model.networks[name].variables)
    }
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"{key} of {run.folder} has values out of the range of float16")
    weights_file.write(path, records.nan_to_none(about), arrays)


def chosen(model: Adversarial, networks: Networks) -> list[str]:
    """Names of the networks to write."""
    if networks == "sampling":
        sampling = {id(each) for each in model.sampling_networks}
        return [name for name, each in model.networks.items() if id(each) in sampling]
    return [name for name in model.networks if f"average_{name}" not in model.networks]


def shared_options(options: dict) -> dict:
    """Those options of a run that mean the same elsewhere: no folders of this machine."""

    def is_folder(name: str) -> bool:
        value = options[name]
        return name in PLACES and bool(value) and any(map(os.path.isabs, parts_of(value)))

    return {k: v for k, v in options.items() if k not in _OF_THE_RUN and not is_folder(k)}


def _measured(run: Run, step: int, network: str) -> dict:
    """The run's evaluation, if it was of these weights."""
    report = records.read_json(run.evaluation_file)
    return report if (report.get("step"), report.get("network")) == (step, network) else {}
