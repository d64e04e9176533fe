"""Prior distributions of codes, each as a deterministic function of normal noise.

(B, n) independent N(0, 1) -> (B, d) codes. With any prior, a network that starts with such a
function maps normal noise to images. The functions take Keras tensors as well as values.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from keras import ops


class Prior(NamedTuple):
    """A prior distribution.

    Attributes:
        code_of: function of noise (B, n) that returns codes (B, d).
        extra: n - d, the number of components that noise has more than a code.
        code_size: d, or None for any.
    """

    code_of: Callable
    extra: int = 0
    code_size: int | None = None


def gaussian(noise):
    """N(0, I): (B, d) -> (B, d), the noise itself."""
    return noise


def mixture(noise):
    """A mixture of ten 2-D Gaussians arranged like petals: (B, 3) -> (B, 2).

    The centres are on a circle of radius 2; the standard deviation is 0.5 along the radius and 0.2
    across it (our choice: Makhzani et al. 2015 only show a plot). The decile of the first component
    of the noise chooses the Gaussian.
    """
    petal = ops.clip(ops.floor(10.0 * uniform(noise[:, 0])), 0.0, 9.0)
    angle = petal * (2.0 * math.pi / 10.0)
    along, across = 2.0 + 0.5 * noise[:, 1], 0.2 * noise[:, 2]
    x = along * ops.cos(angle) - across * ops.sin(angle)
    y = along * ops.sin(angle) + across * ops.cos(angle)
    return ops.stack([x, y], axis=1)


def swiss_roll(noise):
    """A spiral of two turns from the origin to radius 3: (B, 2) -> (B, 2).

    The first component of the noise gives the position along the spiral, about uniform in length;
    the second the deviation along the radius, of standard deviation 0.1 (our choice, as above).
    """
    position = ops.sqrt(uniform(noise[:, 0]))
    radius, angle = 3.0 * position + 0.1 * noise[:, 1], 4.0 * math.pi * position
    return ops.stack([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)


def uniform(normal):
    """N(0, 1) -> U(0, 1), by the cumulative distribution function."""
    return 0.5 + 0.5 * ops.erf(normal / math.sqrt(2.0))


PRIORS = {
    "gaussian": Prior(gaussian),
    "mixture": Prior(mixture, extra=1, code_size=2),
    "swiss_roll": Prior(swiss_roll, code_size=2),
}
