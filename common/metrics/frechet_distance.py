"""The Frechet distance between the features of two sets of images.

With the pooled features of Keras' InceptionV3 it is the "Keras-Inception FID" (see
`common.evaluation.inception`). Any other (N, D) features serve as well.
"""

from common.errors import UserError

import numpy as np


def frechet_distance(mean1, cov1, mean2, cov2):
    """Squared Frechet (2-Wasserstein) distance of two Gaussians.

    |mean1 - mean2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)): Dowson and Landau 1982; as a measure
    of images Heusel et al. 2017, arXiv:1706.08500, equation 6.

    Args:
        mean1, mean2: (D,).
        cov1, cov2: (D, D), symmetric and positive semi-definite; they may be singular.

    Returns:
        float, at least 0, in squared units of the features.

    Raises:
        ValueError: the shapes do not fit together.
    """
    mean1, cov1, mean2, cov2 = (np.asarray(a, np.float64) for a in (mean1, cov1, mean2, cov2))
    (dimension,) = mean1.shape
    if mean2.shape != mean1.shape or not cov1.shape == cov2.shape == (dimension, dimension):
        raise ValueError(
            "means (D,) and covariances (D, D) are needed, "
            f"not {mean1.shape}, {cov1.shape}, {mean2.shape}, {cov2.shape}"
        )
    # cov1 cov2 has the eigenvalues of root1 cov2 root1, which is symmetric: no complex parts arise.
    # Rounding makes the zero eigenvalues of a singular matrix slightly negative, hence the clips.
    values, vectors = np.linalg.eigh(cov1)
    root1 = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace_root = np.sqrt(np.linalg.eigvalsh(root1 @ cov2 @ root1).clip(0)).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(cov1 + cov2) - 2 * trace_root
    return max(float(distance), 0.0)


def statistics(features):
    """Mean and unbiased covariance of features, in float64.

    Args:
        features: (N, D), N at least 2.

    Returns:
        mean (D,), cov (D, D).

    Raises:
        UserError: fewer than two samples, or features that are not finite.
        ValueError: another shape.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise ValueError(f"features (N, D) are needed, not {features.shape}")
    if len(features) < 2:
        raise UserError(
            f"a Frechet distance needs at least 2 images on each side, here are {len(features)}"
        )
    if not np.isfinite(features).all():
        raise UserError(
            "a Frechet distance needs finite features, here are NaN or infinite ones: "
            "the network has diverged, evaluate an earlier checkpoint"
        )
    mean = features.mean(axis=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)
