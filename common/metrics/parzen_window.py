"""Log-likelihood of images under a Parzen window: a Gaussian around each of many samples."""

import numpy as np
from scipy.special import logsumexp

_CHUNK = 200  # images at a time
SIGMAS = np.logspace(-1, 0, 10)


def log_likelihoods(x: np.ndarray, samples: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Log-densities of images under the mean of Gaussians around the samples, in nats.

    log p(x) = log( mean_i exp( -|x - s_i|^2 / (2 sigma^2) ) ) - D / 2 log(2 pi sigma^2)

    It measures how near samples come to the images in pixels, and is no measure of image quality.

    Args:
        x: images as vectors, float (N, D) in [0, 1].
        samples: float (M, D) in [0, 1].
        sigmas: standard deviations of the Gaussians, above 0, float (S,).

    Returns:
        float64 (S, N).
    """
    x, samples = x.astype(np.float64), samples.astype(np.float64)
    norms = np.square(samples).sum(axis=1)
    result = np.empty((len(sigmas), len(x)))
    for first in range(0, len(x), _CHUNK):
        some = x[first : first + _CHUNK]
        squares = np.square(some).sum(axis=1)[:, None] + norms - 2.0 * some @ samples.T
        for row, sigma in zip(result, sigmas, strict=True):
            row[first : first + _CHUNK] = logsumexp(squares / (-2.0 * sigma**2), axis=1)
    normalization = x.shape[1] / 2 * np.log(2 * np.pi * np.square(sigmas))
    return result - np.log(len(samples)) - normalization[:, None]


def best_sigma(validation: np.ndarray, samples: np.ndarray) -> float:
    """The one of SIGMAS with the highest mean log-likelihood of the validation images (N, D)."""
    means = log_likelihoods(validation, samples, SIGMAS).mean(axis=1)
    return float(SIGMAS[int(means.argmax())])
