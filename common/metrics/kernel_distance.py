"""The kernel distance of two sets of features: the squared maximum mean discrepancy.

With the features of Inception it is the KID of Binkowski et al. 2018 (Demystifying MMD GANs,
arXiv:1801.01401, section 4). Its estimate has no bias, unlike that of the Frechet distance, so
numbers from few images and from many compare.
"""

from common.errors import UserError

import numpy as np


def polynomial_mmd2(x, y):
    """Unbiased estimate of MMD^2 with the kernel k(a, b) = (a . b / D + 1)^3.

    The mean of k over pairs of different x, plus that over pairs of different y, minus twice the
    mean over all pairs (x, y): Gretton et al. 2012, equation 3.

    Args:
        x, y: features (N, D) and (M, D); N and M at least 2.

    Returns:
        float; 0 is expected where both come from one distribution, so it can be negative.

    Raises:
        UserError: fewer than two samples.
        ValueError: the shapes do not fit together.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features (N, D) and (M, D) are needed, not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise UserError(
            f"a kernel distance needs at least 2 images a side, here are {len(x)} and {len(y)}"
        )
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * _kernel(x, y).mean()


def kernel_distance(x, y, subsets=100, size=1000, seed=0):
    """MMD^2 over random subsets: their mean is the estimate, their spread tells how sure it is.

    Args:
        x, y: features (N, D) and (M, D).
        subsets: how many pairs of subsets are drawn.
        size: samples in each, drawn without replacement; half of what there is, if that is less,
            for the subsets to differ.
        seed: of the draws; equal seeds and numbers of features draw equal subsets.

    Returns:
        (mean, standard deviation over the subsets), floats. The deviation is that of one subset's
        estimate; the mean's own error is several times smaller.

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
    """k of all pairs: (N, D), (M, D) -> (N, M)."""
    base = x @ y.T
    base /= x.shape[1]
    base += 1
    cube = base * base
    cube *= base
    return cube


def _mean_of_pairs(x):
    """Mean of k over the pairs of two different x."""
    kernel = _kernel(x, x)
    return (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
