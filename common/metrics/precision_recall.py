"""Improved precision and recall, density and coverage: fidelity and diversity as separate numbers.

The manifold of a set of features is estimated by balls around its points, each with the distance
to the point's k-th nearest neighbour in the set as radius. Precision and recall: Kynkaanniemi et
al. 2019 (Improved Precision and Recall Metric, arXiv:1904.06991, section 2). Density and coverage:
Naeem et al. 2020 (Reliable Fidelity and Diversity Metrics, arXiv:2002.09797, section 3).
"""

from common.errors import UserError

import numpy as np

# Distances per block: 64 MB in float64, and as much again for a sorted copy.
BLOCK = 2**23


def squared_radii(points, k=3):
    """Squared distance of each point to its k-th nearest neighbour, not counting itself.

    Args:
        points: features (N, D), N above k.
        k: rank of the neighbour.

    Returns:
        float64 array (N,).

    Raises:
        UserError: there are at most k points.
        ValueError: points is not (N, D).
    """
    points = _checked(points)
    if len(points) <= k:
        raise UserError(f"{k} nearest neighbours need at least {k + 1} images, not {len(points)}")
    radii = np.empty(len(points))
    for rows, distances in _blocks(points, points):
        here = np.arange(rows.start, rows.stop)
        distances[here - rows.start, here] = np.inf  # the point itself
        distances.partition(k - 1, axis=1)
        radii[rows] = distances[:, k - 1]
    return radii


def neighbour_scores(real, fake, k=3, real_squared_radii=None):
    """Precision, recall, density and coverage of samples.

    Precision is the share of samples within the manifold of the real images, recall the share of
    real images within the manifold of the samples. Outliers, whose balls are large, increase both.
    Density is the mean number of real balls that contain a sample, divided by k; coverage is the
    share of real images with a sample in their ball. As in the papers, balls are closed for the
    first two and open for the others.

    Args:
        real: features (N, D) of real images, N above k.
        fake: features (M, D) of samples, M above k.
        k: rank of the neighbour that defines the radius of a ball.
        real_squared_radii: `squared_radii(real, k)`, if already computed.

    Returns:
        {"precision", "recall", "density", "coverage"}: floats in [0, 1], except density in
        [0, N / k], whose expectation is 1 if samples and real images have one distribution.

    Raises:
        UserError: there are too few images.
        ValueError: the shapes are inconsistent.
    """
    real, fake = _checked(real), _checked(fake)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"features of one size are needed, not {real.shape} and {fake.shape}")
    real_squared_radii = (
        squared_radii(real, k) if real_squared_radii is None else real_squared_radii
    )
    fake_squared_radii = squared_radii(fake, k)
    inside = 0  # samples within the manifold of the real images
    balls = 0  # pairs of a sample and a real ball that contains it
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    for rows, distances in _blocks(fake, real):  # (samples, real images)
        inside += int((distances <= real_squared_radii).any(axis=1).sum())
        recalled |= (distances <= fake_squared_radii[rows, np.newaxis]).any(axis=0)
        within = distances < real_squared_radii
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
    """Yields squared distances between a (N, D) and b (M, D) in blocks of rows: slice, (rows, M).

    |a|^2 + |b|^2 - 2 a.b loses digits for points that are close together and far from the origin;
    in float64 the loss is negligible for float32 features. Rounding can make a zero slightly
    negative, hence the clip.
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
