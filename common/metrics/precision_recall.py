"""Fidelity and diversity of samples apart, from the nearest neighbours of their features.

Each set of features spans a region: the union of balls about its points, each of which reaches to
the point's k-th neighbour in the set. Precision and recall: Kynkaanniemi et al. 2019 (Improved
Precision and Recall Metric, arXiv:1904.06991, section 2). Density and coverage: Naeem et al. 2020
(Reliable Fidelity and Diversity Metrics, arXiv:2002.09797, section 3).
"""

from common.errors import UserError

import numpy as np

# Numbers in one block of distances: 64 MB in float64, and as much again for a sorted copy.
BLOCK = 2**23


def radii2(points, k=3):
    """Squared distance of each point to its k-th nearest neighbour, itself not counted.

    Args:
        points: features (N, D), N above k.
        k: which neighbour.

    Returns:
        float64 array (N,).

    Raises:
        UserError: there are not more than k points.
        ValueError: points is not (N, D).
    """
    points = _checked(points)
    if len(points) <= k:
        raise UserError(
            f"{k} nearest neighbours need at least {k + 1} images, here are {len(points)}"
        )
    radii = np.empty(len(points))
    for rows, distances in _blocks(points, points):
        here = np.arange(rows.start, rows.stop)
        distances[here - rows.start, here] = np.inf  # itself
        distances.partition(k - 1, axis=1)
        radii[rows] = distances[:, k - 1]
    return radii


def neighbour_scores(real, fake, k=3, real_radii2=None):
    """Precision, recall, density and coverage of samples.

    Precision is the share of samples inside the region of the real images, recall the share of
    real images inside that of the samples. Both rise with outliers, whose balls are large.
    Density counts the balls of real images that each sample lies in, in units of k; coverage is
    the share of real images with a sample in their ball. As in the papers, a ball's surface
    belongs to it for the first two and does not for the others.

    Args:
        real: features (N, D) of real images, N above k.
        fake: features (M, D) of samples, M above k.
        k: the neighbour that a ball reaches to.
        real_radii2: `radii2(real, k)`, where it is known already.

    Returns:
        {"precision", "recall", "density", "coverage"}: floats in [0, 1], but density in [0, N / k]
        (1 is expected of samples from the distribution of the real images).

    Raises:
        UserError: there are too few images.
        ValueError: the shapes do not fit together.
    """
    real, fake = _checked(real), _checked(fake)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"features of one size are needed, not {real.shape} and {fake.shape}")
    real_radii2 = radii2(real, k) if real_radii2 is None else real_radii2
    fake_radii2 = radii2(fake, k)
    inside = 0  # samples inside the real region
    balls = 0  # pairs of a sample and a real ball that holds it
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    for rows, distances in _blocks(fake, real):  # a row a sample, a column a real image
        inside += int((distances <= real_radii2).any(axis=1).sum())
        recalled |= (distances <= fake_radii2[rows, np.newaxis]).any(axis=0)
        within = distances < real_radii2
        balls += int(within.sum())
        covered |= within.any(axis=0)
    return {
        "precision": inside / len(fake),
        "recall": float(recalled.mean()),
        "density": balls / (k * len(fake)),
        "coverage": float(covered.mean()),
    }


def _checked(points):
    points = np.asarray(points, np.float64)
    if points.ndim != 2:
        raise ValueError(f"features (N, D) are needed, not {points.shape}")
    return points


def _blocks(a, b):
    """Squared distances of a (N, D) to b (M, D), some rows at a time: (slice, (rows, M)).

    |a|^2 + |b|^2 - 2 a.b loses digits where two points are close together far from the origin;
    in float64 what is lost of a float32 feature is of no account. Rounding may leave a zero
    slightly negative, hence the clip.
    """
    squares_a, squares_b = (np.einsum("nd,nd->n", points, points) for points in (a, b))
    step = max(1, BLOCK // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, min(start + step, len(a)))
        distances = a[rows] @ b.T
        distances *= -2
        distances += squares_a[rows, np.newaxis]
        distances += squares_b
        yield rows, np.maximum(distances, 0, out=distances)
