"""Code shared by the models of the zoo.

Every model file imports it before TensorFlow and Keras, so that these settings take effect.
"""

import importlib
import sys

from common import early_checks, environment, help_stubs

__all__ = ["load", "open_demo"]

environment.set_variables()
if help_stubs.only_help_is_asked_for(sys.argv):
    help_stubs.install()
elif early_checks.are_due(sys.argv) and early_checks.fork_checks():
    pass  # the child process, which has the stubs
else:
    environment.import_tensorflow_quietly()
    environment.keep_freed_memory()


def load(folder, **checkpoint):
    """Loads a trained model from a run, a SavedModel or trained weights: `common.loading.load`."""
    # Not imported above: it imports TensorFlow, and everything in common/.
    return importlib.import_module("common.loading").load(folder, **checkpoint)


def open_demo(folder, **options):
    """Shows a trained model's demo in a notebook: `common.loading.open_demo`."""
    return importlib.import_module("common.loading").open_demo(folder, **options)
