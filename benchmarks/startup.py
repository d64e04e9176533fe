"""Seconds from the command to its help, to the first optimisation step, and to the exported model.

Each model is trained for one step with its embedded data by its own command line, as a process of
its own whose output is watched: what passes between the command and the line that announces the run
is imports, data and networks; until the first step's line, tracing and compilation; after it,
checkpoint, samples and export.

    python3 benchmarks/startup.py --model pix2pix,dcgan

Its last lines are the same as a table in Markdown.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command_line
from common import registry
from common.errors import UserError

FIRST_STEP = "step 1/1"


def watched(name: str, *options: str) -> tuple[list[tuple[float, str]], float, float]:
    """Lines that a model's command prints and when, in seconds; those in all, and of processors."""
    command = [sys.executable, "-u", str(registry.ROOT / name / f"{name}.py"), *options]
    spent = _processor_seconds()
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        lines = [(time.perf_counter() - begin, line.strip()) for line in process.stdout]
    if process.returncode:
        last = lines[-1][1] if lines else "without a word"
        raise UserError(f"{' '.join(command)}: ended with {process.returncode}, {last}")
    return lines, time.perf_counter() - begin, _processor_seconds() - spent


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(name: str, options: list[str]) -> dict:
    """The seconds of one model, by what has been reached then."""
    _, to_help, _ = watched(name, "--help")
    with tempfile.TemporaryDirectory() as folder:
        run = ["--run", str(Path(folder, "run")), "--dataset", "embedded", "--steps", "1"]
        lines, whole, of_processors = watched(name, *run, "--log_every", "1", *options)
    announced = next(when for when, line in lines if "steps 0 to 1" in line)
    stepped = next(when for when, line in lines if line.startswith(FIRST_STEP))
    return {
        "model": name,
        "help": to_help,
        "announced": announced,
        "first_step": stepped,
        "exported": whole,
        "processor_seconds": of_processors,
    }


SUMMARY = {  # what the columns are called
    "help": "help",
    "announced": "networks and data",
    "first_step": "first step",
    "exported": "SavedModel",
    "processor_seconds": "processor seconds",
}


def main(model: str = "all", options: str = "", json: str | None = None):
    """Prints when a model's command has shown its help, built, trained one step and exported.

    Args:
        model: which model; several with commas between them, or all.
        options: further options of train, such as "--image_size 64 --width 32".
        json: file for the results.
    """
    results = []
    print(f"{'seconds':10}{'help':>8}{'built':>8}{'1st step':>10}{'exported':>10}{'CPU':>8}")
    for name in registry.chosen(model, registry.NAMES):
        row = measure(name, options.split())
        print(
            f"{name:10}{row['help']:8.1f}{row['announced']:8.1f}{row['first_step']:10.1f}"
            f"{row['exported']:10.1f}{row['processor_seconds']:8.1f}",
            flush=True,
        )
        results.append(row)
    cells = [(row["model"], *(f"{row[key]:.1f}" for key in SUMMARY)) for row in results]
    command_line.print_markdown(("seconds until", *SUMMARY.values()), *cells)
    command_line.write_results(json, results)


if __name__ == "__main__":
    command_line.run(main)
