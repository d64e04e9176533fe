"""The Frechet distance between the features of two sets of images.

With the pooled features of Keras' InceptionV3 it is the "Keras-Inception FID" (see
`common.evaluation.inception`); any other (N, D) features can be used.
"""

from common.errors import UserError

import numpy as np


def frechet_distance(mean1, cov1, mean2, cov2):
    """Squared Frechet (2-Wasserstein) distance between two Gaussians.

    |mean1 - mean2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)): Dowson and Landau 1982; as a metric
    for images Heusel et al. 2017, arXiv:1706.08500, equation 6.

    Args:
        mean1, mean2: (D,).
        cov1, cov2: (D, D), symmetric and positive semi-definite, possibly singular.

    Returns:
        Non-negative float, in squared units of the features.

    Raises:
        ValueError: the shapes are inconsistent.
    """
    mean1, cov1, mean2, cov2 = (np.asarray(a, np.float64) for a in (mean1, cov1, mean2, cov2))
    (dimension,) = mean1.shape
    if mean2.shape != mean1.shape or not cov1.shape == cov2.shape == (dimension, dimension):
        raise ValueError(
            "means (D,) and covariances (D, D) are needed, "
            f"not {mean1.shape}, {cov1.shape}, {mean2.shape}, {cov2.shape}"
        )
    # cov1 cov2 has the eigenvalues of root1 cov2 root1, which is symmetric, so no complex parts
    # arise. Rounding can make zero eigenvalues of singular matrices negative, hence the clips.
    values, vectors = np.linalg.eigh(cov1)
    root1 = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace_root = np.sqrt(np.linalg.eigvalsh(root1 @ cov2 @ root1).clip(0)).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(cov1 + cov2) - 2 * trace_root
    return max(float(distance), 0.0)


def mean_and_covariance(features):
    """Mean and unbiased covariance of features in float64.

    Args:
        features: (N, D), N at least 2.

    Returns:
        mean (D,), cov (D, D).

    Raises:
        UserError: there are fewer than two samples, or features are not finite.
        ValueError: features is not (N, D).
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise ValueError(f"features (N, D) are needed, not {features.shape}")
    if len(features) < 2:
        raise UserError(
            f"the Frechet distance needs at least 2 images per set, not {len(features)}"
        )
    if not np.isfinite(features).all():
        raise UserError(
            "the Frechet distance needs finite features, but some are NaN or infinite: "
            "the network has diverged, evaluate an earlier checkpoint"
        )
    mean = features.mean(axis=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)
