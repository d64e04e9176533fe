"""Random splits of the training data, and hashes that tell splits apart."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

VALIDATION = ("val", "valid", "validation")  # usual names of a folder of held-out data


def print_unused(folder: Path, names: Iterable[str], remedy: str):
    """Prints a line about the subfolders of these names, which are not used, if there are any.

    They are not used in place of a random split: runs that have made one must find it again.
    """
    unused = [f"{name}/" for name in names if (folder / name).is_dir()]
    if unused:
        print(f"{folder}: does not use {' and '.join(unused)}; {remedy}")


def random_split(total: int, seed: int, *counts: int) -> list[np.ndarray]:
    """A random partition of range(total).

    Args:
        total: number of samples.
        seed: seed for the partition.
        counts: number of samples in each held-out part; the first parts do not depend on the later
            ones.

    Returns:
        The remaining indices, then those of each part: int (N,), sorted.
    """
    order = np.random.default_rng(seed).permutation(total)
    *parts, rest = np.split(order, np.cumsum(counts, dtype=int))
    return [np.sort(part) for part in (rest, *parts)]


def hash_of_names(names: Iterable[str]) -> str:
    """A hash of names in their order, as hexadecimal digits."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def fingerprint(names: dict[str, Iterable[str]], unit: str) -> dict[str, str]:
    """The fingerprint of a dataset: count and hash of the names of each split.

    Args:
        names: names of the samples, by split.
        unit: what the samples are called, in the plural.
    """
    return {
        split: f"{len(each)} {unit}, {hash_of_names(each)[:16]}" for split, each in names.items()
    }
