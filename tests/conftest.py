"""Fixtures of several test files: small image pairs, the tiny translator's command line, a run."""

import os
import shutil
from importlib.metadata import version
from pathlib import Path

# oneDNN may round differently in two processes (as TensorFlow warns when it starts), and the tests
# compare bytes. benchmarks/kill_and_resume.py runs the same comparison with oneDNN on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# XLA's code runs for a few steps only: optimising it takes longer than it saves. The second flag
# halves the compilation; a flag that a version does not know is a fatal error.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false" * version("tensorflow").startswith("2.21."),
)
# pytest-xdist already keeps the cores busy.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

from common import cli, registry
from common.tasks.paired_translation import PairedTranslation
from tests.helpers.command_line import command_line
from tests.helpers.image_files import write_pairs
from tests.helpers.tiny import Tiny

import keras
import pytest
import tensorflow as tf
from xdist.scheduler import LoadFileScheduling

TINY = Path(__file__).with_name("helpers") / "tiny.py"


class ModelOrFile(LoadFileScheduling):
    """Runs the tests of a file on one worker, of files about every model the tests of a model.

    So the fixtures of a model are made once, and the models are spread over the workers.
    """

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        parameters = test.partition("[")[2].rstrip("]").split("-")
        model = next((each for each in parameters if each in registry.NAMES), None)
        return model if model and Path(file).parent.name == "tests" else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return ModelOrFile(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(scope="module")
def eager():
    """Nothing is traced, which would take longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory):
    """Six training pairs and two of each other split; read-only."""
    folder = tmp_path_factory.mktemp("pairs")
    for split, count, first in (("train", 6, 0), ("val", 2, 6), ("test", 2, 8)):
        write_pairs(folder / split, count, first=first)
    return folder


@pytest.fixture(autouse=True)
def precision():
    """Resets the dtype policy that a run has set."""
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def run_cli(capsys):
    """Calls the command line in this process: run_cli("predict a b") -> status, out, err."""
    return command_line(capsys, Tiny, PairedTranslation)


@pytest.fixture
def no_export(monkeypatch):
    """Skips the export at the end of training, its slowest part, where it is not tested."""
    monkeypatch.setattr(PairedTranslation, "export_trained", lambda *_: "nowhere")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, pairs_folder):
    """A run of six steps with checkpoints at 3 and 6, and its SavedModel; read-only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = "--steps 6 --checkpoint_every 3 --log_every 2 --sample_every 3 --jit off --seed 4"
    arguments = [*options.split(), "--dataset", str(pairs_folder), "--run", str(folder)]
    cli.main(Tiny, PairedTranslation, arguments=arguments)
    return folder


@pytest.fixture
def copy_of(tmp_path):
    """copy_of(run) -> a writable copy; copy_of(run, upto=3) drops later checkpoints."""

    def copy(run, upto=None):
        new = tmp_path / f"copy_of_{run.name}"
        shutil.copytree(run, new)
        for path in (new / "checkpoints").glob("*.npz"):
            if upto is not None and int(path.stem[5:]) > upto:
                path.unlink()
        return new

    return copy
