"""What several test files need: small images, the tiny translator's command line, one run."""

import os
import shutil
from pathlib import Path

# oneDNN does not promise to round alike in two processes (TensorFlow says so when it starts), and
# the tests compare bytes. benchmarks/kill_and_resume.py holds the default against the same measure.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# XLA's code runs for a few steps only: to optimise it would take longer than it saves.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# pytest-xdist keeps the cores busy already.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

from common import cli
from common.tasks.paired_translation import PairedTranslation
from tests.helpers.command_line import command_line
from tests.helpers.image_files import write_pairs
from tests.helpers.tiny import Tiny

import keras
import pytest

TINY = Path(__file__).with_name("helpers") / "tiny.py"


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory):
    """Six training pairs and two of each other split; not to be changed."""
    folder = tmp_path_factory.mktemp("pairs")
    for split, count, first in (("train", 6, 0), ("val", 2, 6), ("test", 2, 8)):
        write_pairs(folder / split, count, first=first)
    return folder


@pytest.fixture(autouse=True)
def precision():
    """What one run has set does not reach the next test."""
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def run_cli(capsys):
    """Calls the command line in this process: run_cli("predict a b") -> status, out, err."""

    return command_line(capsys, Tiny, PairedTranslation)


@pytest.fixture
def no_export(monkeypatch):
    """Training ends without its SavedModel, where that is not what is tested: it takes longest."""
    monkeypatch.setattr(PairedTranslation, "export_trained", lambda *_: "nowhere")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, pairs_folder):
    """A run of six steps with checkpoints at 3 and 6, and its SavedModel; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = "--steps 6 --checkpoint_every 3 --log_every 2 --sample_every 3 --jit off --seed 4"
    arguments = [*options.split(), "--dataset", str(pairs_folder), "--run", str(folder)]
    cli.main(Tiny, PairedTranslation, arguments=arguments)
    return folder


@pytest.fixture
def copy_of(tmp_path):
    """copy_of(run) -> a copy to change; copy_of(run, upto=3) forgets later checkpoints."""

    def copy(run, upto=None):
        new = tmp_path / f"copy_of_{run.name}"
        shutil.copytree(run, new)
        for path in (new / "checkpoints").glob("*.npz"):
            if upto is not None and int(path.stem[5:]) > upto:
                path.unlink()
        return new

    return copy
