"""Runs of the tiny generator and its command line: a pytest plugin."""

from common.tasks.generation import Generation
from common.training.run_folder import Run
from tests.helpers.command_line import command_line, refusal
from tests.helpers.gan_runs import NAMES, make_run
from tests.helpers.tiny_gan import TinyGan

import pytest


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without classes, with its SavedModel; read-only."""
    folder = make_run(tmp_path_factory.mktemp("plain") / "run", distribution="uniform")
    Generation(TinyGan).export_trained(Run(folder))
    return folder


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A run with three classes, with its SavedModel; read-only."""
    folder = tmp_path_factory.mktemp("conditional") / "run"
    make_run(folder, conditional=True, channels=3, class_names=NAMES)
    Generation(TinyGan).export_trained(Run(folder))
    return folder


@pytest.fixture
def gan_cli(capsys):
    """Calls the command line in this process: gan_cli("predict a b") -> status, out, err."""
    return command_line(capsys, TinyGan, Generation)


@pytest.fixture
def predict(gan_cli, tmp_path):
    """predict(run, options) -> the output folder."""
    folders = []

    def call(run, options=""):
        folders.append(tmp_path / f"out{len(folders)}")
        result = gan_cli(f"predict '{run}' --output '{folders[-1]}' {options}")
        assert result.status == 0, result.err
        assert str(folders[-1]) in result.out
        return folders[-1]

    return call


@pytest.fixture
def refused(gan_cli):
    return refusal(gan_cli)
