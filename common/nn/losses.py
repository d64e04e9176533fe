"""Objectives and penalties: pure functions of targets, outputs and critics.

An objective has the signature of a Keras loss, `objective(target, output)`, so a player is compiled
with it, and returns the mean over all elements: the batch, and for a PatchGAN every patch. The
output of a discriminator is a logit or a score; no discriminator ends in a sigmoid.
"""

from collections.abc import Callable, Iterable

from common.distributed.collectives import sharded_random

import keras
import tensorflow as tf
from keras import ops


def cross_entropy(target, logits):
    """Binary cross-entropy of logits, the objective of Goodfellow et al. 2014 (equation 1).

    mean( t softplus(-l) + (1 - t) softplus(l) ), which is -t log s(l) - (1 - t) log(1 - s(l)) with
    s the logistic function, written so that no logit overflows and its derivative is s(l) - t. With
    target 1 for generated images it is the generator's non-saturating loss, -log D(G(z)).

    Args:
        target: 1 for real, 0 for fake; float, the shape of `logits`.
        logits: float, any shape.

    Returns:
        A float scalar.
    """
    return ops.mean(target * ops.softplus(-logits) + (1 - target) * ops.softplus(logits))


def softmax_cross_entropy(labels, logits):
    """Cross-entropy of the logits of classes, mean( -log softmax(l)_c ).

    Args:
        labels: the class c of each image, from 0; of any numeric type, (B,).
        logits: float (B, K).

    Returns:
        A float scalar.
    """
    labels = ops.cast(labels, "int32")
    return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def accuracy(labels, logits):
    """Share of the images whose largest logit is that of their class: (B,), (B, K) -> a scalar."""
    return ops.mean(ops.cast(ops.equal(ops.argmax(logits, axis=-1), labels), "float32"))


def least_squares(target, scores):
    """Mean squared difference of score and target, of Mao et al. 2017 (equation 2).

    mean( (f - t)^2 ). The paper's factor 1/2 is left to the caller.

    Args:
        target: 1 for real, 0 for fake; float, the shape of `scores`.
        scores: float, any shape.

    Returns:
        A float scalar.
    """
    return ops.mean(ops.square(scores - target))


def wasserstein(target, scores):
    """The critic's mean score, with its sign: mean(-t f), of Arjovsky et al. 2017 (equation 2).

    -E[f] with target 1, for what should score high, and E[f] with target -1: the sum over real and
    generated images is the negative of the estimated distance.

    Args:
        target: 1 for real, -1 for fake; float, the shape of `scores`.
        scores: any real numbers; float, any shape.

    Returns:
        A float scalar.
    """
    return -ops.mean(target * scores)


def hinge(target, scores):
    """Hinge loss, mean( max(0, 1 - t f) ), of Lim and Ye 2017 (arXiv:1705.02894, section 2.3).

    It is D's loss. G's is linear, -E[f], which is `wasserstein` with target 1.

    Args:
        target: 1 for real, -1 for fake; float, the shape of `scores`.
        scores: any real numbers; float, any shape.

    Returns:
        A float scalar.
    """
    return ops.mean(ops.relu(1.0 - target * scores))


def l1(target, prediction):
    """Mean absolute difference, mean |y - y_hat|, over the batch, the pixels and the channels."""
    return ops.mean(ops.abs(target - prediction))


def mse(target, prediction):
    """Mean squared difference, mean (y - y_hat)^2, over the batch, the pixels and the channels."""
    return ops.mean(ops.square(target - prediction))


def l2_penalty(weights: Iterable, l2: float):
    """l2 / 2 times the sum of the squared weights, whose gradient is l2 w; 0.0 if `l2` is 0."""
    return l2 / 2 * sum(ops.sum(ops.square(w)) for w in weights) if l2 else 0.0


