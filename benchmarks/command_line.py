"""What the benchmarks have in common as commands."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from common.errors import UserError

from jsonargparse import CLI


def run(main: Callable):
    """Calls `main` with its parameters from the command line.

    What a user can mend is said in a line.
    """
    try:
        CLI(main, as_positional=False)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


def in_own_process(function: Callable, *arguments):
    """What the function returns in a new process, which imports everything anew."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()
