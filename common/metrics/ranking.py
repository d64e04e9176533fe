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
    return float(mannwhitneyu(high, low).statistic / (len(high) * len(low)))
