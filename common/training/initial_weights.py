"""The weights that a new run starts from: random ones, those of its dataset, or of another run."""

from common.adversarial import Adversarial
from common.errors import UserError
from common.io.paths import full_path
from common.signatures import parameters
from common.training import checkpoint
from common.training.run_folder import Run

import keras
import numpy as np

NAMED = 3  # arrays that do not fit, by network; the others are counted


def begin(model: Adversarial, data, init_from: str | None = None, options: dict | None = None):
    """Sets the weights of a new run.

    Args:
        model: model with its random weights.
        data: dataset of the run.
        init_from: folder of a run from which the networks' weights are taken where they fit.
        options: options of the new run, to be compared with those of `init_from`.

    Raises:
        UserError: the plan's initial run or `init_from` is no run of this model, or one with other
            networks.
    """
    model.initialize(data)
    plan = model.plan
    if plan.initial_run is not None:
        if init_from:
            raise UserError(
                f"--init_from {init_from}: the run starts from {plan.initial_run}; give one of both"
            )
        run = Run.in_folder(plan.initial_run, model.name)
        step = plan.initial_step(run.config()["options"], run.step())
        checkpoint.load(run.checkpoint_file(step=step), model, ["generator"])
    for average in model.averages.values():
        average.restart()
    if init_from:
        _take_weights(model, source_of(init_from, model.name), options or {})


def source_of(init_from: str, model_name: str) -> Run:
    """The run of --init_from, with its full path.

    Raises:
        UserError: there is no such run of this model, or it has no checkpoint.
    """
    try:
        run = Run.in_folder(full_path(init_from), model_name)
        run.checkpoint_file()
    except UserError as error:
        raise UserError(f"--init_from {error}") from error
    return run


def _take_weights(model: Adversarial, source: Run, options: dict):
    """Takes the weights of another run's networks, and prints what does not fit.

    Raises:
        UserError: nothing fits in the networks that make images.
    """
    stored = checkpoint.weights(source.checkpoint_file())
    averages = {f"average_{name}": average for name, average in model.averages.items()}
    fitting, misfits = set(), []
    for name, network in model.networks.items():  # averages come last
        if name in averages:
            averages[name].restart()  # from the weights that its network has now
            if name not in stored:
                continue
        count, misfit = _take(network, stored.get(name))
        if count:
            fitting.add(id(network))
        if misfit:
            misfits.append(f"{name} ({misfit})")
    misfits += [f"{name} (not in this model)" for name in stored if name not in model.networks]
    there = " ".join(_other_options(model, source, options))
    named = ", ".join(misfits) + (f"; options there: {there}" if there else "")
    averaged = {id(each.average): each.network for each in model.averages.values()}
    makers = [averaged.get(id(network), network) for network in model.sampling_networks]
    if not any(id(network) in fitting for network in makers):
        raise UserError(f"--init_from {source.folder}: other networks: {named}; use its options")
    left = f"; not taken, so new: {named}" if misfits else ""
    print(f"weights of {source.folder}, step {source.step()}{left}", flush=True)


def _take(network: keras.Model, values: list[np.ndarray] | None) -> tuple[int, str]:
    """Assigns arrays to a network's weights where the shapes are equal.

    Returns:
        The number of weights assigned, and what differs; empty if nothing does.
    """
    weights = [v for v in network.variables if checkpoint.is_weight(v)]
    if values is None:
        return 0, "not in that run"
    if len(values) != len(weights):
        return 0, f"{len(values)} arrays there, {len(weights)} here"
    others = []
    for weight, value in zip(weights, values, strict=True):
        if weight.shape == value.shape:
            weight.assign(value)
        else:
            others.append(f"{weight.path} {value.shape} there, {tuple(weight.shape)} here")
    more = [f"{len(others) - NAMED} more arrays"] if len(others) > NAMED else []
    return len(weights) - len(others), ", ".join(others[:NAMED] + more)


def _other_options(model: Adversarial, source: Run, options: dict) -> list[str]:
    """The model's options that the other run had other values of, with these."""
    before = source.config()["options"]
    shared = [name for name in parameters(type(model)) if name in before.keys() & options.keys()]
    return [f"--{name} {before[name]}" for name in shared if before[name] != options[name]]
