"""The process's environment: variables, and glibc's malloc."""

import ctypes
import os
import platform
import signal
import subprocess
import sys

from common import environment
from common.registry import ROOT

import pytest


def test_variables_of_the_environment_have_priority_except_the_backend():
    given = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "0"}
    code = f"import common, os; print(*(os.environ[name] for name in {list(given)}))"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(
        command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=True
    )
    assert printed.stdout.split() == ["tensorflow", "0"]


@pytest.mark.parametrize(
    "libc, variables, called",
    [("glibc", {}, True), ("glibc", {"MALLOC_ARENA_MAX": "1"}, False), ("", {}, False)],
)
def test_malloc_is_configured_for_glibc_only(monkeypatch, libc, variables, called):
    calls = []

    class Library:
        def __init__(self, name):
            pass

        def mallopt(self, *option):
            calls.append(option)

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "2.36"))
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment.keep_freed_memory()
    assert bool(calls) == called


def python(code, **variables):
    """Runs Python code from the project's folder."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


QUIETLY = "import os, sys\nfrom common.environment import quiet_stderr\nwith quiet_stderr():\n    "


def test_what_is_written_in_vain_is_dropped():
    code = QUIETLY + "os.system('echo chatter >&2'); print('more', file=sys.stderr)\n"
    result = python(code + "print('after', file=sys.stderr)")
    assert (result.returncode, result.stderr) == (0, "after\n")


@pytest.mark.parametrize(
    "end, status", [("os.abort()", -signal.SIGABRT), ("raise ImportError('why')", 1)]
)
def test_what_precedes_a_failure_is_shown(end, status):
    result = python(QUIETLY + f"os.write(2, b'chatter\\n'); {end}")
    assert result.returncode == status
    assert result.stderr.startswith("chatter\n") and (status < 0 or "why" in result.stderr)


def test_tensorflow_is_imported_quietly_unless_its_log_is_asked_for():
    code = "import common, sys\nimport tensorflow\nprint(len(sys.meta_path))"
    quiet, loud = python(code), python(code, TF_CPP_MIN_LOG_LEVEL="0")
    assert quiet.returncode == loud.returncode == 0
    assert quiet.stderr == "" and quiet.stdout == loud.stdout  # nothing stays behind


def test_a_runs_first_line_is_its_own(tmp_path):
    options = "--dataset embedded --embedded_count 8 --batch_size 4 --steps 1 --width 4 --jit off"
    result = subprocess.run(
        [sys.executable, "dcgan/dcgan.py", *options.split(), "--run", tmp_path / "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith(f"{tmp_path / 'run'}: dcgan on embedded")
