"""Adversarial objectives: pure functions of targets and logits.

Each has the signature of a Keras loss, `objective(target, logits)`, so a player is compiled with
it, and returns the mean over all elements: the batch, and for a PatchGAN every patch.
A discriminator's output is a logit or a score; no player ends in a sigmoid.
"""

from keras import ops


def cross_entropy(target, logits):
    """Binary cross-entropy of logits, the objective of Goodfellow et al. 2014 (equation 1).

    mean( t softplus(-l) + (1 - t) softplus(l) ), which is -t log s(l) - (1 - t) log(1 - s(l)) with
    s the logistic function, written so that no logit overflows and every slope is s(l) - t. With
    target 1 for the fakes it is the generator's non-saturating loss, -log D(G(z)).

    Args:
        target: 1 for real, 0 for fake; float, the shape of `logits`.
        logits: float, any shape.

    Returns:
        A float scalar.
    """
    return ops.mean(target * ops.softplus(-logits) + (1 - target) * ops.softplus(logits))


def least_squares(target, logits):
    """Least squares between score and target, the objective of Mao et al. 2017 (equation 2).

    mean( (l - t)^2 ). The paper's factor 1/2 is left to the caller.

    Args:
        target: 1 for real, 0 for fake; float, the shape of `logits`.
        logits: float, any shape.

    Returns:
        A float scalar.
    """
    return ops.mean(ops.square(logits - target))


def l1(target, prediction):
    """Mean absolute difference, mean |y - y_hat|, over the batch, the pixels and the channels."""
    return ops.mean(ops.abs(target - prediction))


def mse(target, prediction):
    """Mean squared difference, mean (y - y_hat)^2, over the batch, the pixels and the channels."""
    return ops.mean(ops.square(target - prediction))
