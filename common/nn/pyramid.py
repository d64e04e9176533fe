"""Laplacian pyramids: an image as a coarse one and the bands that bring back its details.

With d halving an image and u doubling it again, an image I_k of a level is l_k + h_k, where
l_k = u(d(I_k)) is what its coarser level I_{k+1} = d(I_k) tells of it and h_k, its band, is the
rest. So any pair of d and u gives an image back exactly, as long as it is the same pair everywhere.
Here d is the mean of 2x2 pixels, u is bilinear interpolation.
"""

from common.errors import UserError

import tensorflow as tf
from keras import ops

LARGEST_BASE = 8  # px, side of the coarsest level


def sides(image_size: int) -> tuple[int, ...]:
    """Sides of the levels of a pyramid, from coarse to fine: (7, 14, 28) for 28.

    A side is halved as long as it is even and above 8.

    Raises:
        UserError: there would be a single level, or a coarsest one of more than 8 pixels.
    """
    found = (image_size,)
    while found[0] > LARGEST_BASE and found[0] % 2 == 0:
        found = (found[0] // 2, *found)
    if len(found) == 1 or found[0] > LARGEST_BASE:
        raise UserError(
            f"--image_size {image_size}: give 5 to {LARGEST_BASE} times 2, 4, 8, ..., such as 28, "
            "32 or 64"
        )
    return found


def down(x: tf.Tensor) -> tf.Tensor:
    """d: the mean of each 2x2 pixels, float (B, 2 S, 2 S, C) -> (B, S, S, C)."""
    return ops.average_pool(x, 2)


def up(x: tf.Tensor) -> tf.Tensor:
    """u: bilinear interpolation, float (B, S, S, C) -> (B, 2 S, 2 S, C).

    A pixel has 9/16 of the nearest pixel of x, 3/16 of two others and 1/16 of a fourth; at the
    border x is continued by its last pixels.
    """
    side = x.shape[1]
    return ops.image.resize(x, (2 * side, 2 * side), interpolation="bilinear")


def reduced(x: tf.Tensor, side: int) -> tf.Tensor:
    """An image's coarser level of this side, by `down` as often as needed."""
    while x.shape[1] > side:
        x = down(x)
    return x


def enlarged(x: tf.Tensor, side: int) -> tf.Tensor:
    """An image at this side without any band, by `up` as often as needed."""
    while x.shape[1] < side:
        x = up(x)
    return x
