"""Data parallelism: equal results with one and two replicas, the chief worker, lost workers."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from common import registry
from common.distributed.replicas import Replicas
from common.distributed.tf_config import Worker, read_config
from common.errors import UserError
from common.training import checkpoint
from tests.distributed.workers import MODELS, Draws, losses_of
from tests.helpers.checkpoints import arrays
from tests.helpers.shown_commands import blocks
from tests.helpers.tiny import Tiny

import keras
import numpy as np
import pytest

WORKERS = Path(__file__).with_name("workers.py")
PATIENCE = 900  # s; two workers take 30 on two idle cores


def config(ports, index, kind="worker"):
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def two_workers(folder, data, *jobs):
    """Runs both workers; returns the exit status and the output of each."""
    ports = free_ports(2)
    processes = []
    for index in range(2):
        log = open(folder / f"log_{index}.txt", "w")  # noqa: SIM115
        command = [sys.executable, str(WORKERS), str(folder), str(data), *jobs]
        environment = os.environ | {"TF_CONFIG": config(ports, index)}
        processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
    deadline = time.monotonic() + PATIENCE
    try:
        for process in processes:
            process.wait(deadline - time.monotonic())
    finally:
        for process in processes:
            process.kill()
            process.wait()
    texts = [(folder / f"log_{index}.txt").read_text() for index in range(2)]
    return [(p.returncode, text) for p, text in zip(processes, texts, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def together(folder, pairs_folder):
    """Two workers that compute facts, train, are stopped, and of which one is killed last."""
    jobs = ("facts", "different", "whole", "terminated", "killed")
    return two_workers(folder, pairs_folder, *jobs)


@pytest.fixture(scope="module")
def mirrored(folder, pairs_folder):
    """The results of two replicas in one process, by mirrored.py."""
    command = [sys.executable, str(WORKERS.with_name("mirrored.py")), folder, pairs_folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "mirrored.json").read_text())


@pytest.fixture(scope="module")
def facts(together, folder):
    files = [folder / f"facts_{index}.json" for index in range(2)]
    assert all(file.is_file() for file in files), together[0][1] + together[1][1]
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize("name", MODELS)
def test_two_replicas_have_the_losses_of_one(facts, mirrored, name):
    single = losses_of(name, Replicas())
    assert facts[0][name] == facts[1][name]
    for theirs in (facts[0][name], mirrored[name]):
        for step, ours in zip(theirs, single, strict=True):
            assert step == pytest.approx(ours, rel=1e-4, abs=1e-4)
    assert single[0] != single[-1]


def test_two_devices_and_two_workers_end_with_equal_checkpoints(together, mirrored, folder):
    assert arrays(folder / "mirrored", 12) == arrays(folder / "whole", 12)
    assert mirrored["devices"] == [["CPU:0"], ["CPU:1"]]  # weights and optimizers


def test_replicas_draw_the_rows_of_the_global_noise(facts):
    rows = np.concatenate([each["draws"] for each in facts])
    np.testing.assert_allclose(rows, Draws()(4), rtol=1e-6)
    assert (np.array(facts[0]["draws"]) != facts[1]["draws"]).any(axis=(0, 2)).all()


def test_an_overflow_in_one_worker_skips_the_update_in_all(facts):
    assert not any(each["updated_despite_overflow"] for each in facts)


def test_workers_that_differ_are_refused(together):
    for _, text in together:
        assert "different ended with 2" in text
        assert (
            "error: --strategy multi_worker: worker 1 and worker 0 differ in their options" in text
        )


def test_only_the_chief_writes(together, folder):
    assert "whole ended with 0" in together[1][1]  # where writing raises
    names = {path.name for path in (folder / "whole").iterdir()}
    assert names >= {"config.json", "metrics.csv", "samples", "tensorboard", "checkpoints"}
    assert checkpoint.steps(folder / "whole" / "checkpoints") == [9, 12]


def test_a_signal_to_one_worker_stops_all_after_the_same_step(together, folder):
    for _, text in together:
        assert "terminated ended with 143" in text
        assert "stopped at step 5; to resume: --resume" in text
    assert checkpoint.steps(folder / "terminated" / "checkpoints") == [3, 5]


def test_a_killed_worker_ends_the_others_and_resuming_is_exact(together, folder, pairs_folder):
    (status, text), (killed, _) = together
    assert killed == -9 and status == 0  # of the process; the status of the run:
    assert "killed ended with 2" in text
    (line,) = (line for line in text.splitlines() if "a worker was lost" in line)
    assert line.startswith("error: ") and "step 6, is kept in" in line and "--resume" in line
    assert "Traceback" not in text
    again = two_workers(folder, pairs_folder, "resumed", "refused")
    for status, text in again:
        assert status == 0 and "steps 6 to 12 on the CPU, 2 replicas" in text
    assert arrays(folder / "killed", 12) == arrays(folder / "whole", 12)
    # If one exits before the first step, the other does not wait forever.
    assert "a worker was lost before the first step" in again[0][1]
    assert "--dataset missing" in again[1][1]
    assert all("refused ended with 2" in text for _, text in again)


def test_a_batch_that_cannot_be_shared_is_refused():
    group = Replicas(["CPU:0"], Worker(1, ("a:1", "b:1", "c:1")))
    assert group.rows(6) == range(2, 4)
    with pytest.raises(UserError, match="--batch_size 4: give a multiple of 3"):
        group.rows(4)


def test_jit_on_is_refused_with_several_replicas():
    group = Replicas(["CPU:0"], Worker(0, ("a:1", "b:1")))
    with pytest.raises(UserError, match=r"--jit on: 2 replicas .* use --jit auto"):
        Tiny().compile("on", group)


def test_the_commands_of_the_guide_train_together(tmp_path):
    """The commands of the guide, with other ports and with options that make them small."""
    (block,) = (
        each
        for each in blocks((registry.ROOT / "docs" / "distributed.md").read_text(), "bash")
        if "TF_CONFIG" in each
    )
    ports = iter(free_ports(2))
    block = re.sub(r"(?<=localhost:)\d+", lambda _: str(next(ports)), block)
    stub = 'python3() { "$PYTHON" "$ROOT/$1" "${@:2}" $SMALL && echo "worker ended well"; }\n'
    small = "--dataset embedded --embedded_count 128 --width 4 --dense_units 8 --steps 2 --jit off"
    names = {"PYTHON": sys.executable, "ROOT": str(registry.ROOT), "SMALL": small}
    with open(tmp_path / "log.txt", "w") as log:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", stub + block],
            cwd=tmp_path,
            env=os.environ | names,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = shell.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)  # its workers, too
            raise
    text = (tmp_path / "log.txt").read_text()
    assert status == 0 and text.count("worker ended well") == 2, text
    assert text.count("steps 0 to 2 on the CPU, 2 replicas") == 2

    run = tmp_path / "runs" / "together"
    assert checkpoint.steps(run / "checkpoints") == [2]
    assert (run / "export" / "dcgan" / "1" / "saved_model.pb").is_file()
    with open(run / "metrics.csv") as rows:
        assert [row["step"] for row in csv.DictReader(rows)] == ["2"]
    # Only one worker has written: the file names end in process, number and suffix.
    events = [path.name.split(".") for path in (run / "tensorboard").iterdir()]
    assert len({name[-3] for name in events}) == 1 < len(events)


@pytest.mark.parametrize("layer", [keras.layers.Dropout(0.5), keras.layers.BatchNormalization()])
def test_a_model_with_layers_that_ignore_replicas_is_refused(layer):
    model = Tiny()
    model.extra = layer
    with pytest.raises(UserError, match=f"--strategy: {layer.name} of tiny would see"):
        model.compile("off", Replicas(["CPU:0"], Worker(0, ("a:1", "b:1"))))
    model.compile("off")


def test_mirrored_on_one_device_equals_no_strategy(run_cli, no_export, finished, tmp_path):
    options = json.loads((finished / "config.json").read_text())["options"]
    line = "--steps 3 --sample_every 3 --jit off --seed 4 --strategy mirrored"
    assert not run_cli(f"{line} --dataset {options['dataset']} --run {tmp_path / 'run'}").status
    assert arrays(tmp_path / "run", 3) == arrays(finished, 3)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "--strategy multi_worker: set TF_CONFIG"),
        ("", "--strategy multi_worker: set TF_CONFIG"),
        ("{", "TF_CONFIG: not of the form"),
        ("[]", "TF_CONFIG: not of the form"),
        ('{"cluster": {"worker": ["localhost:1"]}}', "TF_CONFIG: not of the form"),
        (config([1, 2], 2), "TF_CONFIG: the cluster has no task worker 2"),
        (config([1, 2], 0, "ps"), "TF_CONFIG: the cluster has no task ps 0"),
        (config(["x"], 0), "TF_CONFIG: the cluster needs HOST:PORT"),
    ],
)
def test_a_wrong_tf_config_is_refused_in_one_line(
    run_cli, monkeypatch, tmp_path, pairs_folder, text, message
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    line = f"--strategy multi_worker --dataset {pairs_folder} --run {tmp_path / 'run'}"
    result = run_cli(line)
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert result.err.startswith(f"error: {message}") and '"task"' in result.err


def test_workers_need_a_run_folder(run_cli, pairs_folder):
    result = run_cli(f"--strategy multi_worker --dataset {pairs_folder}")
    assert result.status == 2 and "give --run" in result.err


def test_the_chief_has_rank_0(monkeypatch):
    cluster = {"chief": ["h:1"], "worker": ["h:2", "h:3"]}
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    worker = read_config()
    assert (worker.rank, worker.world_size, worker.address) == (2, 3, "h:3")
