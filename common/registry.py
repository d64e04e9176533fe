"""The models of the zoo, found by the layout NAME/NAME.py: a new folder joins by being there.

For tests and benchmarks that go through all models; no model imports this.
"""

import ast
import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from common import cli
from common.adversarial import Adversarial
from common.errors import UserError
from common.signatures import pick

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
# Values that make a model small, for the options that it has.
SMALL = {
    "width": 4,
    "blocks": 1,
    "pool_size": 6,  # full before a short run ends
    "pretrain_steps": 2,  # a short run reaches the next stage
    "coarse_steps": 2,
    "band_steps": 2,
    "content": "mse",  # needs no download
    "hidden": 8,
    "dense_units": 8,
    "units": 8,
    "maxout_units": 4,
    "code_size": 8,
    "halve_every": 2,
    "discriminators": 2,
    "generators": 2,
    "base_maps": 32,
    "max_maps": 8,
    "stable_images": 8,  # two steps
    "fade_images": 8,
    "batch_size": 4,
}
SIZES = (16, 32)  # px; the first one that a model accepts


def chosen(names: str, known: Iterable[str], option: str = "model") -> list[str]:
    """Returns the names that an option selects: one, several separated by commas, or "all".

    Raises:
        UserError: one of them is not known.
    """
    if names == "all":
        return list(known)
    selected = [name.strip() for name in names.split(",")]
    for name in selected:
        if name not in known:
            raise UserError(f"--{option} {name}: choose from {', '.join(known)}, or give all")
    return selected


def file_of(name: str) -> Path:
    """Returns the Python file of a model."""
    return ROOT / name / f"{name}.py"


def entry(name: str) -> list[type]:
    """Returns what the model's file hands to `cli.main`: the model, its task and capabilities."""
    module = importlib.import_module(f"{name}.{name}")
    calls = (n for n in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(n, ast.Call))
    (arguments,) = (call.args for call in calls if ast.unparse(call.func) == "cli.main")
    return [getattr(module, argument.id) for argument in arguments]


def task_of(name: str):
    """Returns a model's task, with its capabilities."""
    model_class, task_class, *capabilities = entry(name)
    return task_class(model_class, capabilities)


@cache
def small_options(model_class: type[Adversarial], task_class: type, *_capabilities: type) -> str:
    """Returns options of `train` that make a model small, as written on a command line."""
    parser = cli.train_parser(model_class, task_class(model_class), "")
    known = {action.dest for action in parser._actions}
    small = {name: value for name, value in SMALL.items() if name in known}
    if "image_size" in known:
        small["image_size"] = next(size for size in SIZES if _accepts(model_class, size, small))
    return " ".join(f"--{name} {value}" for name, value in small.items())


def _accepts(model_class: type[Adversarial], image_size: int, options: dict) -> bool:
    try:
        model_class(**pick(model_class, options | {"image_size": image_size}))
    except UserError:
        return False
    return True
