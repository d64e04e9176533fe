"""Does a run that is killed and resumed end with the weights of one that was left alone?

A model is trained once without interruption. Then, trial after trial, the same training is started
as a process of its own, killed with SIGKILL at a random moment, up to `kills` times in a row, and
resumed until it is done. Every array of the last checkpoint (weights, moving statistics, random
states, optimizers) must then be equal to the uninterrupted run's, byte for byte.

    python3 benchmarks/kill_and_resume.py --model pix2pix --trials 20
    python3 benchmarks/kill_and_resume.py --model all --trials 2

Models are made tiny by those of a few options that they have, and get the embedded data. A trial
starts two or three processes; most of its time is TensorFlow's start and compilation.
Exit status 0: all trials equal; 1: not all, and the folders of those that differ are kept.
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

POLL = 0.005  # seconds between two looks at a running process


@dataclass
class Training:
    """One model's training with fixed options, to be started in different folders."""

    model: str
    small: list[str]  # options that make it tiny
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
    """A training process, seen from outside: what it has printed and which checkpoints lie there.

    Attributes:
        seen: for each step first seen in a checkpoint, and for the step that it began with, when.
    """

    process: subprocess.Popen
    run: Run
    log: Path
    begin: int  # where its part of the log begins
    seen: dict[int, float] = field(default_factory=dict)

    def printed(self) -> str:
        with open(self.log, "rb") as file:
            file.seek(self.begin)
            return file.read().decode(errors="replace")

    def wait(self, condition: Callable[[], bool] = lambda: False) -> bool:
        """Watches until the condition holds; False if the process has ended before."""
        while self.process.poll() is None:
            if self.seen:
                self.seen.setdefault(self.run.step(), time.perf_counter())
            elif " steps " in self.printed():  # the line that says from where to where it trains
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
    """Seconds from a process's start line, or from one checkpoint, to the next checkpoint."""

    first: float
    later: float

    @classmethod
    def of(cls, process: Process, every: int) -> "Pace":
        (_, start), (step, first), *_, (last_step, last) = process.seen.items()
        return cls(first - start, (last - first) / (last_step - step) * every)


def differing(one: Path, other: Path) -> list[str]:
    """Names of the arrays that are not equal byte for byte."""
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
        The kills in words, and the exit status of the last process.
    """
    every = training.checkpoint_every
    said = []
    for _ in range(random.integers(1, kills, endpoint=True)):
        process = training.start(folder, resume=bool(said))
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
        torn = any(process.run.checkpoints.glob("*.tmp"))
        said.append(f"{process.run.step()}{' (while writing the next)' if torn else ''}")
        if process.run.step() == training.steps:
            break
    process = training.start(folder, resume=bool(said))
    process.wait()
    return f"killed at checkpoint {', then '.join(said)}" if said else "not killed", (
        process.process.returncode
    )


def check(training: Training, parent: Path, trials: int, kills: int) -> bool:
    """Trains once without interruption and `trials` times with kills.

    Returns:
        Whether all ended equal. Their folders are removed then, else those that did not are kept.
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
        said, status = trial(training, run.folder, pace, random, kills)
        found = checkpoint.path_of(run.checkpoints, training.steps)
        if status or not found.exists():
            result = f"FAILED, exit status {status}: see {run.folder.with_suffix('.log')}"
        elif different := differing(expected, found):
            result = f"DIFFERENT in {len(different)} arrays, {different[0]} for one: {run.folder}"
        elif not said.startswith("killed"):
            result = "ended before the kill, which proves nothing"
        else:
            result = "equal"
            equal += 1
            shutil.rmtree(run.folder)
            run.folder.with_suffix(".log").unlink()
        print(f"trial {number:2d}: {said}: {result}", flush=True)

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
        model: which model; several with commas between them, or all.
        trials: runs to kill, of each model.
        steps: of each run, a multiple of checkpoint_every.
        checkpoint_every: steps between two checkpoints.
        kills: at most, in one trial.
        seed: of the random moments, and of the training.
        folder: for the runs; default a temporary one. Runs that end equal are removed.
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
