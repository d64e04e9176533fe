"""The command line: train and the verbs of tasks, built from signatures and docstrings."""

import inspect
import sys
from argparse import ArgumentError
from dataclasses import fields, is_dataclass
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path

from common import option_errors, recipes
from common.adversarial import Adversarial
from common.errors import UserError
from common.io import weights_file
from common.io.paths import expanded, full_path
from common.training.initial_weights import source_of
from common.training.options import FREE_ON_RESUME, TrainingOptions
from common.training.run_folder import Run
from common.training.train import train

import docstring_parser
import tensorflow as tf
from jsonargparse import ArgumentParser, DefaultHelpFormatter

EXAMPLES, RECIPES = "examples:", "recipes:"
BOOLEANS = {"true", "false", "True", "False", "yes", "no"}  # optional value after a flag
VERBS = ("train", "predict", "evaluate", "export", "demo")
LENGTHS = {"--epochs", "--steps"}
WEIGHTS = "--weights"


def main(
    model_class: type[Adversarial],
    task_class: type,
    *capabilities: type,
    arguments: list[str] | None = None,
):
    """Runs the command line of a model; an error that the user can fix exits with status 2.

    Args:
        model_class: the model; the parameters of its constructor are options of `train`.
        task_class: its task (data, samples, verbs), created as task_class(model_class,
            capabilities).
        capabilities: what the model can do besides the task.
        arguments: command-line arguments; default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, TextIOWrapper):  # an arrow or a file name may not be in its encoding
        sys.stdout.reconfigure(errors="replace")
    file = _file(model_class)
    program = f"python3 {file.parent.name}/{file.name}"
    task = task_class(model_class, capabilities)
    try:
        verb, rest = _verb(arguments)
        if verb == "train":
            _train(model_class, task, program, rest)
        else:
            call(getattr(task, verb), program, rest)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        remedy = "use a smaller --tile, --count, --batch_size or --width"
        print(f"error: out of memory; {remedy}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _verb(arguments: list[str]) -> tuple[str, list[str]]:
    """Splits the arguments into the verb, by default train, and the others."""
    if not arguments or arguments[0].startswith("-"):
        return "train", arguments
    if arguments[0] not in VERBS:
        raise UserError(f"{arguments[0]}: give {', '.join(VERBS)} or an option")
    return arguments[0], arguments[1:]


# train


def train_parser(model_class: type, task, program: str) -> ArgumentParser:
    """Returns the parser of train, with the options of the run, the model and its data.

    An option that several of them have is shown once.
    """
    own = sys.modules[model_class.__module__].__doc__ or ""
    examples = [line.strip() for line in own.splitlines() if line.strip().startswith("python3 ")]
    known = recipes.named(_file(model_class))
    listed = {name: recipes.summary(file) for name, file in known.items()}
    plain = f"Without --dataset and --config, the recipe {recipes.PLAIN} is used. "
    parser = _parser(
        program,
        f"Trains {model_class.__name__}. {plain if recipes.PLAIN in known else ''}Other verbs: "
        "predict, evaluate, export and demo; for their options: predict --help, ...",
        [*examples, "{program} --resume --run RUN"],
        usage=f"{program} [train] [OPTION ...]",
        listed=listed,
    )
    parser.add_argument(
        "--config",
        help="recipe by name, YAML file with one `option: value` per line, or config.json of a "
        "run; options on the command line take precedence",
    )
    seen: set[str] = set()
    not_options = {*task.data.model_arguments, *model_class.unused_options}
    for source in (TrainingOptions, model_class, task.data):
        skip = seen | (not_options if source is model_class else set())
        seen.update(parser.add_class_arguments(source, skip=skip))
    parser.set_defaults(model_class.defaults)
    return parser


def train_options(parser: ArgumentParser, model_class: type, task, arguments: list[str]) -> dict:
    """Returns the options of train: those given, over those of a recipe, over the defaults.

    The recipe is that of --config, or the model's plain recipe if no other dataset is named.
    """
    options = _parse(parser, arguments)
    arguments = _without_other_length(arguments)
    decided_by_data = ("class_names", *task.data.model_arguments)
    recipe = recipes.choose(_file(model_class), options, decided_by_data)
    if recipe:
        try:
            _parse(parser, recipe.arguments)
        except UserError as error:
            raise UserError(f"{recipe.file}: {error}") from error
        arguments = [*_without_other_length(recipe.arguments), *arguments]
    options = _parse(parser, arguments)
    del options["config"]
    return options


def _without_other_length(arguments: list[str]) -> list[str]:
    """Returns the arguments, in which --epochs alone overrules --steps said elsewhere, or reverse.

    Elsewhere is a recipe, the model's defaults or the run that is resumed.
    """
    given = {argument.partition("=")[0] for argument in arguments}
    others = LENGTHS - given
    return [f"{other}=null" for other in others if len(others) == 1] + arguments


def _file(model_class: type) -> Path:
    return Path(inspect.getfile(model_class))


def _train(model_class: type, task, program: str, arguments: list[str]):
    name = _file(model_class).stem
    parser = train_parser(model_class, task, program)
    options = train_options(parser, model_class, task, arguments)
    if not options["resume"]:
        if options["init_from"]:
            options["init_from"] = str(source_of(options["init_from"], name).folder)
        return train(model_class, task, Run.new(options["run"], name), options)

    run = Run.in_folder(options["run"], name)
    before = model_class.earlier_defaults | run.config()["options"]
    parser.set_defaults({name: value for name, value in before.items() if name in options})
    options = train_options(parser, model_class, task, arguments)
    if options["init_from"]:
        options["init_from"] = full_path(options["init_from"])
    _check_resumed(options, {"init_from": None} | before, model_class.length_options)
    train(model_class, task, run, options)


def _check_resumed(options: dict, before: dict, length_options: tuple[str, ...]):
    """Raises a UserError for an option of a resumed run that would change its weights."""
    for option in before.keys() & options.keys() - FREE_ON_RESUME - {*length_options}:
        if options[option] != before[option]:
            raise UserError(
                f"--{option} {options[option]}: the run was started with {before[option]}; leave "
                "the option out to resume it, or start a new run"
            )


# The other verbs


def verb_parser(verb, program: str) -> ArgumentParser:
    """Returns the parser of a verb, a bound method of a task.

    Positional-only parameters are positional arguments: list[str] takes one or more,
    list[str] | None any number, str | None at most one; one that no docstring describes is left
    out. A parameter that is a dataclass stands for one option per field. All others are options.
    The task's `docstrings` for the verb give the help; their examples end it.
    """
    docs = [docstring_parser.parse(text) for text in verb.__self__.docstrings(verb.__name__)]
    parser = _parser(
        f"{program} {verb.__name__}",
        "\n\n".join(_paragraph(each) for each in docs),
        [line for each in docs for e in each.examples for line in e.description.splitlines()],
        program,
    )
    positional, groups = _positional(verb), _groups(verb)
    helps = {p.arg_name: p.description for each in docs for p in each.params}
    numbers = {
        list[str]: {"nargs": "+"},
        list[str] | None: {"nargs": "*", "default": None},
        str | None: {"nargs": "?", "default": None},
    }
    for name, annotation in positional.items():
        if name in helps:
            number = numbers.get(annotation, {})
            parser.add_argument(name, metavar=name.upper(), help=helps[name], **number)
    parser.add_argument(
        WEIGHTS, metavar="WEIGHTS", help="trained weights, instead of RUN: " + _weights(verb)
    )
    parser.add_method_arguments(
        type(verb.__self__), verb.__name__, as_group=False, skip={*positional, *groups}
    )
    for group in groups.values():
        parser.add_class_arguments(group)
    return parser


def verb_options(parser: ArgumentParser, arguments: list[str]) -> dict:
    """Returns the parsed options of a verb, with the value of --weights as its RUN."""
    first, rest = [], []
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option == WEIGHTS:
            first = [value if equals else next(words, WEIGHTS)]
        else:
            rest.append(word)
    options = _parse(parser, first + rest)
    del options[WEIGHTS.strip("-")]
    return options


def _weights(verb) -> str:
    """Returns what can be given as trained weights, for the help of a verb."""
    names = "".join(f"{name}, " for name in weights_file.named(verb.__self__.name))
    return f"{names}a file by export --format weights, or its URL; RUN takes them too"


def _positional(verb) -> dict[str, type]:
    """Returns the positional-only parameters of a verb, by name, with their types."""
    parameters = inspect.signature(verb).parameters.values()
    return {p.name: p.annotation for p in parameters if p.kind is p.POSITIONAL_ONLY}


def _groups(verb) -> dict[str, type]:
    """Returns the parameters of a verb that are dataclasses, by name, with the class to use."""
    parameters = inspect.signature(verb).parameters.values()
    groups = {p.name: p.annotation for p in parameters if is_dataclass(p.annotation)}
    replaced = verb.__self__.option_groups
    return {name: replaced.get(group, group) for name, group in groups.items()}


def call(verb, program: str, arguments: list[str]):
    """Calls a verb, a bound method of a task, with its parameters from a command line.

    Raises:
        UserError: an argument is unknown or ill-typed, or as the verb.
    """
    options = verb_options(verb_parser(verb, program), arguments)
    given = [options.pop(name) for name in _positional(verb) if name in options]
    given = [None if value == [] else value for value in given]
    for name, group in _groups(verb).items():
        options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
    verb(*given, **options)


# Parsers


class _Formatter(DefaultHelpFormatter):
    """Keeps the lines of examples and recipes, and paragraphs apart."""

    def _fill_text(self, text, width, indent):
        if text.startswith((EXAMPLES, RECIPES)):
            return text
        fill = super()._fill_text
        return "\n\n".join(fill(each, width, indent) for each in text.split("\n\n"))


def _parser(
    prog: str,
    description: str,
    examples: list[str],
    program: str | None = None,
    usage: str | None = None,
    listed: dict[str, str] | None = None,
) -> ArgumentParser:
    """Returns an empty parser; {program} and {model} in the texts are replaced.

    The help ends with the recipes in `listed`, summaries by name, and the examples.
    """
    program = program or prog
    longest = max(map(len, listed or [""]))
    lines = [f"  {name:{longest}}  {text}" for name, text in (listed or {}).items()]
    epilog = "\n".join([RECIPES, *lines, "", ""]) if lines else ""
    if examples:
        epilog += "\n".join([EXAMPLES, *(f"  {line}" for line in examples)])

    def filled(text: str) -> str:
        return text.replace("{program}", program).replace("{model}", Path(program).stem)

    return ArgumentParser(
        prog=prog,
        usage=usage,
        description=filled(description),
        epilog=filled(epilog),
        formatter_class=_Formatter,
        exit_on_error=False,
        allow_abbrev=False,
    )


def _paragraph(doc: docstring_parser.Docstring) -> str:
    """Returns the summary and the description of a docstring as one paragraph."""
    return " ".join(filter(None, (doc.short_description, doc.long_description)))


def _parse(parser: ArgumentParser, arguments: list[str]) -> dict:
    """Returns the parsed options.

    A flag may stand alone, as in --resume for --resume true, and ~ is the home folder also where
    no shell has replaced it.
    """
    flags = {f"--{a.dest}" for a in parser._actions if getattr(a, "_typehint", None) is bool}
    spelled = [
        f"{argument}=true" if argument in flags and following not in BOOLEANS else argument
        for argument, following in pairwise([*arguments, "--"])
    ]
    try:
        options = parser.parse_args(spelled).as_dict()
    except ArgumentError as error:
        raise option_errors.explained(error, parser, arguments) from error
    return {name: expanded(value) for name, value in options.items()}
