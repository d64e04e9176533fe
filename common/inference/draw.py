"""Images generated from noise, written as one file each or as one grid."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from common.errors import UserError, at_least_one
from common.images import image_file
from common.inference.endpoints import labels_in_turn
from common.inference.sample_grid import sample_grid
from common.inference.sampler import Sampler
from common.io.progress import tqdm_options
from common.reports.result_page import LinkedImage, ResultPage

import numpy as np
from tqdm import tqdm

GRID = "grid.png"
NAME_LENGTH = 40  # characters of a class name in a file name


@dataclass(frozen=True)
class Sampling:
    """Images to generate.

    Args:
        count: number of images, or of interpolations; default 64 images, or one interpolation of
            each class. Grids, and interpolations of several classes, are rounded up to full rows.
        seed: seed for the noise.
        label: only class to generate, by name, or by number from 0 unless all names are numbers;
            default all classes in turn.
        grid: write a single image, grid.png; with several classes it has a row for each, and the
            same noise in each column.
    """

    count: int | None = None
    seed: int = 0
    label: str | None = None
    grid: bool = False

    def __post_init__(self):
        at_least_one(count=self.count)
        check_seed(seed=self.seed)

    @property
    def form(self) -> str | None:
        """The option that asks for a single image in place of a file for each."""
        return "grid" if self.grid else None

    def applied(self, sampler: Sampler) -> Sampler:
        """The sampler that draws what the options ask for; a subclass may choose a part of it."""
        return sampler

    @property
    def draw(self) -> Callable[..., str]:
        """The function that writes the images, with the arguments of `draw_images`."""
        return draw_grid if self.grid else draw_images


def draw_images(
    sampler: Sampler, class_ids: list[int], sampling: Sampling, folder: Path, page: ResultPage
) -> str:
    """Writes one file per image, of the classes in turn.

    Args:
        sampler: the generator.
        class_ids: classes to draw; empty if the sampler takes no class.
        sampling: number of images and seed.
        folder: created if it does not exist.
        page: page that the images are added to.

    Returns:
        A summary in one line.

    Raises:
        UserError: a file cannot be written.
    """
    count = sampling.count or 64
    labels = labels_in_turn(class_ids, count)
    names = iter(file_names(labels, count, sampler.class_names))
    batches = sampler.draw(sampler.noise(sampling.seed, count), labels)
    for batch in with_progress_bar(batches, count):
        for image in batch:
            name = next(names)
            image_file.write(folder / name, image)
            page.single(name.removesuffix(".png"), LinkedImage(name, *image.shape[:2]))
    return f"{count} images in {folder}"


def draw_grid(
    sampler: Sampler, class_ids: list[int], sampling: Sampling, folder: Path, page: ResultPage
) -> str:
    """Writes a `sample_grid` of at least `sampling.count` images: its rows are filled up.

    Args, returns, raises: as `draw_images`.
    """
    rows = max(1, len(class_ids), len(sampler.choices))
    noise = sampler.noise(sampling.seed, ceil((sampling.count or 64) / rows))
    image_file.write(folder / GRID, sample_grid(sampler, noise, class_ids))
    page.single(GRID, LinkedImage.of(folder / GRID))
    return f"{len(noise) * rows} images in {folder / GRID}"


def file_names(labels: np.ndarray | None, count: int, class_names: Sequence[str]) -> list[str]:
    """`0007.png`, with a class `0007_ankle_boot.png`; more digits where the count needs them.

    Args:
        labels: numbers of the classes, int (count,); None without classes.
        count: number of files.
        class_names: names of all classes.
    """
    digits = max(4, len(str(count - 1)))
    suffixes = [""] * count
    if labels is not None:
        suffixes = [f"_{in_file_name(class_names[label]) or label}" for label in labels]
    return [f"{number:0{digits}}{suffix}.png" for number, suffix in enumerate(suffixes)]


def in_file_name(name: str) -> str:
    """A class name in lower case for a file name, with _ for all but letters and digits."""
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")[:NAME_LENGTH]


def with_progress_bar(batches: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """Yields the batches and shows how many of their images are done."""
    with tqdm(total=total, unit="image", **tqdm_options()) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def select_classes(class_names: list[str], label: str | None, option: str = "label") -> list[int]:
    """Returns the numbers of the classes to generate, in order; none if there are no classes.

    Args:
        class_names: names of the model's classes; empty if it takes no class.
        label: a class by its name, or by its number from 0 unless all names are numbers; None for
            all.
        option: option that gave the label, for error messages.

    Raises:
        UserError: there is no such class.
    """
    if label is None:
        return list(range(len(class_names)))
    if not class_names:
        raise UserError(f"--{option} {label}: the model takes no class; leave the option out")
    if label in class_names:
        return [class_names.index(label)]
    # Where the names are numbers, a number is a name: class "1" of 1, 2, 3 is at position 0.
    numbered = all(name.isdecimal() for name in class_names)
    if not numbered and label.isdecimal() and int(label) < len(class_names):
        return [int(label)]
    known = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    positions = "" if numbered else f"0 to {len(class_names) - 1}, or "
    raise UserError(f"--{option} {label}: give {positions}one of {known}")


def check_seed(**seeds: int | None):
    """Raises a UserError for the first option that is no seed; None was not given."""
    for option, seed in seeds.items():
        if seed is not None and not 0 <= seed < 2**63:
            raise UserError(f"--{option} {seed}: give 0 to {2**63 - 1}")
