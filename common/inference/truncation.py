"""Truncated sampling: noise near its mean, and moving statistics that belong to it."""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path

from common.images import image_file
from common.images.captions import beside, titled
from common.inference.draw import Sampling
from common.inference.endpoints import labels_in_turn
from common.inference.sample_grid import sample_grid
from common.inference.sampler import Sampler
from common.nn.latent import Truncation
from common.nn.weight_average import estimate_statistics
from common.reports.result_page import LinkedImage, ResultPage

import tensorflow as tf

NAME = "truncation.png"
BATCHES, BATCH_SIZE = 20, 64  # by which statistics are estimated


def truncated(sampler: Sampler, truncation: Truncation) -> Sampler:
    """The sampler with truncated noise.

    Batch normalization's moving statistics of its network are estimated with the same truncation
    (Brock et al. 2019, appendix E, call these standing statistics). They are variables of the
    network: other samplers of it have them, too. Those of a SavedModel stay as they are.
    """
    sampler = replace(sampler, truncation=truncation)
    if sampler.network is not None:
        estimate_statistics(sampler.network, statistics_inputs(sampler))
    return sampler


def statistics_inputs(sampler: Sampler) -> Iterator:
    """Batches of noise, each of its own seed, and of all classes in turn."""
    labels = labels_in_turn(range(sampler.classes), BATCHES * BATCH_SIZE)
    for number in range(BATCHES):
        z = tf.constant(sampler.noise(number, BATCH_SIZE))
        if labels is None:
            yield z
        else:
            y = labels[number * BATCH_SIZE :][:BATCH_SIZE]
            yield [z, tf.one_hot(y, sampler.classes)]


def draw_truncations(
    sampler: Sampler,
    class_ids: list[int],
    sampling: Sampling,
    folder: Path,
    page: ResultPage,
    *,
    truncations: list[Truncation],
) -> str:
    """Writes a `sample_grid` for each truncation, side by side, from the same seed.

    Args:
        sampler, class_ids, folder, page: as of `draw_images`.
        sampling: number of images for each truncation, rounded up to full rows; seed.
        truncations: what to draw with, from left to right.

    Returns, raises: as `draw_images`.
    """
    columns = ceil((sampling.count or 64) / max(1, len(class_ids)))
    grids = []
    for each in truncations:
        drawn = truncated(sampler, each)
        made = sample_grid(drawn, drawn.noise(sampling.seed, columns), class_ids)
        grids.append(titled(made, f"truncation {each.threshold:g}"))
    image_file.write(folder / NAME, beside(grids))
    page.single(NAME, LinkedImage.of(folder / NAME))
    return f"{len(grids)} grids in {folder / NAME}"
