"""Models that stay in memory between calls of a verb."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from common.adversarial import Adversarial

LOADERS = ("load", "sampler", "translator", "upscaler", "inpainter")  # methods of tasks


def keep_models(task):
    """Makes a task load each model once and use it for all further calls.

    Options of a call, such as a truncation, may set variables of the model that training does not
    update; they get their first values again before the next call.
    """
    for name in LOADERS:
        if loader := getattr(task, name, None):
            setattr(task, name, _kept(loader))


def _kept(loader: Callable[..., Any]) -> Callable[..., Any]:
    kept: dict[str, tuple[Any, list]] = {}

    @wraps(loader)
    def load(*arguments, **options):
        key = repr((arguments, options))
        if key not in kept:
            loaded = loader(*arguments, **options)
            kept[key] = loaded, [(v, v.numpy()) for v in _variables(loaded)]
        loaded, values = kept[key]
        for variable, value in values:
            variable.assign(value)
        return loaded

    return load


def _variables(loaded) -> list:
    """The variables, other than trained weights, of a model or of what draws with one."""
    model = loaded if isinstance(loaded, Adversarial) else getattr(loaded, "model", None)
    networks = [] if model is None else model.sampling_networks
    return [v for network in networks for v in network.non_trainable_variables]
