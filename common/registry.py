"""The models of the zoo, found by the layout: NAME/NAME.py. A new folder joins by being there.

For what goes through all of them, tests and benchmarks; no model imports this.
"""

import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from common import cli
from common.adversarial import Adversarial
from common.errors import UserError
from common.training.run_folder import pick

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
# Options that make a model small, as far as it has them.
SMALL = {
    "width": 4,
    "blocks": 1,
    "pool_size": 6,  # full before a short run ends
    "pretrain_steps": 2,  # so that it reaches the next stage
    "content": "mse",  # which asks for no download
    "hidden": 8,
    "dense_units": 8,
    "batch_size": 4,
}
SIZES = (16, 32)  # px; the first one that a model accepts


def chosen(names: str, known: Iterable[str], option: str = "model") -> list[str]:
    """What an option asks for, models as a rule: one, several with commas between, or "all".

    Raises:
        UserError: one of them is not known.
    """
    if names == "all":
        return list(known)
    asked = [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in known:
            raise UserError(f"--{option} {name}: choose from {', '.join(known)}, or give all")
    return asked


def classes(name: str) -> tuple[type[Adversarial], type]:
    """The model's class and its task's, as its last lines hand them to the command line."""
    module = importlib.import_module(f"{name}.{name}")
    found = [value for value in vars(module).values() if inspect.isclass(value)]
    (model,) = (
        each
        for each in found
        if issubclass(each, Adversarial) and each.__module__ == module.__name__
    )
    (task,) = (each for each in found if hasattr(each, "export_trained"))
    return model, task


@cache
def small_options(model: type[Adversarial], task: type) -> str:
    """Options of `train` that make a model small, in the form of a command line."""
    parser = cli.train_parser(model, task(model), "")
    known = {action.dest for action in parser._actions}
    small = {name: value for name, value in SMALL.items() if name in known}
    if "image_size" in known:
        small["image_size"] = next(size for size in SIZES if _accepts(model, size, small))
    return " ".join(f"--{name} {value}" for name, value in small.items())


def _accepts(model: type[Adversarial], image_size: int, options: dict) -> bool:
    try:
        model(**pick(model, options | {"image_size": image_size}))
    except UserError:
        return False
    return True
