"""Errors in options, in words for a user; those of the parser name Python's types."""

import difflib
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from itertools import pairwise
from types import NoneType
from typing import Literal, get_args, get_origin

from common.errors import UserError, one_line

HELP = "(--help lists the options)"
_LISTS = {int: "whole numbers in brackets, as in [1,2]", str: 'names in brackets, as in [cat,"3"]'}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def explained(error: ArgumentError, parser: ArgumentParser, arguments: Sequence[str]) -> UserError:
    """The error of a parser as one that names the option and says what to give.

    Args:
        error: what the parser has raised.
        parser: the parser.
        arguments: the arguments that it was given.
    """
    message = one_line(error)
    if match := re.search(r'key "([\w.]+)"', message):
        return _invalid_value(match[1].partition(".")[0], parser, arguments)
    if match := re.search(r"unrecognized arguments: (.*)", message):
        return _unknown(match[1].split()[0], parser)
    if match := re.search(r"argument (--\w+): expected", message):
        return UserError(f"{match[1]}: give a value {HELP}")
    if match := re.search(r"arguments are required: (.*)", message):
        missing = [_spelled(name, parser) for name in match[1].split(", ")]
        return UserError(f"missing: {' and '.join(missing)} {HELP}")
    return UserError(f"{message} {HELP}")


def wanted(hint: object) -> str:
    """What to give for an option of a type, such as `a whole number` or `mnist or cifar10`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is list:
        return _LISTS[parts[0]]
    if origin is Literal:
        return _either([str(part) for part in parts])
    if parts:  # a union
        return _either([wanted(part) for part in parts if part is not NoneType])
    return _KINDS[hint]


def _invalid_value(name: str, parser: ArgumentParser, arguments: Sequence[str]) -> UserError:
    (action,) = (each for each in parser._actions if each.dest == name)
    hint = getattr(action, "_typehint", None) or action.type
    return UserError(f"--{name} {_given(name, arguments)}: give {wanted(hint)} {HELP}")


def _given(name: str, arguments: Sequence[str]) -> str:
    """The value of an option as it was last written."""
    value = ""
    for argument, following in pairwise([*arguments, ""]):
        option, equals, text = argument.partition("=")
        if option == f"--{name}":
            value = text if equals else following
    return value


def _unknown(argument: str, parser: ArgumentParser) -> UserError:
    if not argument.startswith("--"):
        return UserError(f"{argument}: an argument too many {HELP}")
    given = argument.partition("=")[0]
    known = [option for action in parser._actions for option in action.option_strings]
    similar = difflib.get_close_matches(given, known, 1, 0.8)
    meant = f"; did you mean {similar[0]}?" if similar else ""
    return UserError(f"{given}: no such option{meant} {HELP}")


def _spelled(name: str, parser: ArgumentParser) -> str:
    """A parameter as the usage line spells it: RUN, --output."""
    options = {action.dest for action in parser._actions if action.option_strings}
    return f"--{name}" if name in options else name.upper()


def _either(parts: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
