"""Shared parts of the benchmarks' command lines."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from common.errors import UserError
from common.io.records import write_json

from jsonargparse import CLI


def run(main: Callable):
    """Calls `main` with arguments from the command line; a UserError is printed as one line."""
    try:
        CLI(main, as_positional=False)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


def in_own_process(function: Callable, *arguments):
    """The return value of a function called in a new, spawned process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def peak_mib() -> float:
    """Peak resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_markdown(*rows: tuple[str, ...]):
    """Prints a Markdown table; the first row is its header."""
    head, *others = (f"|{'|'.join(cells)}|" for cells in rows)
    print("", head, f"|{'---|' * len(rows[0])}", *others, sep="\n")


def write_results(file: str | None, results: list[dict]):
    """Writes the results to the JSON file of --json, if given."""
    if file:
        write_json(Path(file), results)
