"""Modes of stacked digits, from the class of each channel."""

import numpy as np
from scipy.special import rel_entr


def stacked_modes(predicted, shares):
    """Which of the K^3 combinations of classes samples cover, and how evenly.

    Args:
        predicted: class of each channel of each sample, int (N, 3).
        shares: share of each class among the digits of which the data are stacked, (K,); channels
            are independent, so a combination has the product of three of them.

    Returns:
        `modes`, the number of combinations that occur; and `kl`, the Kullback-Leibler divergence in
        nats of the samples' distribution over the combinations from that of the data, which is
        about K^3 / 2N for N samples of the data themselves.
    """
    classes = len(shares)
    a, b, c = np.asarray(predicted).T
    counts = np.bincount((a * classes + b) * classes + c, minlength=classes**3)
    expected = np.einsum("a,b,c->abc", shares, shares, shares).ravel()
    kl = rel_entr(counts / counts.sum(), expected).sum()
    return {"modes": int(np.count_nonzero(counts)), "kl": float(kl)}
