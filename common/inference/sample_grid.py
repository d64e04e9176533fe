"""Grids of generated images, and of real images in the same layout."""

from collections.abc import Callable

from common.images.grid import grid, square_grid
from common.inference.sampler import TRAINING_SEED, Sampler

import numpy as np

MAX_ROWS = 10  # classes in the grids of training and evaluation


def sample_grid(sampler: Sampler, noise: np.ndarray, class_ids: list[int]) -> np.ndarray:
    """Draws a grid of images, uint8 (H, W, C).

    Args:
        sampler: the generator.
        noise: z (N, size), one vector per image, or with several classes one per column.
        class_ids: classes to draw, one row each; with none or one the images fill a square, or
            have a row for each of the generators that the noise chooses from.
    """
    if sampler.choices:
        latent = sampler.latent
        rows = [sampler.all(latent.choosing(noise, choice)) for choice in sampler.choices]
        return grid(rows, names=[f"generator {choice}" for choice in sampler.choices])
    labels = np.repeat(class_ids, len(noise)) if class_ids else None
    drawn = sampler.all(np.tile(noise, (max(1, len(class_ids)), 1)), labels)
    if len(class_ids) < 2:
        return square_grid(drawn)
    rows = [drawn[i : i + len(noise)] for i in range(0, len(drawn), len(noise))]
    return grid(rows, names=[sampler.class_names[k] for k in class_ids])


def real_grid(data, split: str, count: int, class_ids: list[int]) -> np.ndarray:
    """Arranges real images as `sample_grid` does, uint8 (H, W, C).

    Args:
        data: labelled images, with `arrays`.
        split: split to take them from.
        count: number of images, or with several classes images per class; fewer if the split has
            fewer.
        class_ids: classes to show, one row each; with none or one all images fill a square.
    """
    if len(class_ids) < 2:
        return square_grid(data.arrays(split, count)[0])
    x, y = data.arrays(split, 20 * count * len(class_ids))  # enough to include rare classes
    rows = [x[y == label][:count] for label in class_ids]
    return grid(rows, names=[data.class_names[k] for k in class_ids])


def fixed_grid(sampler: Sampler) -> Callable[[], np.ndarray]:
    """Returns a function that draws one `sample_grid` with the sampler's current weights.

    The noise is always the same. The grid has 8 by 8 images, or with classes a row of ten for
    each of the first ten, or a row of ten for each generator.
    """
    noise = sampler.noise(TRAINING_SEED, 10 if sampler.classes or sampler.choices else 64)
    class_ids = list(range(min(sampler.classes, MAX_ROWS)))
    return lambda: sample_grid(sampler, noise, class_ids)
