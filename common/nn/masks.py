"""Masks of images with a hole: 1 on the visible pixels, 0 in the hole."""

from common.distributed.collectives import sharded_random

import keras
import tensorflow as tf
from keras import ops


def with_square_holes(
    count: int, side: int, hole: int, seed: keras.random.SeedGenerator
) -> tf.Tensor:
    """Masks with one square hole each, at a place drawn uniformly among those inside the image.

    Args:
        count: number of masks B.
        side: side of the images in pixels.
        hole: side of the holes in pixels, at most `side`.
        seed: the source of the places.

    Returns:
        float32 (B, side, side, 1).
    """
    places = (count, 2)  # top and left
    corners = sharded_random(keras.random.randint, places, 0, side - hole + 1, seed=seed)
    pixel = ops.arange(side, dtype="int32")
    distance = pixel[None, None] - corners[..., None]  # (B, 2, side)
    inside = ops.cast((distance >= 0) & (distance < hole), "float32")
    return 1.0 - inside[:, 0, :, None, None] * inside[:, 1, None, :, None]


def composite(m, x, filled):
    """m x + (1 - m) x_hat: the visible pixels of one image, the hole of the other.

    Args:
        m: mask, float (B, H, W, 1).
        x, filled: images, float (B, H, W, C).
    """
    return m * x + (1.0 - m) * filled
