"""Latent arithmetic: sums and differences of mean noise vectors.

Radford et al. 2016 (arXiv:1511.06434, section 6.3.2): results with single vectors were unstable,
those with the mean of three vectors each were not.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError
from common.images import image_file
from common.images.grid import grid
from common.inference.draw import Sampling
from common.inference.endpoints import labels_in_turn
from common.inference.interpolation import Interpolation
from common.inference.sampler import Sampler
from common.reports.result_page import LinkedImage, ResultPage
from common.signatures import given

import numpy as np

NAME = "arithmetic.png"
LARGEST = 9_999  # number of an image: noise is made for all numbers up to it
NEAR = 0.25  # maximum distance of a neighbour from the sum in each component, as in the paper


class Term(NamedTuple):
    """A mean of noise vectors, added or subtracted.

    Attributes:
        sign: 1 or -1.
        numbers: numbers of the vectors from 0, as `predict` numbers the images of a seed.
    """

    sign: int
    numbers: list[int]


@dataclass(frozen=True)
class LatentArithmetic:
    """Latent arithmetic.

    Args:
        arithmetic: numbers of images of --seed, such as 3,17,25-4,9,12+1,2,6; the noise of each
            group is averaged, and the means are subtracted and added. arithmetic.png has
            a row for each mean, first the image of the mean, then those of the group; the last row
            has the result and neighbours of it. A model that takes a class needs --label, one with
            several generators --generator.
    """

    arithmetic: str | None = None

    def check(self, sampling: Sampling, interpolation: Interpolation):
        """Raises a UserError where the options of `predict` do not fit together."""
        parse(self.arithmetic)
        unused = [name for name in ("count", sampling.form) if name in given(sampling)]
        for option in [*unused, *given(interpolation)]:
            raise UserError(f"--{option}: --arithmetic writes one image; leave one of them out")

    def draw(
        self,
        sampler: Sampler,
        class_ids: list[int],
        sampling: Sampling,
        folder: Path,
        page: ResultPage,
    ) -> str:
        """Writes arithmetic.png: a row for each term, and one for the sum.

        A row of a term starts with the image of the mean, followed by the images of its vectors;
        the last row starts with the image of the sum, followed by neighbours of it.

        Args, returns, raises: as `draw_images`.
        """
        if len(class_ids) > 1:
            raise UserError(f"--arithmetic {self.arithmetic}: needs --label, the class to generate")
        if sampler.choices:
            raise UserError(f"--arithmetic {self.arithmetic}: needs --generator, its number")
        terms = parse(self.arithmetic)
        noise = sampler.noise(sampling.seed, 1 + largest(terms))
        means, total = combined(noise, terms)
        rows = [[mean, *noise[term.numbers]] for mean, term in zip(means, terms, strict=True)]
        shape = max(len(row) for row in rows), len(total)
        around = np.random.default_rng(sampling.seed).uniform(-NEAR, NEAR, shape)
        around[0] = 0
        rows.append(list(total + around))
        z = np.concatenate(rows)
        if sampler.choice is not None:
            z = sampler.latent.choosing(z, sampler.choice)
        images = iter(sampler.all(z, labels_in_turn(class_ids, len(z))))
        signs = ("+" if term.sign > 0 else "-" for term in terms)
        numbers = (",".join(map(str, term.numbers)) for term in terms)
        names = [" ".join(each) for each in zip(signs, numbers, strict=True)]
        image = grid(
            [[next(images) for _ in row] for row in rows],
            names=[*names, "= and neighbours"],
            captions=["mean", *[""] * (max(map(len, rows)) - 1)],
        )
        image_file.write(folder / NAME, image)
        page.single(NAME, LinkedImage.of(folder / NAME))
        return f"the terms and their sum in {folder / NAME}"


def parse(expression: str) -> list[Term]:
    """Parses a sum such as 3,17,25-4,9,12+1,2,6; signs and commas may have spaces around them.

    Raises:
        UserError: it is no such sum, or a number is too large.
    """
    written = re.sub(r"\s*([,+-])\s*", r"\1", expression.strip())
    if not re.fullmatch(r"\+?\d{1,9}(,\d{1,9})*([+-]\d{1,9}(,\d{1,9})*)*", written):
        raise UserError(
            f"--arithmetic {expression}: give numbers of images, such as 3,17,25-4,9,12+1,2,6"
        )
    found = re.findall(r"([+-]?)([\d,]+)", written)
    terms = [Term(-1 if sign == "-" else 1, [*map(int, n.split(","))]) for sign, n in found]
    if largest(terms) > LARGEST:
        raise UserError(
            f"--arithmetic {expression}: give numbers up to {LARGEST}, not {largest(terms)}"
        )
    return terms


def largest(terms: list[Term]) -> int:
    """Returns the largest image number in a sum."""
    return max(number for term in terms for number in term.numbers)


def combined(noise: np.ndarray, terms: list[Term]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean of each term, (T, size), and their signed sum, (size,).

    Args:
        noise: z, float (N, size).
        terms: T terms of these vectors.
    """
    means = np.stack([noise[term.numbers].mean(axis=0) for term in terms])
    return means, np.array([term.sign for term in terms]) @ means
