"""The command line: train, predict, evaluate and export, built from the classes' signatures."""

import inspect
import sys
from argparse import ArgumentError
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path

from common.adversarial import Adversarial
from common.data.sources.super_resolution import parts_of
from common.errors import UserError, one_line
from common.training.options import FREE_ON_RESUME, TrainingOptions
from common.training.run_folder import Run, parameters
from common.training.train import train

import docstring_parser
import tensorflow as tf
from jsonargparse import ArgumentParser, DefaultHelpFormatter

EXAMPLES = "examples:"
TRUTHS = {"true", "false", "True", "False", "yes", "no"}  # what may follow a flag
VERBS = ("train", "predict", "evaluate", "export")


def main(model_class: type[Adversarial], task_class: type, arguments: list[str] | None = None):
    """Runs the command line of one model; where something is wrong, says it and exits with 2.

    Args:
        model_class: the model; its constructor's parameters are options of `train`.
        task_class: its data, samples and verbs, made from the model's class.
        arguments: default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    file = Path(inspect.getfile(model_class))
    program = f"python3 {file.parent.name}/{file.name}"
    task = task_class(model_class)
    try:
        verb, rest = _verb(arguments)
        if verb == "train":
            _train(model_class, task, program, file.stem, rest)
        else:
            _call(getattr(task, verb), program, rest)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        print(
            "error: out of memory; ask for less: a smaller --tile, --count, --width",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _verb(arguments: list[str]) -> tuple[str, list[str]]:
    """The verb, train if none is named, and what follows it."""
    if not arguments or arguments[0].startswith("-"):
        return "train", arguments
    if arguments[0] not in VERBS:
        raise UserError(f"{arguments[0]}: give {', '.join(VERBS)} or an option")
    return arguments[0], arguments[1:]


def train_parser(model_class: type, task, program: str) -> ArgumentParser:
    """Options of the run, the model and its data; each option stands in one place only."""
    own = sys.modules[model_class.__module__].__doc__ or ""
    examples = [line.strip() for line in own.splitlines() if line.strip().startswith("python3 ")]
    parser = ArgumentParser(
        prog=f"{program} [train|predict|evaluate|export]",
        description="Without a verb: train. For the options of the others: predict --help, ...",
        epilog=_epilog([*examples, "{program} --resume --run RUN"], program),
        formatter_class=_Formatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    seen: set[str] = set()
    hidden = set(task.data.model_arguments)
    for source, skip in ((TrainingOptions, set()), (model_class, hidden), (task.data, set())):
        parser.add_class_arguments(source, skip=seen | skip)
        seen |= set(parameters(source)) - skip
    parser.set_defaults(model_class.defaults)
    return parser


def _train(model_class: type, task, program: str, name: str, arguments: list[str]):
    parser = train_parser(model_class, task, program)
    options = _parse(parser, arguments)
    if not options["resume"]:
        return train(model_class, task, Run.new(options["run"], name), options)

    run = Run.open(options["run"], name)
    before = run.config()["options"]
    parser.set_defaults({name: value for name, value in before.items() if name in options})
    options = _parse(parser, arguments)
    free = FREE_ON_RESUME
    if before["schedule"] != "constant":  # its course depends on where the run ends
        free = free - {"epochs", "steps"}
    if options["dataset"] != before["dataset"]:
        options["dataset"] = as_stored(options["dataset"])
    for option in before.keys() & options.keys() - free:
        if options[option] != before[option]:
            raise UserError(
                f"--{option} {options[option]}: the run was begun with {before[option]}; "
                "leave the option out to go on, or begin a new run"
            )
    train(model_class, task, run, options)


def as_stored(dataset: str) -> str:
    """What a run notes of its --dataset: the whole path of a folder, or of each of several."""
    parts = map(Path, parts_of(dataset))
    return ",".join(str(part.resolve() if part.exists() else part) for part in parts)


def verb_parser(verb, program: str) -> ArgumentParser:
    """Parameters of a verb's method; its docstring's examples end the help.

    Its positional-only parameters stand alone, list[str] for one or more and list[str] | None for
    any number; a parameter that is a dataclass gets one option for each field; the others are
    options.
    """
    described = docstring_parser.parse(verb.__doc__)
    parser = ArgumentParser(
        prog=f"{program} {verb.__name__}",
        epilog=_epilog(
            [line for part in described.examples for line in part.description.splitlines()], program
        ),
        formatter_class=_Formatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    positional, groups = _kinds(verb)
    helps = {p.arg_name: p.description for p in described.params}
    number = {list[str]: {"nargs": "+"}, list[str] | None: {"nargs": "*", "default": None}}
    for name, annotation in positional.items():
        parser.add_argument(name, help=helps[name], **number.get(annotation, {}))
    method_of = type(verb.__self__), verb.__name__
    parser.add_method_arguments(*method_of, skip={*positional, *groups})
    for group in groups.values():
        parser.add_class_arguments(group)
    return parser


def _kinds(verb) -> tuple[dict, dict]:
    """Annotations of a method's positional-only parameters, and of those that are dataclasses."""
    parameters = inspect.signature(verb).parameters.values()
    positional = {p.name: p.annotation for p in parameters if p.kind is p.POSITIONAL_ONLY}
    return positional, {p.name: p.annotation for p in parameters if is_dataclass(p.annotation)}


class _Formatter(DefaultHelpFormatter):
    """Keeps the lines of the examples."""

    def _fill_text(self, text, width, indent):
        return text if text.startswith(EXAMPLES) else super()._fill_text(text, width, indent)


def _epilog(examples: list[str], program: str) -> str:
    lines = [f"  {line}" for line in examples]
    model = Path(program).stem
    text = "\n".join([EXAMPLES, *lines]) if lines else ""
    return text.replace("{program}", program).replace("{model}", model)


def _call(verb, program: str, arguments: list[str]):
    """Calls a verb's method with its parameters from the command line."""
    options = _parse(verb_parser(verb, program), arguments)
    positional, groups = _kinds(verb)
    arguments_in_order = [None if options[name] == [] else options[name] for name in positional]
    options = {name: value for name, value in options.items() if name not in positional}
    for name, group in groups.items():
        options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
    verb(*arguments_in_order, **options)


def _parse(parser: ArgumentParser, arguments: list[str]) -> dict:
    """Parsed options; a flag may stand alone, `--resume` for `--resume true`."""
    flags = {f"--{a.dest}" for a in parser._actions if getattr(a, "_typehint", None) is bool}
    spelled = [
        f"{argument}=true" if argument in flags and next_one not in TRUTHS else argument
        for argument, next_one in pairwise([*arguments, "--"])
    ]
    try:
        return parser.parse_args(spelled).as_dict()
    except ArgumentError as error:
        raise UserError(f"{one_line(error)} (--help lists the options)") from error
