"""What a classifier's verdicts say about samples: functions of probabilities, labels and images.

A class that was never asked for has NaN in the arrays by class, and no part in means and minima.
"""

import numpy as np
from scipy.special import rel_entr


def inception_score(probabilities, splits=1):
    """exp(mean KL(p(y | x) || p(y))), Salimans et al. 2016, arXiv:1606.03498, section 4.

    From 1 (every image gets the same verdict) to K (each verdict is certain and all classes
    come equally often). With another classifier than Inception it does not compare with published
    scores. p(y) is the mean verdict on the images themselves.

    Args:
        probabilities: (N, K), rows that sum to 1.
        splits: the paper's protocol scores 10 parts of 5,000 images each; more and smaller parts
            lower the score. Every splits-th image goes into one part, so that images sorted by
            class spread over all.

    Returns:
        (mean, standard deviation) over the parts; with one part the deviation is 0.

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
    """Share of the images in each class: predicted (N,), N above 0 -> float64 (classes,)."""
    return np.bincount(predicted, minlength=classes) / len(predicted)


def class_accuracies(predicted, asked, classes):
    """Share of the images of each asked class that show it.

    Args:
        predicted: int (N,), the classes that the classifier sees.
        asked: int (N,), those that were asked for.
        classes: K.

    Returns:
        float64 array (K,), NaN where a class was not asked for.

    Raises:
        ValueError: the shapes differ.
    """
    predicted, asked = np.asarray(predicted), np.asarray(asked)
    if predicted.shape != asked.shape:
        raise ValueError(f"one class each is needed, not {predicted.shape} and {asked.shape}")
    right = np.bincount(asked[predicted == asked], minlength=classes)
    with np.errstate(invalid="ignore"):
        return right / np.bincount(asked, minlength=classes)


def class_variances(images, labels, classes):
    """How much the images of one class differ: the variance of a pixel, averaged over pixels.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,).
        classes: K.

    Returns:
        float64 array (K,), unbiased, in squared grey levels; NaN for fewer than two images.

    Raises:
        ValueError: there is not one label an image.
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
    """The integers are exact: neither rounding nor the order of the images shows."""
    total = np.zeros(images.shape[1:], np.int64)
    squares = np.zeros_like(total)
    for member in members:  # one at a time: a class may be large
        image = images[member].astype(np.int64)
        total += image
        squares += image * image
    n = len(members)
    return ((squares - total * total / n) / (n - 1)).mean()


def spreads(generated, real):
    """Variances within a class (K,) relative to those of real images (K,).

    1 is as varied as real images. It belongs beside accuracy: a generator that knows one image
    of each class is always right, and has spread 0.

    Returns:
        float64 array (K,); NaN where either is unknown or the real images are all equal.
    """
    real = np.where(real > 0, real, np.nan)
    return generated / real


def mean_and_least(by_class):
    """Mean and minimum over the classes that are known: (K,) -> two floats, NaN if none is."""
    known = by_class[~np.isnan(by_class)]
    return (float(known.mean()), float(known.min())) if known.size else (np.nan, np.nan)
