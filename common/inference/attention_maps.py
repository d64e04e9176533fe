"""Where the attention of a generator goes: maps for some pixels of each image."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

from common.errors import UserError
from common.images import image_file
from common.images.grid import grid
from common.inference.draw import Sampling
from common.inference.endpoints import labels_in_turn
from common.inference.sampler import Sampler
from common.nn.attention import attention_of
from common.reports.result_page import LinkedImage, ResultPage

import keras
import numpy as np
import tensorflow as tf

NAME = "attention.png"
SIDE = 128  # px, least side of an image and of a map
BATCH_SIZE = 16  # the weights of an image take up to 16 MB
COLORS = ((255, 0, 0), (0, 200, 0), (60, 100, 255), (255, 160, 0), (200, 0, 200))
Point = tuple[int, int]  # row and column of a pixel, from 0


class AttentionMaps:
    """Images of a generator, and the attention weights of its pixels.

    Args:
        network: generator with self-attention; its weights are those at the time of a call.

    Raises:
        UserError: it has no attention.
    """

    def __init__(self, network: keras.Model):
        self.layer = attention_of(network)
        if self.layer is None:
            raise UserError(
                "--attention: the generator has none; train a run without --attention_size 0"
            )
        self._network = keras.Model(network.inputs, [network.output, self.layer.input])
        self._graph = tf.function(self._images_and_weights, autograph=False)

    def _images_and_weights(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, features = self._network(inputs, training=False)
        return images, self.layer.attention(features)

    def __call__(
        self, noise: np.ndarray, classes: np.ndarray, points: Sequence[Point]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images of noise and classes, and the attention weights of some of their pixels.

        Args:
            noise: z, float32 (N, size).
            classes: one-hot, float32 (N, K).
            points: P pixels of the image.

        Returns:
            uint8 (N, S, S, C), and float32 (N, P, h, w), which sums to 1 over each map.
        """
        _, height, width, _ = self.layer.input.shape
        images, maps = [], []
        for first in range(0, len(noise), BATCH_SIZE):
            batch = slice(first, first + BATCH_SIZE)
            drawn, weights = self._graph([tf.constant(noise[batch]), tf.constant(classes[batch])])
            scale = drawn.shape[1] // height
            queries = [row // scale * width + column // scale for row, column in points]
            images.append(image_file.to_uint8(drawn.numpy()))
            maps.append(weights.numpy()[:, queries])
        shape = (len(noise), len(points), height // 2, width // 2)
        return np.concatenate(images), np.concatenate(maps).reshape(shape)


def draw_attention(
    sampler: Sampler,
    class_ids: list[int],
    sampling: Sampling,
    folder: Path,
    page: ResultPage,
    points: Sequence[Point] | None = None,
) -> str:
    """Writes attention.png: a row for each image, with a map for each of the points.

    The first column shows the images with all points, each in a color of its own; a map has its own
    point alone.

    Args:
        sampler, class_ids, sampling, folder, page: as of `draw_images`.
        points: pixels of the image; default the centre and four around it.

    Returns:
        A summary in one line.

    Raises:
        UserError: the sampler is no run's or has no attention, a point lies outside the image, or
            the file cannot be written.
    """
    if sampler.network is None:
        raise UserError("--attention: a SavedModel only generates images; give the run")
    side = sampler.network.output.shape[1]
    points = around_the_centre(side) if points is None else points
    for row, column in points:
        if not (0 <= row < side and 0 <= column < side):
            raise UserError(f"--points: {row},{column} is outside the image, 0 to {side - 1}")
    count = sampling.count or max(1, len(class_ids))
    noise = sampler.noise(sampling.seed, count)
    labels = labels_in_turn(class_ids, count)
    classes = np.eye(sampler.classes, dtype=np.float32)[labels]
    images, maps = AttentionMaps(sampler.network)(noise, classes, points)
    rows = [
        [marked(image, points)]
        + [marked(shown_map(w, side), [points[k]], k) for k, w in enumerate(weights)]
        for image, weights in zip(images, maps, strict=True)
    ]
    captions = ["image", *(f"row {row}, column {column}" for row, column in points)]
    names = [sampler.class_names[label] for label in labels]
    image_file.write(folder / NAME, grid(rows, names=names, captions=captions))
    page.single(NAME, LinkedImage.of(folder / NAME))
    return f"attention of {len(points)} points in {count} images: {folder / NAME}"


def around_the_centre(side: int) -> list[Point]:
    """The centre of an image, and four points half way to its corners."""
    near, centre, far = side // 4, side // 2, 3 * side // 4
    return [(centre, centre), (near, near), (near, far), (far, near), (far, far)]


def shown_map(weights: np.ndarray, side: int) -> np.ndarray:
    """Attention weights (h, h) as an image of this side, white where they are largest.

    Returns:
        uint8 (side, side, 1).
    """
    shown = image_file.to_uint8(2.0 * weights / weights.max() - 1.0)
    return enlarged(shown[..., None], side // len(weights))


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeats the pixels: (S, S, C) -> (factor S, factor S, C)."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def marked(image: np.ndarray, points: Sequence[Point], first: int = 0) -> np.ndarray:
    """The image in color, enlarged, with a square at each of the points.

    Args:
        image: uint8 (S, S, 1 or 3).
        points: pixels of the image.
        first: number of the first point's color.
    """
    factor = ceil(SIDE / len(image))
    canvas = np.broadcast_to(enlarged(image, factor), (*[factor * len(image)] * 2, 3)).copy()
    half = len(canvas) // 32
    for number, point in enumerate(points, first):
        row, column = (factor * each + factor // 2 for each in point)
        top, left = max(0, row - half), max(0, column - half)
        canvas[top : row + half, left : column + half] = COLORS[number % len(COLORS)]
    return canvas
