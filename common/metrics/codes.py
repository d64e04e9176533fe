"""What an auto-encoder's codes are worth: how they lie, and what comes back from them."""

import numpy as np


def squared_error(x: np.ndarray, x_hat: np.ndarray) -> float:
    """Mean of (x - x_hat)^2 over images and pixels, which are taken to [0, 1].

    Args:
        x, x_hat: uint8, of one shape (N, S, S, C). Rounding x_hat to 8 bits adds up to 4e-6.
    """
    total = sum(
        np.square(one.astype(np.float32) - other.astype(np.float32)).mean(dtype=np.float64)
        for one, other in zip(x, x_hat, strict=True)
    )
    return float(total / len(x) / 255**2)


def spread(z: np.ndarray) -> dict[str, list[float]]:
    """Least and largest "mean" and "std", the deviation, of a component of codes z (N, d)."""
    each = {"mean": z.mean(axis=0, dtype=np.float64), "std": z.std(axis=0, dtype=np.float64)}
    return {name: [float(values.min()), float(values.max())] for name, values in each.items()}


def share_told_apart(real: np.ndarray, fake: np.ndarray) -> float:
    """Accuracy of a discriminator from its logits for real (N,) and fake (M,) ones.

    The mean of its accuracies on both, so that 0.5 is chance whatever N and M.
    """
    return float(((real > 0).mean() + (fake < 0).mean()) / 2)


def format_codes(results: dict) -> str:
    """The results of an auto-encoder's evaluation in a few lines."""

    def written(part):
        (a, b), (c, d) = part["mean"], part["std"]
        return f"means {a:.2f} to {b:.2f}, deviations {c:.2f} to {d:.2f}"

    lines = [
        f"of {results['count']} real test images:",
        f"reconstruction  squared error {results['reconstruction_mse']:.4f} on [0, 1]",
        f"codes           {written(results['codes'])}",
        f"prior           {written(results['prior'])}",
        f"discriminator   right on {results['discriminator_accuracy']:.1%}; 50% is chance",
    ]
    if "classification_error" in results:
        lines.append(f"classification  wrong on {results['classification_error']:.2%}")
    return "\n".join(lines)
