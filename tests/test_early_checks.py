"""Checks of a command before TensorFlow is imported."""

import subprocess
import sys

from common import early_checks, registry
from common.images import image_file
from tests.helpers.image_files import noise

import pytest

SCRIPT = registry.ROOT / "pix2pix" / "pix2pix.py"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{run} nowhere.png --output out", "nowhere.png: no such image or folder"),
        ("{run} {folder} --output out --tile 0", "--tile 0: give 1 or more"),
        ("{run} {folder} --output out", "the run has no checkpoint yet"),
        ("nowhere {folder} --output out", "nowhere: no run in this folder"),
        ("no.npz {folder} --output out", "no.npz: no such file"),
        ("--weights x.npz#sha256=1 {folder} --output out", "give 64 hexadecimal digits"),
    ],
)
def test_errors_are_found_before_tensorflow_is_imported(tmp_path, line, said):
    image_file.write(tmp_path / "in" / "a.png", noise(9, 9, 0))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"model": "pix2pix", "options": {}}')
    arguments = line.format(run=tmp_path / "run", folder=tmp_path / "in").split()
    command = [sys.executable, "-X", "importtime", SCRIPT, "predict", *arguments]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert process.returncode == 2 and process.stdout == ""
    assert "tensorflow.python" not in process.stderr
    errors = [each for each in process.stderr.splitlines() if not each.startswith("import time:")]
    (error,) = errors
    assert error.startswith("error: ") and said in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "due"),
    [
        (["/zoo/pix2pix/pix2pix.py", "predict", "RUN"], True),
        (["dcgan/dcgan.py", "export"], True),
        (["dcgan/dcgan.py", "--epochs", "3"], False),
        (["dcgan/dcgan.py"], False),
        (["benchmarks/step.py", "predict"], False),
        (["-c", "predict"], False),
    ],
)
def test_only_verbs_that_load_a_model_are_checked(command, due):
    assert early_checks.are_due(command) == due


def test_the_end_of_the_checks_is_passed_in_a_process_without_stubs():
    early_checks.exit_if_only_checking()
