"""Splits that are cut from the training data by lot."""

import numpy as np


def shares(total: int, seed: int, *counts: int) -> list[np.ndarray]:
    """The numbers 0 to before `total`, shared out by lot.

    Args:
        total: how many there are.
        seed: of the lot.
        counts: how many each share gets; the first shares do not depend on those after them.

    Returns:
        What is left, then the shares: int (N,), each in order.
    """
    order = np.random.default_rng(seed).permutation(total)
    *parts, rest = np.split(order, np.cumsum(counts, dtype=int))
    return [np.sort(part) for part in (rest, *parts)]
