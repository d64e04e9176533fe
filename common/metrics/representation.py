"""Quality of learned representations: linear probe, reconstruction error, statistics of codes."""

import numpy as np


def linear_accuracy(
    training: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> float:
    """Linear probe: test accuracy of a linear SVM on frozen features.

    One-vs-rest, with squared hinge loss and L2 penalty, C = 1: the L2-SVM of Radford et al. 2016,
    section 5.

    Args:
        training: features (N, F) and labels (N,) of at least two classes.
        test: features (M, F) and labels (M,).

    Returns:
        float in [0, 1].

    Raises:
        ValueError: all training labels are equal.
    """
    from sklearn.svm import LinearSVC  # here: half a second that no other verb needs

    classifier = LinearSVC(dual=False).fit(*training)
    features, labels = test
    return float(np.mean(classifier.predict(features) == labels))


def reconstruction_mse(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Mean of (x - x_hat)^2 over images and pixels, on the scale [0, 1].

    Args:
        x, x_hat: uint8 (N, S, S, C). Rounding x_hat to 8 bits adds up to 4e-6.
    """
    total = sum(  # image by image: a whole float copy of the dataset may not fit in memory
        np.square(one.astype(np.float32) - other.astype(np.float32)).mean(dtype=np.float64)
        for one, other in zip(x, x_hat, strict=True)
    )
    return float(total / len(x) / 255**2)


def moment_ranges(z: np.ndarray) -> dict[str, list[float]]:
    """Ranges, over the components of codes z (N, d), of their means and standard deviations.

    Returns:
        {"mean": [minimum, maximum], "std": [minimum, maximum]}.
    """
    moments = {"mean": z.mean(axis=0, dtype=np.float64), "std": z.std(axis=0, dtype=np.float64)}
    return {name: [float(values.min()), float(values.max())] for name, values in moments.items()}


def balanced_accuracy(real_logits: np.ndarray, fake_logits: np.ndarray) -> float:
    """Accuracy of a discriminator: the mean of its accuracies on real and on fake samples.

    Chance level is 0.5, whatever the sizes.

    Args:
        real_logits: (N,), correct where positive.
        fake_logits: (M,), correct where negative.
    """
    return float(((real_logits > 0).mean() + (fake_logits < 0).mean()) / 2)
