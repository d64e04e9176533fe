"""Calls a command line in this process and checks its error messages."""

import shlex
from types import SimpleNamespace

from common import cli


def command_line(capsys, model, task, *capabilities):
    """Calls a command line in this process: call("predict a b") -> status, out, err."""

    def call(line, model=model, task=task):
        capsys.readouterr()
        status = 0
        try:
            cli.main(model, task, *capabilities, arguments=shlex.split(str(line)))
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


def refusal(call):
    """Returns check(line, *said): the command fails with status 2 and one line that has `said`."""

    def check(line, *said):
        result = call(line)
        assert result.status == 2
        (line,) = result.err.splitlines()
        assert line.startswith("error: ")
        for part in said:
            assert part in line

    return check
