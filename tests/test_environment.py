"""The process's environment: variables, and glibc's malloc."""

import ctypes
import os
import platform
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
