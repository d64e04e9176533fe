"""A run that is killed, interrupted and resumed equals an uninterrupted one exactly."""

import re
import signal
import subprocess
import sys
import time

from common.training import checkpoint
from tests.conftest import TINY
from tests.helpers.checkpoints import arrays

import pytest

STEPS = 300
OPTIONS = f"--steps {STEPS} --checkpoint_every 20 --log_every 5 --sample_every 1000 --jit off"


class Process:
    """The tiny translator's script in a process of its own, with its output in a file."""

    def __init__(self, folder, line):
        self.log = folder / "log.txt"
        with open(self.log, "w") as log:
            command = [sys.executable, str(TINY), *line.split()]
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def wait_until(self, condition):
        while not condition():
            assert self.process.poll() is None, f"ended too early:\n{self.log.read_text()}"
            time.sleep(0.01)

    def end(self, number):
        """Sends a signal and returns the exit status and what was printed."""
        self.process.send_signal(number)
        return self.process.wait(), self.log.read_text()


@pytest.fixture
def start(tmp_path):
    processes = []

    def call(line):
        processes.append(Process(tmp_path, line))
        return processes[-1]

    yield call
    for each in processes:
        each.process.kill()
        each.process.wait()


def test_killed_interrupted_and_resumed(start, run_cli, no_export, tmp_path, pairs_folder):
    """A kill and Ctrl-C of a process; test_train.py sends SIGTERM within this one."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert not run_cli(f"{OPTIONS} --dataset {pairs_folder} --run {whole}").status

    process = start(f"{OPTIONS} --dataset {pairs_folder} --run run")
    process.wait_until(lambda: checkpoint.steps(run / "checkpoints"))
    status, _ = process.end(signal.SIGKILL)
    assert status == -signal.SIGKILL
    reached = checkpoint.steps(run / "checkpoints")[-1]
    assert reached < STEPS

    process = start("--resume --run run")
    process.wait_until(lambda: "\nstep " in process.log.read_text())
    status, said = process.end(signal.SIGINT)
    assert status == 128 + signal.SIGINT
    assert "Traceback" not in said and f"steps {reached} to {STEPS}" in said
    stopped = re.search(r"stopped at step (\d+); to resume: --resume --run run", said)
    assert reached < int(stopped[1]) < STEPS
    reached = checkpoint.steps(run / "checkpoints")[-1]
    assert reached == int(stopped[1])

    result = run_cli(f"--resume --run {run}")
    assert not result.status and f"steps {reached} to {STEPS}" in result.out
    assert arrays(run, STEPS) == arrays(whole, STEPS)
    rows = [
        [line.split(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]
        for folder in (whole, run)
    ]
    assert rows[0] == rows[1]  # no row is repeated or missing
