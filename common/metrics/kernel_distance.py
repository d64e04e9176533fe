"""KID-style kernel distance between two sets of features: the squared maximum mean discrepancy.

With Inception features it is the KID of Binkowski et al. 2018 (Demystifying MMD GANs,
arXiv:1801.01401, section 4). Unlike that of the Frechet distance its estimate is unbiased, so
values from different numbers of images are comparable.
"""

from common.errors import UserError

import numpy as np


def polynomial_mmd2(x, y):
    """Unbiased estimate of MMD^2 with the kernel k(a, b) = (a . b / D + 1)^3.

    The mean of k over pairs of distinct x, plus the mean over pairs of distinct y, minus twice the
    mean over all pairs (x, y): Gretton et al. 2012, equation 3.

    Args:
        x, y: features (N, D) and (M, D); N and M at least 2.

    Returns:
        float. Its expectation is 0 for samples from one distribution, so it can be negative.

    Raises:
        UserError: there are fewer than two samples.
        ValueError: the shapes are inconsistent.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features (N, D) and (M, D) are needed, not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise UserError(
            f"the kernel distance needs at least 2 images per set, not {len(x)} and {len(y)}"
        )
    return _mean_of_distinct_pairs(x) + _mean_of_distinct_pairs(y) - 2 * _kernel(x, y).mean()


def kernel_distance(x, y, subsets=100, size=1000, seed=0):
    """Mean and standard deviation of MMD^2 over random subsets, as KID is computed.

    Args:
        x, y: features (N, D) and (M, D).
        subsets: number of pairs of subsets.
        size: samples per subset, drawn without replacement; at most half of the smaller set, so
            that the subsets differ.
        seed: seed for the choice of subsets.

    Returns:
        (mean, standard deviation), floats. The deviation is that of one subset's estimate; the
        error of the mean is several times smaller.

    Raises: as `polynomial_mmd2`.
    """
    x, y = np.asarray(x), np.asarray(y)
    size = min(size, max(min(len(x), len(y)) // 2, 2))
    random = np.random.default_rng(seed)
    estimates = [
        polynomial_mmd2(
            x[random.choice(len(x), size, replace=False)],
            y[random.choice(len(y), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(estimates)), float(np.std(estimates))


def _kernel(x, y):
    """Kernel matrix: (N, D), (M, D) -> (N, M)."""
    base = x @ y.T
    base /= x.shape[1]
    base += 1
    cube = base * base
    cube *= base
    return cube


def _mean_of_distinct_pairs(x):
    """Mean of k over pairs of distinct samples."""
    kernel = _kernel(x, x)
    return (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
