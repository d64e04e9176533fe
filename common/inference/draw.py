"""What `predict` draws from noise: images one by one, a grid, ways between them, or their sum.

Each way writes its files into a folder, shows them on a page, and says in a line what it has made.
"""

from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path

from common.errors import UserError, at_least_one
from common.images import image_file
from common.inference import interpolation, latent_arithmetic
from common.inference.latent_arithmetic import Term
from common.inference.sampler import Sampler, in_turn, sheet
from common.reports.result_page import LinkedImage, ResultPage

import numpy as np
from tqdm import tqdm

GRID = "grid.png"


def draw_each(
    sampler: Sampler, asked: list[int], seed: int, count: int, folder: Path, page: ResultPage
) -> str:
    """Writes `count` images, of the asked classes in turn, a file each.

    Args:
        sampler: draws them.
        asked: classes; none if the sampler takes no class.
        seed: of the noise.
        count: how many.
        folder: made if it is not there.
        page: to show them on.

    Returns:
        What was made, in a line.

    Raises:
        UserError: a file cannot be written.
    """
    labels = in_turn(asked, count)
    names = iter(file_names(labels, count))
    for batch in with_bar(sampler.draw(sampler.noise(seed, count), labels), count):
        for image in batch:
            name = next(names)
            image_file.write(folder / name, image)
            page.single(name.removesuffix(".png"), LinkedImage(name, *image.shape[:2]))
    return f"{count} images in {folder}"


def draw_grid(
    sampler: Sampler, asked: list[int], seed: int, count: int, folder: Path, page: ResultPage
) -> str:
    """Writes one image, a `sheet` of `count` images or, up to whole rows, a few more.

    Args, returns, raises: as `draw_each`.
    """
    rows = max(1, len(asked))
    noise = sampler.noise(seed, ceil(count / rows))
    image_file.write(folder / GRID, sheet(sampler, noise, asked))
    page.single(GRID, LinkedImage.of(folder / GRID))
    return f"{len(noise) * rows} images in {folder / GRID}"


def draw_ways(
    sampler: Sampler,
    asked: list[int],
    seeds: tuple[int, int],
    count: int,
    frames: int,
    folder: Path,
    page: ResultPage,
    label_to: int | None = None,
) -> str:
    """Writes ways through the noise, `count` or, up to equally many of each class, a few more.

    Args:
        seeds: of the noise at both ends.
        frames: images on a way, 2 or more.
        label_to: the class to which each way leads from the asked one; default none.

    The others, returns, raises: as `draw_each`.
    """
    ways = ceil(count / max(1, len(asked)))
    interpolation.write(sampler, asked, seeds, ways, frames, folder, label_to)
    for name in (interpolation.ROWS, interpolation.ANIMATION):
        page.single(name, LinkedImage.of(folder / name))
    return f"{frames} frames in {folder / interpolation.ROWS} and .gif"


def draw_sum(
    sampler: Sampler, asked: list[int], seed: int, terms: list[Term], folder: Path, page: ResultPage
) -> str:
    """Writes what the sum of some noise vectors gives, as `arithmetic.write` does.

    Args:
        asked: the class of all images; none if the sampler takes no class.
        terms: of the sum.

    The others, returns, raises: as `draw_each`.
    """
    latent_arithmetic.write(sampler, asked, seed, terms, folder)
    page.single(latent_arithmetic.NAME, LinkedImage.of(folder / latent_arithmetic.NAME))
    return f"the sum, and what it is made of, in {folder / latent_arithmetic.NAME}"


def with_bar(batches: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """The batches, with a progress bar over their images."""
    with tqdm(total=total, unit="image", disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def file_names(labels: np.ndarray | None, count: int) -> list[str]:
    """`0007.png`, of a class `0007_label_7.png`; more digits where the count needs them."""
    digits = max(4, len(str(count - 1)))
    of_class = [""] * count if labels is None else [f"_label_{label}" for label in labels]
    return [f"{number:0{digits}}{suffix}.png" for number, suffix in enumerate(of_class)]


# What is asked for, checked before anything is drawn.


def asked_classes(
    class_names: list[str], label: str | None, run: str, option: str = "label"
) -> list[int]:
    """The classes to show, in their order; empty if the model takes no class.

    Args:
        class_names: of the model; none if it takes no class.
        label: a class by its name, or else by its number, or None for all.
        run: what the model is called in an error.
        option: where the label is from, for an error.

    Raises:
        UserError: there is no such class.
    """
    if label is None:
        return list(range(len(class_names)))
    if not class_names:
        raise UserError(f"--{option} {label}: the model of {run} knows no classes; leave it out")
    if label in class_names:
        return [class_names.index(label)]
    if label.isdecimal() and int(label) < len(class_names):
        return [int(label)]
    known = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    raise UserError(f"--{option} {label}: give 0 to {len(class_names) - 1}, or one of {known}")


def last_class(sampler: Sampler, label: str | None, run: str) -> int | None:
    """The class of --label_to, or None for none.

    Raises:
        UserError: there is no such class, or a SavedModel cannot mix classes.
    """
    if label is None:
        return None
    (found,) = asked_classes(sampler.class_names, label, run, "label_to")
    if sampler.mixture is None:
        raise UserError(f"--label_to {label}: {run} does not mix classes; export its run again")
    return found


def check_range(count: int | None, **seeds: int | None):
    """Refuses a number of images, or a seed, that cannot be."""
    at_least_one(count=count)
    for option, seed in seeds.items():
        if seed is not None and not 0 <= seed < 2**63:
            raise UserError(f"--{option} {seed}: give 0 to {2**63 - 1}")


def check_output(
    output: str,
    count: int | None,
    grid: bool,
    interpolate: int | None,
    label: str | None,
    way: dict[str, int | str | None],
    arithmetic: str | None,
):
    """Refuses options of `predict` that do not fit together; `way` are those of --interpolate."""
    if interpolate is not None and interpolate < 2:
        raise UserError(f"--interpolate {interpolate}: give 2 frames or more, such as 16")
    if arithmetic is not None:
        others = {"count": count, "grid": grid or None, "interpolate": interpolate} | way
        for option, value in others.items():
            if value is not None:
                raise UserError(f"--{option}: --arithmetic makes one image; leave one of them out")
    if interpolate and grid:
        raise UserError("--grid: an interpolation is a grid already; leave one of them out")
    for option, value in way.items():
        if value is not None and not interpolate:
            raise UserError(f"--{option} {value}: needs --interpolate, such as 16")
    if way["label_to"] is not None and label is None:
        raise UserError(f"--label_to {way['label_to']}: needs --label, the class to begin with")
    if Path(output).exists() and not Path(output).is_dir():
        raise UserError(f"--output {output}: is a file; name a folder")
