"""Scores of generated images from the predictions of a classifier.

A class that was not requested is NaN in arrays by class, and is ignored in means and minima.
"""

import numpy as np
from scipy.special import rel_entr


def inception_score(probabilities, splits=1):
    """exp(mean KL(p(y | x) || p(y))), Salimans et al. 2016, arXiv:1606.03498, section 4.

    It ranges from 1 (the same prediction for every image) to K (all predictions are certain and
    all classes equally frequent). p(y) is the mean prediction on the images themselves. With a
    classifier other than Inception it does not compare with published scores.

    Args:
        probabilities: (N, K), rows that sum to 1.
        splits: number of parts that are scored separately; the paper's protocol has 10 of 5,000
            images each. More and smaller parts lower the score. Every splits-th image goes into
            the same part, so images sorted by class are spread over all parts.

    Returns:
        (mean, standard deviation) over the parts; the deviation of a single part is 0.

    Raises:
        ValueError: probabilities is not (N, K), or N is below splits.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or not 0 < splits <= len(probabilities):
        raise ValueError(f"(N, K) with N >= {splits} is needed, not {probabilities.shape}")
    scores = []
    for part in (probabilities[first::splits] for first in range(splits)):
        divergences = rel_entr(part, part.mean(axis=0)).sum(axis=1)
        scores.append(np.exp(divergences.mean()))
    return float(np.mean(scores)), float(np.std(scores))


def class_shares(predicted, classes):
    """Share of the images in each class: predicted, int (N,), N > 0 -> float64 (classes,)."""
    return np.bincount(predicted, minlength=classes) / len(predicted)


def class_accuracies(predicted, requested, classes):
    """Accuracy of the images of each requested class.

    Args:
        predicted: classes predicted by the classifier, int (N,).
        requested: classes requested from the generator, int (N,).
        classes: number of classes K.

    Returns:
        float64 array (K,), NaN for classes that were not requested.

    Raises:
        ValueError: the shapes differ.
    """
    predicted, requested = np.asarray(predicted), np.asarray(requested)
    if predicted.shape != requested.shape:
        raise ValueError(
            f"one class per image is needed, not {predicted.shape} and {requested.shape}"
        )
    correct = np.bincount(requested[predicted == requested], minlength=classes)
    with np.errstate(invalid="ignore"):
        return correct / np.bincount(requested, minlength=classes)


def class_variances(images, labels, classes):
    """Variance within each class: the variance of a pixel, averaged over pixels and channels.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,).
        classes: number of classes K.

    Returns:
        float64 array (K,), unbiased, in squared grey levels; NaN for fewer than two images.

    Raises:
        ValueError: the numbers of images and labels differ.
    """
    labels = np.asarray(labels)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    variances = np.full(classes, np.nan)
    for label in range(classes):
        (members,) = np.nonzero(labels == label)
        if len(members) > 1:
            variances[label] = _pixel_variance(images, members)
    return variances


def _pixel_variance(images, members):
    """The sums are exact integers, so the result does not depend on the order of the images."""
    total = np.zeros(images.shape[1:], np.int64)
    squares = np.zeros_like(total)
    for member in members:  # one at a time: a class may be large
        image = images[member].astype(np.int64)
        total += image
        squares += image * image
    n = len(members)
    return ((squares - total * total / n) / (n - 1)).mean()


def variance_ratios(generated, real):
    """Variances within classes relative to those of real images: (K,), (K,) -> (K,).

    1 means as varied as real images. It complements accuracy: a generator that has memorized one
    image per class has perfect accuracy and ratio 0.

    Returns:
        float64 array (K,); NaN where either variance is unknown or the real one is 0.
    """
    real = np.where(real > 0, real, np.nan)
    return generated / real


def mean_and_min(by_class):
    """Mean and minimum of the known values of (K,), two floats; NaN if none is known."""
    known = by_class[~np.isnan(by_class)]
    return (float(known.mean()), float(known.min())) if known.size else (np.nan, np.nan)
