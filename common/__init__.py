"""What more than one model of the zoo needs.

Imported before TensorFlow and Keras by every model file, so that these defaults take effect.
"""

import os
import sys

from common import standins

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only one: streams, tapes and exports are its
# What goes wrong comes as an exception; TensorFlow's own log speaks to its makers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Operations run one after the other, each on all cores: which of two that could run at once comes
# first would otherwise differ from process to process, and with it what they round (exact resume).
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

if standins.asked_for_help(sys.argv):
    standins.install()
