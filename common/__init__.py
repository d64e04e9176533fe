"""What more than one model of the zoo needs.

Imported before TensorFlow and Keras by every model file, so that these defaults take effect.
"""

import ctypes
import os
import platform
import sys

from common import help_stubs

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only one: streams, tapes and exports are its
# What goes wrong comes as an exception; TensorFlow's own log speaks to its makers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Operations run one after the other, each on all cores: which of two that could run at once comes
# first would otherwise differ from process to process, and with it what they round (exact resume).
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory():
    """Lets glibc keep what is freed, for the next step, which will need as much again.

    By default it hands each large block back to the kernel, which then fills the same pages with
    zeros again and again: an eighth of the time of pix2pix's step at 256 pixels. Elsewhere than
    with glibc nothing is done, nor where the environment has said already what malloc shall do.
    """
    if platform.libc_ver()[0] == "glibc" and not any(n.startswith("MALLOC_") for n in os.environ):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


if help_stubs.asked_for_help(sys.argv):
    help_stubs.install()
else:
    keep_freed_memory()
