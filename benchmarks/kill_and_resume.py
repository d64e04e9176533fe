"""Tests that a run which is killed and resumed ends with the weights of an uninterrupted one.

A model is trained once without interruption. In each trial the same training is started in a
separate process, killed with SIGKILL at random moments, up to `kills` times, and resumed until it
is done. Every array of its last checkpoint (weights, moving statistics, random states, optimizers)
must then equal that of the uninterrupted run, byte for byte.

    python3 benchmarks/kill_and_resume.py --model pix2pix --trials 20
    python3 benchmarks/kill_and_resume.py --model all --trials 2

Models are trained at a tiny size on their embedded data. A trial starts two or three processes and
spends most of its time on starting TensorFlow and compiling. The exit status is 0 if all trials
are equal, otherwise 1; then the folders of the other trials are kept.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command_line
from common import registry
from common.training import checkpoint
from common.training.run_folder import Run

import numpy as np

POLL = 0.005  # seconds between two checks of a running process


@dataclass
class Training:
    """Training of one model with fixed options, which can be started in different folders."""

    model: str
    small: list[str]  # options for a tiny size
    steps: int
    checkpoint_every: int
    seed: int

    def start(self, folder: Path, resume: bool) -> "Process":
        command = [
            *(sys.executable, registry.ROOT / self.model / f"{self.model}.py", "--run", folder),
            *("--dataset", "embedded", "--steps", self.steps, "--seed", self.seed, *self.small),
            *("--checkpoint_every", self.checkpoint_every, "--log_every", self.checkpoint_every),
        ]
        log = folder.with_suffix(".log")
        with open(log, "ab") as file:
            begin = file.tell()
            process = subprocess.Popen(
                [*map(str, command), *(["--resume"] if resume else [])],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return Process(process, Run(folder), log, begin)


@dataclass
class Process:
    """A training process, observed by its output and its checkpoints.

    Attributes:
        seen: time of first observation of each checkpoint's step, and of the initial step.
    """

    process: subprocess.Popen
    run: Run
    log: Path
    begin: int  # offset of its output in the log
    seen: dict[int, float] = field(default_factory=dict)

    def printed(self) -> str:
        with open(self.log, "rb") as file:
            file.seek(self.begin)
            return file.read().decode(errors="replace")

    def wait(self, condition: Callable[[], bool] = lambda: False) -> bool:
        """Waits until the condition holds; returns False if the process ends before."""
        while self.process.poll() is None:
            if self.seen:
                self.seen.setdefault(self.run.step(), time.perf_counter())
            elif " steps " in self.printed():  # the line that announces the steps to train
                self.seen[self.run.step()] = time.perf_counter()
            if condition():
                return True
            time.sleep(POLL)
        return False

    def kill(self):
        self.process.kill()
        self.process.wait()


@dataclass
class Pace:
    """Seconds from the start line to the first checkpoint, and between later checkpoints."""

    first: float
    later: float

    @classmethod
    def of(cls, process: Process, every: int) -> "Pace":
        (_, start), (step, first), *_, (last_step, last) = process.seen.items()
        return cls(first - start, (last - first) / (last_step - step) * every)


def differing(one: Path, other: Path) -> list[str]:
    """Names of the arrays that are not byte-equal in two checkpoint files."""
    with np.load(one) as a, np.load(other) as b:
        return sorted(
            name
            for name in {*a.files, *b.files}
            if name not in a.files
            or name not in b.files
            or (a[name].dtype, a[name].shape) != (b[name].dtype, b[name].shape)
            or a[name].tobytes() != b[name].tobytes()
        )


def trial(training: Training, folder: Path, pace: Pace, random, kills: int) -> tuple[str, int]:
    """Trains in `folder` with up to `kills` kills, then to the end.

    Returns:
        A description of the kills, and the exit status of the last process.
    """
    every = training.checkpoint_every
    killed_at = []
    for _ in range(random.integers(1, kills, endpoint=True)):
        process = training.start(folder, resume=bool(killed_at))
        if not process.wait(lambda process=process: bool(process.seen)):
            break
        start = next(iter(process.seen))
        moment = random.uniform(start, training.steps)  # in steps
        since = max(start, int(moment // every) * every)
        delay = (moment - since) / every * (pace.first if since == start else pace.later)
        if not process.wait(lambda since=since, process=process: max(process.seen) >= since):
            break
        until = time.perf_counter() + delay
        if not process.wait(lambda until=until: time.perf_counter() >= until):
            break
        process.kill()
        torn = any(process.run.checkpoints.glob(".*.part"))
        killed_at.append(f"{process.run.step()}{' (while writing the next)' if torn else ''}")
        if process.run.step() == training.steps:
            break
    process = training.start(folder, resume=bool(killed_at))
    process.wait()
    kills_done = f"killed at checkpoint {', then '.join(killed_at)}" if killed_at else "not killed"
    return kills_done, process.process.returncode


def check(training: Training, parent: Path, trials: int, kills: int) -> bool:
    """Trains once without interruption and `trials` times with kills.

    The folders of equal trials are removed, and that of the uninterrupted run if all are equal.

    Returns:
        Whether all trials ended equal to the uninterrupted run.
    """
    begin = time.perf_counter()
    reference = training.start(parent / "uninterrupted", resume=False)
    reference.wait()
    if reference.process.returncode or training.steps not in reference.seen:
        raise SystemExit(f"the uninterrupted run failed:\n{reference.printed()}")
    pace = Pace.of(reference, training.checkpoint_every)
    expected = checkpoint.path_of(reference.run.checkpoints, training.steps)
    print(
        f"{training.model}, {training.steps} steps uninterrupted in "
        f"{time.perf_counter() - begin:.0f} s; first checkpoint after {pace.first:.1f} s, then one "
        f"every {pace.later:.3f} s",
        flush=True,
    )

    random = np.random.default_rng(training.seed)
    equal = 0
    for number in range(1, trials + 1):
        run = Run(parent / f"trial_{number}")
        kills_done, status = trial(training, run.folder, pace, random, kills)
        found = checkpoint.path_of(run.checkpoints, training.steps)
        if status or not found.exists():
            result = f"FAILED, exit status {status}: see {run.folder.with_suffix('.log')}"
        elif different := differing(expected, found):
            result = f"DIFFERENT in {len(different)} arrays, such as {different[0]}: {run.folder}"
        elif not kills_done.startswith("killed"):
            result = "inconclusive, it ended before the kill"
        else:
            result = "equal"
            equal += 1
            shutil.rmtree(run.folder)
            run.folder.with_suffix(".log").unlink()
        print(f"trial {number:2d}: {kills_done}: {result}", flush=True)

    print(f"{equal} of {trials} equal ({time.perf_counter() - begin:.0f} s)", flush=True)
    if equal != trials:
        print(f"kept: {parent}", flush=True)
        return False
    shutil.rmtree(reference.run.folder)
    reference.log.unlink()
    return True


def main(
    model: str = "pix2pix",
    trials: int = 20,
    steps: int = 80,
    checkpoint_every: int = 4,
    kills: int = 2,
    seed: int = 0,
    folder: str | None = None,
):
    """Kills training runs at random moments, resumes them and compares their last checkpoints.

    Args:
        model: model, several separated by commas, or all.
        trials: number of killed runs per model.
        steps: steps per run, a multiple of checkpoint_every.
        checkpoint_every: steps between checkpoints.
        kills: maximum number of kills per trial.
        seed: seed for training and for the random moments.
        folder: folder of the runs; default a temporary one. Runs that end equal are removed.
    """
    names = registry.chosen(model, registry.NAMES)
    parent = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    all_equal = True
    for name in names:
        small = registry.small_options(*registry.entry(name)).split()
        training = Training(name, small, steps, checkpoint_every, seed)
        runs = parent / name
        runs.mkdir(parents=True, exist_ok=True)
        if check(training, runs, trials, kills):
            runs.rmdir()
        else:
            all_equal = False
    if not all_equal:
        raise SystemExit(1)
    if folder is None:
        parent.rmdir()


if __name__ == "__main__":
    command_line.run(main)
