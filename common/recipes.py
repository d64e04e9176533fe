"""Recipes: options of measured runs by name, in `MODEL/recipes/NAME.yaml`.

A recipe has one `option: value` per line, written as on the command line, below a comment that
says what the run gives, what it costs and on which data. The first line of the comment is the
summary that --help lists. YAML files of a user's own and the config.json of a run are read too.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError, one_line, reason_of

import yaml

PLAIN = "mnist"  # where a model has it, the recipe of the command without options
NOT_IN_RECIPES = ("config", "run", "resume")  # said on the command line only


class Recipe(NamedTuple):
    """Options that a file gives.

    Attributes:
        file: the file.
        options: values by option, written as on the command line.
    """

    file: Path
    options: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        """The options as command-line arguments."""
        return [f"--{name}={value}" for name, value in self.options.items()]


def named(model_file: Path) -> dict[str, Path]:
    """Returns the files of a model's recipes, by name; the model is in `model_file`."""
    folder = model_file.resolve().parent / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def summary(file: Path) -> str:
    """Returns the first line of a recipe's comment."""
    return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def choose(model_file: Path, given: dict, decided: Iterable[str]) -> Recipe | None:
    """Returns the recipe of --config, or the plain one where neither it nor other data is named.

    Args:
        model_file: Python file of the model.
        given: options of `train`, from the command line or their defaults.
        decided: what the dataset decides; a run's config.json holds it, but it is no option.

    Raises:
        UserError: there is no such recipe or file, or it cannot be used.
    """
    known, config = named(model_file), given["config"]
    decided = set(decided) - given.keys()
    if config is not None:
        return read(_find(config, model_file), model_file.stem, given.keys(), decided)
    if given["resume"] or PLAIN not in known:
        return None
    recipe = read(known[PLAIN], model_file.stem, given.keys(), decided)
    dataset = recipe.options.pop("dataset")  # nobody named it: if it is missing, another will do
    if given["dataset"] not in (None, dataset):
        return None
    print(f"recipe {PLAIN}: {summary(recipe.file)} (--help lists the recipes)", flush=True)
    return recipe


def _find(config: str, model_file: Path) -> Path:
    known = named(model_file)
    if config in known:
        return known[config]
    if not Path(config).is_file():
        names = ", ".join(known) or "none"
        raise UserError(
            f"--config {config}: no such recipe or file (recipes of {model_file.stem}: {names})"
        )
    return Path(config)


def read(
    file: Path, model_name: str, options: Collection[str], decided: Collection[str] = ()
) -> Recipe:
    """Reads a recipe, or the options in a run's config.json.

    Args:
        file: path of the file.
        model_name: name of the model; a run of another one is refused.
        options: names of the options of `train`.
        decided: names in a config.json that are left out, as those in `NOT_IN_RECIPES` are.

    Raises:
        UserError: the file cannot be read, or is not a list of options with one value each.
    """
    values = _mapping(file)
    if isinstance(values.get("options"), dict):  # the config.json of a run
        if values.get("model") != model_name:
            raise UserError(f"{file}: of a run of {values.get('model')}, not of {model_name}")
        left_out = {*decided, *NOT_IN_RECIPES}
        values = {name: value for name, value in values["options"].items() if name not in left_out}
    for name, value in values.items():
        if name in NOT_IN_RECIPES:
            raise UserError(f"{file}: {name}: give --{name} on the command line")
        if name not in options:
            raise UserError(f"{file}: {name}: no option of train (--help lists the options)")
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            values[name] = json.dumps(value)  # such as the names of classes
        elif not isinstance(value, str):
            raise UserError(f"{file}: {name}: give one value")
    return Recipe(file, values)


def _mapping(file: Path) -> dict:
    """The content of a YAML or JSON file, with every value as the text that stands there."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({reason_of(error)})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not a YAML file ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: give one `option: value` per line")
    return content
