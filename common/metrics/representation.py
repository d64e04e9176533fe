"""How much of the classes lies open in features: what a linear classifier makes of them."""

import numpy as np


def linear_accuracy(learnt, tested):
    """Share of test features that a linear support vector machine puts into the right class.

    One machine for each class against the others, with the squared hinge and an L2 penalty, C = 1:
    the L2-SVM of Radford et al. 2016, section 5.

    Args:
        learnt: features (N, F) and labels (N,) of two classes or more to learn from.
        tested: features (M, F) and labels (M,) to be right on.

    Returns:
        0 to 1.

    Raises:
        ValueError: the labels to learn from are all one class.
    """
    from sklearn.svm import LinearSVC  # here: half a second that no other verb needs

    machine = LinearSVC(dual=False).fit(*learnt)
    x, labels = tested
    return float(np.mean(machine.predict(x) == labels))
