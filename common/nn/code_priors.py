"""Distributions of codes, each as a function of normal noise.

(B, n) independent N(0, 1) -> (B, d) codes. Whatever the distribution, a network that begins with
such a function goes from normal noise to images, and the same noise always gives the same code.
They take Keras tensors as well as values.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from keras import ops


class Prior(NamedTuple):
    """A distribution.

    Attributes:
        code_of: noise (B, n) -> codes (B, d).
        extra: n - d, the components of noise beyond those of a code.
        code_size: d, or None where any will do.
    """

    code_of: Callable
    extra: int = 0
    code_size: int | None = None


def gaussian(noise):
    """N(0, I): (B, d) -> (B, d), the noise itself."""
    return noise


def mixture(noise):
    """Ten Gaussians in the plane, like the petals of a flower: (B, 3) -> (B, 2).

    The centres lie on a circle of radius 2; a petal's standard deviation is 0.5 along the radius
    and 0.2 across it (ours: Makhzani et al. 2015 only show an image). The first component of the
    noise chooses the petal: its rank among all normal numbers, in tenths.
    """
    petal = ops.clip(ops.floor(10.0 * uniform(noise[:, 0])), 0.0, 9.0)
    turn = petal * (2.0 * math.pi / 10.0)
    along, across = 2.0 + 0.5 * noise[:, 1], 0.2 * noise[:, 2]
    x = along * ops.cos(turn) - across * ops.sin(turn)
    y = along * ops.sin(turn) + across * ops.cos(turn)
    return ops.stack([x, y], axis=1)


def swiss_roll(noise):
    """A spiral of two turns from the origin out to radius 3: (B, 2) -> (B, 2).

    The first component of the noise says how far along, about evenly in length; the second is
    the thickness, 0.1 of standard deviation along the radius (numbers ours, as above).
    """
    way = ops.sqrt(uniform(noise[:, 0]))
    radius, turn = 3.0 * way + 0.1 * noise[:, 1], 4.0 * math.pi * way
    return ops.stack([radius * ops.cos(turn), radius * ops.sin(turn)], axis=1)


def uniform(normal):
    """N(0, 1) -> U(0, 1), by the normal distribution function."""
    return 0.5 + 0.5 * ops.erf(normal / math.sqrt(2.0))


PRIORS = {
    "gaussian": Prior(gaussian),
    "mixture": Prior(mixture, extra=1, code_size=2),
    "swiss_roll": Prior(swiss_roll, code_size=2),
}
