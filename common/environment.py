"""The environment of the process, set before TensorFlow and Keras are imported."""

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def set_variables():
    """Sets the environment variables that Keras and TensorFlow read when they are imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # data streams, gradient tapes and exports need it
    # Errors are raised as exceptions; TensorFlow's own log adds nothing that a user could act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
