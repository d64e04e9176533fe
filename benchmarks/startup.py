"""Time from the command to its help, to the first training step, and to the exported model.

Each model is trained for one step on its embedded data by its own command line, in a separate
process whose output is timed: up to the line that announces the run it imports, prepares data and
builds networks; up to the line of the first step it traces and compiles; after that it writes the
checkpoint, samples and export.

    python3 benchmarks/startup.py --model pix2pix,dcgan

At the end the results are printed as a Markdown table.
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


def timed_output(name: str, *options: str) -> tuple[list[tuple[float, str]], float, float]:
    """Runs a model's command: printed lines with their times, total seconds, processor seconds."""
    command = [sys.executable, "-u", str(registry.ROOT / name / f"{name}.py"), *options]
    spent = _processor_seconds()
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        lines = [(time.perf_counter() - begin, line.strip()) for line in process.stdout]
    if process.returncode:
        last = lines[-1][1] if lines else "no output"
        raise UserError(f"{' '.join(command)}: exit status {process.returncode}, {last}")
    return lines, time.perf_counter() - begin, _processor_seconds() - spent


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(name: str, options: list[str]) -> dict:
    """Seconds until each stage of one model."""
    _, to_help, _ = timed_output(name, "--help")
    with tempfile.TemporaryDirectory() as folder:
        run = ["--run", str(Path(folder, "run")), "--dataset", "embedded", "--steps", "1"]
        lines, total, processor_seconds = timed_output(name, *run, "--log_every", "1", *options)
    announced = next(when for when, line in lines if "steps 0 to 1" in line)
    stepped = next(when for when, line in lines if line.startswith(FIRST_STEP))
    return {
        "model": name,
        "help": to_help,
        "announced": announced,
        "first_step": stepped,
        "exported": total,
        "processor_seconds": processor_seconds,
    }


SUMMARY = {  # headers of the columns
    "help": "help",
    "announced": "networks and data",
    "first_step": "first step",
    "exported": "SavedModel",
    "processor_seconds": "processor seconds",
}


def main(model: str = "all", options: str = "", json: str | None = None):
    """Prints the seconds until a model's command has shown help, built, trained and exported.

    Args:
        model: model, several separated by commas, or all.
        options: further options of train, such as "--image_size 64 --width 32".
        json: output file for the results.
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
