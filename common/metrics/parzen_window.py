"""Log-likelihood of images under a Parzen window: a Gaussian around each of many samples."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

_CHUNK = 100  # images at a time
SIGMAS = np.logspace(-1, 0, 10)


def log_likelihoods(x: np.ndarray, samples: np.ndarray, sigma: float) -> np.ndarray:
    """Log-density at each image of the mean of Gaussians around the samples, in nats.

    log p(x) = log( mean_i exp( -|x - s_i|^2 / (2 sigma^2) ) ) - D / 2 log(2 pi sigma^2)

    It measures how near samples come to the images in pixels, and is no measure of image quality.

    Args:
        x: images as vectors, float (N, D) in [0, 1].
        samples: float (M, D) in [0, 1].
        sigma: standard deviation of the Gaussians, above 0.

    Returns:
        float64 (N,).
    """
    chunks = (x[first : first + _CHUNK] for first in range(0, len(x), _CHUNK))
    means = [
        logsumexp(cdist(chunk, samples, "sqeuclidean") / (-2 * sigma**2), axis=1)
        for chunk in chunks
    ]
    normalization = x.shape[1] / 2 * np.log(2 * np.pi * sigma**2)
    return np.concatenate(means) - np.log(len(samples)) - normalization


def best_sigma(validation: np.ndarray, samples: np.ndarray) -> float:
    """The one of SIGMAS with the highest mean log-likelihood of the validation images (N, D)."""
    means = [log_likelihoods(validation, samples, sigma).mean() for sigma in SIGMAS]
    return float(SIGMAS[int(np.argmax(means))])