def orthogonal(kernels: Iterable, beta: float):
    """Orthogonal regularization, sum_W beta || W W^T o (1 - I) ||_F^2; 0.0 if `beta` is 0.

    Of Brock et al. 2019 (arXiv:1809.11096, equation 3): it makes the filters of a layer orthogonal
    to each other and leaves their lengths alone. Its gradient is 4 beta (W W^T o (1 - I)) W. The
    authors' code adds half of that to the gradient: a strength of 1e-4 there is a beta of 5e-5.

    Args:
        kernels: float (..., outputs) each, of two axes or more; W is (outputs, rest).
        beta: weight, 1e-4 in the paper.
    """
    if not beta:
        return 0.0
    total = 0.0
    for kernel in kernels:
        outputs = kernel.shape[-1]
        w = ops.reshape(ops.cast(kernel, "float32"), (-1, outputs))  # W^T
        products = ops.matmul(ops.transpose(w), w) * (1.0 - ops.eye(outputs))
        total += ops.sum(ops.square(products))
    return beta * total


def squared_gradient_norm(critic: Callable, x):
    """|| grad_x D(x) ||^2 of each image, float32 (B,); itself differentiable.

    Args:
        critic: called with images alone, (B, H, W, C) -> (B, 1) or (B, ...). An image's score must
            not depend on the others of the batch, so no batch normalization.
        x: the points at which the gradient is taken, float (B, H, W, C).
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        score = ops.sum(ops.cast(critic(x), "float32"))
    gradient = ops.cast(tape.gradient(score, x), "float32")
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))


def gradient_norm(critic: Callable, x):
    """|| grad_x D(x) ||_2 of each image, float32 (B,): the root of `squared_gradient_norm`."""
    # The slope of the root at 0 is infinite.
    return ops.sqrt(squared_gradient_norm(critic, x) + 1e-12)


def r1(critic: Callable, x):
    """mean( || grad_x D(x) ||^2 ) over real images x, of Mescheder et al. 2018 (equation 9).

    The paper's factor gamma / 2 is left to the caller.

    Args:
        critic, x: as of `squared_gradient_norm`.

    Returns:
        A float32 scalar.
    """
    return ops.mean(squared_gradient_norm(critic, x))


def gradient_penalty(norm, to: float = 1.0):
    """mean( (n - to)^2 ) of gradient norms n, as in WGAN-GP (equation 3) and DRAGAN.

    Args:
        norm: `gradient_norm` of the critic, float (B,).
        to: the norm that costs nothing. 0 penalizes the squared norm itself (R1, up to a factor).
    """
    return ops.mean(ops.square(norm - to))


def interpolated(x, x_fake, seed: keras.random.SeedGenerator):
    """e x + (1 - e) x_fake with e ~ U[0, 1) drawn for each pair of images (WGAN-GP, algorithm 1).

    Args:
        x, x_fake: images, float (B, H, W, C).
        seed: the source of e.
    """
    shape = (ops.shape(x)[0], *[1] * (len(x.shape) - 1))
    e = sharded_random(keras.random.uniform, shape, seed=seed)
    e = ops.cast(e, x.dtype)
    return e * x + (1 - e) * x_fake


def euclidean(x, y):
    """Euclidean distance || x - y || of each pair of images, over pixels and channels: float (B,).

    Args:
        x, y: float (B, H, W, C).
    """
    squares = ops.sum(ops.square(x - y), axis=tuple(range(1, len(x.shape))))
    return ops.sqrt(squares + 1e-12)  # the slope of the root at 0 is infinite


def feature_matching(features, other):
    """Squared distance of two batches' mean features, of Salimans et al. 2016 (section 3.1).

    mean_d ( mean_batch f_d(x) - mean_batch f_d(x') )^2. The paper's norm is the sum over the
    features d, its code has the mean.

    Args:
        features, other: float (N, D) and (M, D).

    Returns:
        A float scalar.
    """
    return ops.mean(ops.square(ops.mean(features, axis=0) - ops.mean(other, axis=0)))


def pulling_away(codes):
    """Pulling-away term: mean squared cosine of the codes of different images, in [0, 1].

    1 / (N (N - 1)) sum_i sum_{j != i} (S_i . S_j / (|S_i| |S_j|))^2, of Zhao et al. 2017
    (equation 14).

    Args:
        codes: float (N, D).

    Returns:
        A float scalar, 0 for a single image.
    """
    count = codes.shape[0]
    unit = codes * ops.rsqrt(ops.sum(ops.square(codes), axis=1, keepdims=True) + 1e-12)
    squares = ops.sum(ops.square(ops.matmul(unit, ops.transpose(unit))))
    diagonal = ops.sum(ops.square(ops.sum(ops.square(unit), axis=1)))
    return (squares - diagonal) / max(1, count * (count - 1))
