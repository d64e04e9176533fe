"""Checks of a command before TensorFlow is imported, which takes about five seconds.

What a verb checks before it loads a model (options, the run, input files) involves no tensor. So
the model's script is first executed by a child process with stubs for the large libraries
(`help_stubs`), up to the place where a model is loaded. An error that it finds ends the command;
anything else is left to the command itself.
"""

import os
from collections.abc import Sequence

from common import help_stubs

VERBS = frozenset({"predict", "evaluate", "export", "demo"})
FAILED = 2  # exit status of an error that the user can fix
_in_child = False


def are_due(command: Sequence[str]) -> bool:
    """Whether a command, the script first, is a model's script with a verb that loads a model."""
    known = help_stubs.is_model_script(command[0]) and hasattr(os, "fork")
    return known and len(command) > 1 and command[1] in VERBS


def fork_checks() -> bool:
    """Forks the child process. Returns True there, and False here once it has found no error."""
    global _in_child
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # notes are printed by the command itself
        os.dup2(writer, 2)
        help_stubs.install()
        _in_child = True
        return True
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == FAILED:
        os.write(2, said)
        raise SystemExit(FAILED)
    return False


def exit_if_only_checking():
    """Ends the child process, where a model would be loaded next; elsewhere does nothing."""
    if _in_child:
        os._exit(0)
