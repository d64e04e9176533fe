"""Reading and writing files does not import TensorFlow or Keras."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_io_and_images_import_neither_tensorflow_nor_keras():
    program = """
import importlib, pkgutil, sys
import common.images, common.io
for package in (common.images, common.io):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
assert "common.io.keras_cache" in sys.modules
print(*{"tensorflow", "keras"} & sys.modules.keys())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
