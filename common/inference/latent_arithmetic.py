"""Arithmetic with noise: what some images have in common, less what others have, and so on.

Radford et al. 2016 (arXiv:1511.06434, section 6.3.2): single vectors gave unstable results, the
means of three each did not.
"""

import re
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError
from common.images import image_file
from common.images.grid import grid
from common.inference.sampler import Sampler, in_turn

import numpy as np

NAME = "arithmetic.png"
LARGEST = 9_999  # number of an image: noise is made up to it
NEAR = 0.25  # how far the neighbours of a sum may lie from it in each component, as in the paper


class Term(NamedTuple):
    """A mean of noise vectors, added or subtracted.

    Attributes:
        sign: 1 or -1.
        numbers: of the vectors, from 0, as `predict` numbers the images of a seed.
    """

    sign: int
    numbers: list[int]


def parse(expression: str) -> list[Term]:
    """The terms of a sum such as 3,17,25-4,9,12+1,2,6, with spaces around a sign or a comma or not.

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
    """The largest number of an image in a sum."""
    return max(number for term in terms for number in term.numbers)


def combined(noise: np.ndarray, terms: list[Term]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each term, (T, size), and their sum with its signs, (size,).

    Args:
        noise: z, float (N, size).
        terms: T of them, of these vectors.
    """
    means = np.stack([noise[term.numbers].mean(axis=0) for term in terms])
    return means, np.array([term.sign for term in terms]) @ means


def write(sampler: Sampler, asked: list[int], seed: int, terms: list[Term], folder: Path):
    """Writes arithmetic.png: a row for each term, and one for the sum.

    A row begins with the image of the mean, behind which stand those that it is the mean of;
    the last one with the image of the sum, behind which stand neighbours of it.

    Args:
        sampler: draws the images.
        asked: the class of all of them; none if the sampler takes no class.
        seed: of the noise.
        terms: of the sum.
        folder: made if it is not there.

    Raises:
        UserError: the file cannot be written.
    """
    noise = sampler.noise(seed, 1 + largest(terms))
    means, total = combined(noise, terms)
    rows = [[mean, *noise[term.numbers]] for mean, term in zip(means, terms, strict=True)]
    shape = max(len(row) for row in rows), len(total)
    around = np.random.default_rng(seed).uniform(-NEAR, NEAR, shape)
    around[0] = 0
    rows.append(list(total + around))
    z = np.concatenate(rows)
    drawn = iter(sampler.all(z, in_turn(asked, len(z))))
    image_file.write(folder / NAME, grid([[next(drawn) for _ in row] for row in rows]))
