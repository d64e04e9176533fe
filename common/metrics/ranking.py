"""How well a score tells two sets apart."""

import numpy as np
from scipy.stats import mannwhitneyu


def area_under_curve(high: np.ndarray, low: np.ndarray) -> float:
    """Area under the ROC curve: the probability that one of `high` exceeds one of `low`.

    Ties count half; 0.5 is chance. It is the U statistic of Mann and Whitney over the number of
    pairs.

    Args:
        high, low: scores, float (N,) and (M,), none of them empty.
    """
    pairs = len(high) * len(low)  # in float32 a statistic of so many would be rounded
    return float(mannwhitneyu(np.float64(high), np.float64(low)).statistic) / pairs
