"""Which modes of a mixture samples have found, and how many of them lie in one."""

from benchmarks.gaussian_mixtures import Mixture

import numpy as np
from scipy.spatial import cKDTree

GOOD = 3.0  # standard deviations from the nearest centre


def mode_scores(samples: np.ndarray, mixture: Mixture, least: int = 1) -> dict[str, float]:
    """Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1.

    Args:
        samples: (N, 2), N at least 1.
        mixture: that they should follow.
        least: good samples that a mode must have to count as found; 1 in the paper.

    Returns:
        `modes`, how many centres have `least` good samples, ones within three standard deviations;
        `good`, the share of good samples; `kl`, the Kullback-Leibler divergence in nats of the
        modes' shares of the good samples from equal ones, infinite where none is good.
    """
    distances, nearest = cKDTree(mixture.centres).query(np.asarray(samples, np.float64))
    good = distances <= GOOD * mixture.std
    counts = np.bincount(nearest[good], minlength=len(mixture.centres))
    shares = counts[counts > 0] / max(counts.sum(), 1)
    kl = float(np.sum(shares * np.log(shares * len(counts)))) if good.any() else float("inf")
    return {"modes": int(np.count_nonzero(counts >= least)), "good": float(good.mean()), "kl": kl}
