"""The environment of the process, set before TensorFlow and Keras are imported."""

import ctypes
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder

_NO_LOG = "3"  # of TF_CPP_MIN_LOG_LEVEL: only what ends the process
_SUCCESS = b"\0imported\0"  # no text of a log
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def set_variables():
    """Sets the environment variables that Keras and TensorFlow read when they are imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # data streams, gradient tapes and exports need it
    # Errors are raised as exceptions; TensorFlow's own log adds nothing that a user could act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _NO_LOG)
    # Operations run one after the other, each on all cores: which of two concurrent ones finishes
    # first would otherwise vary between processes, and with it their rounding (exact resume).
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def keep_freed_memory():
    """Lets glibc keep freed memory for the next training step, which allocates as much again.

    By default glibc returns each large block to the kernel, which zeroes the same pages again and
    again: an eighth of pix2pix's step time at 256 pixels. Does nothing with another C library, or
    where the environment configures malloc (MALLOC_...).
    """
    if platform.libc_ver()[0] == "glibc" and not any(n.startswith("MALLOC_") for n in os.environ):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def import_tensorflow_quietly():
    """Keeps what TensorFlow's libraries log while they are imported from standard error.

    They greet (oneDNN, CUDA stubs, absl) before any setting of the log level is read. If the import
    fails, even by a signal, everything is shown; so it is if TF_CPP_MIN_LOG_LEVEL asks for a log.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == _NO_LOG and hasattr(os, "fork") and sys.stderr:
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    """Finds TensorFlow, once, and has it executed quietly."""

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def quietly(module):
                with quiet_stderr():
                    execute(module)

            spec.loader.exec_module = quietly
        return spec


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops what is written to file descriptor 2, unless the body raises or the process dies.

    The text is kept by a child process, which outlives this one if it is aborted.
    """
    sys.stderr.flush()
    reader, writer = os.pipe()
    with warnings.catch_warnings():  # of threads, such as a notebook's; the child needs no lock
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _keep(reader, writer)
    os.close(reader)
    stderr = os.dup(2)
    os.dup2(writer, 2)
    try:
        yield
        sys.stderr.flush()
        os.write(2, _SUCCESS)
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(writer)
        os.waitpid(child, 0)


def _keep(reader: int, writer: int):
    """Reads a pipe to its end; copies it to standard error unless it ends with `_SUCCESS`."""
    try:
        os.setpgid(0, 0)  # Ctrl-C is for the parent
        os.close(writer)
        kept = b"".join(iter(lambda: os.read(reader, 2**16), b""))
        if not kept.endswith(_SUCCESS):
            os.write(2, kept)
    finally:
        os._exit(0)
