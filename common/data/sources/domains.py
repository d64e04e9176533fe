"""Sources of two domains with the same classes: named pairs, or any two labelled datasets."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from common.data.reading import BadImages
from common.data.sources import labelled
from common.data.sources.backgrounds import find_backgrounds, over_backgrounds
from common.data.sources.changed_digits import Change, negatives, outlines
from common.data.sources.labelled import Found, Split
from common.data.sources.labelled_splits import ArraySplit
from common.data.sources.super_resolution import parts_of
from common.errors import UserError
from common.images import image_file

import numpy as np

EMBEDDED = "embedded"
HALVES_SEED = 0  # fixed, so that all runs have the same halves and share reference classifiers
FRAME = 4  # px around the digits of MNIST, which are 20 of 28 px large


class Domains(NamedTuple):
    """Two domains.

    Attributes:
        name: name of the pair, or the names or absolute paths of both, separated by a comma.
        source: the domain whose labels training may use.
        target: the other one; its labels, if it has any, are those of the same classes.
        change: the function that makes images of the target from those of the source, uint8 (N, S,
            S, C) both, if there is one.
    """

    name: str
    source: Found
    target: Found
    change: Change | None = None


class Search(NamedTuple):
    """How the parts of a pair are found.

    Attributes:
        find: returns the labelled dataset of a name, with the source's order of the classes.
        find_target: the same for any target, whose classes have an order of their own, if it has
            any.
        photos: folder of photographs for backgrounds; None for generated textures.
        bad: what happens to unreadable photographs.
        cache_mb: megabytes of the photographs of each split to keep in memory.
    """

    find: Callable[[str], Found]
    find_target: Callable[[str], Found]
    photos: str | None
    bad: BadImages
    cache_mb: int


# The named pairs.


class ChangedImages:
    """Images changed by a function whenever they are accessed, as an array uint8 (N, S, S, C).

    Args:
        images: uint8 (N, H, W, C): an array, or what is indexed like one.
        change: function of uint8 (n, H, W, C) that returns uint8 (n, S, S, C).
    """

    def __init__(self, images: np.ndarray, change: Change):
        self._images, self._change = images, change
        self.shape = len(images), *change(images[np.array([0])]).shape[1:]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.empty((0, *self.shape[1:]), np.uint8)
        return self._change(self._images[rows])


def changed(split: ArraySplit, change: Change) -> ArraySplit:
    return ArraySplit(ChangedImages(split.images, change), split.rows, split.labels)


def framed(x: np.ndarray) -> np.ndarray:
    """Digits that fill their images, in the frame of MNIST's: uint8 (N, 28, 28, 1)."""
    side = 28 - 2 * FRAME
    resized = np.stack([image_file.resize(one, side, side) for one in x])
    return np.pad(resized, ((0, 0), (FRAME, FRAME), (FRAME, FRAME), (0, 0)))


def digits_and_mnist_m(base: str, name: str, search: Search) -> Domains:
    """Digits, and the same digits over backgrounds, both as RGB."""
    digits = search.find(base)
    backgrounds = find_backgrounds(search.photos, search.bad, search.cache_mb)
    parts = {
        split: over_backgrounds(getattr(digits, split), backgrounds[split])
        for split in ("train", "test")
    }
    target = digits._replace(name=f"{name} (target)", channels=3, **parts)
    return Domains(name, digits._replace(channels=3), target)


def digits_and_changed(base: str, change: Change, name: str, search: Search) -> Domains:
    """Digits, and other digits changed by a function: a random half of the training images each.

    All test images are in both domains, since nothing is learned from them.
    """
    digits = search.find(base)
    order = np.random.default_rng([HALVES_SEED, 3]).permutation(len(digits.train))
    a, b = (digits.train.subset(np.sort(half)) for half in np.array_split(order, 2))
    parts = {"train": changed(b, change), "test": changed(digits.test, change)}
    target = digits._replace(name=f"{name} (target)", **parts)
    return Domains(name, digits._replace(train=a), target, change)


def digits_and_usps(
    source: str, target: str, change: Change | None, name: str, search: Search
) -> Domains:
    """MNIST and USPS, in either order; USPS changed by a function, if one is given."""

    def find(part: str) -> Found:
        found = search.find(part)
        if change is None or part != "usps":
            return found
        splits = {split: changed(getattr(found, split), change) for split in ("train", "test")}
        return found._replace(side=28, **splits)

    return Domains(name, find(source), find(target))


PAIRS: dict[str, Callable[[str, Search], Domains]] = {
    "mnist_m": partial(digits_and_mnist_m, "mnist"),
    "mnist_negatives": partial(digits_and_changed, "mnist", negatives),
    "mnist_outlines": partial(digits_and_changed, "mnist", outlines),
    "mnist_usps": partial(digits_and_usps, "mnist", "usps", None),
    "usps_mnist": partial(digits_and_usps, "usps", "mnist", None),
    "mnist_usps_framed": partial(digits_and_usps, "mnist", "usps", framed),
    "usps_framed_mnist": partial(digits_and_usps, "usps", "mnist", framed),
    "digits_m": partial(digits_and_mnist_m, labelled.EMBEDDED),
    "digits_negatives": partial(digits_and_changed, labelled.EMBEDDED, negatives),
    "digits_outlines": partial(digits_and_changed, labelled.EMBEDDED, outlines),
}
WITH_BACKGROUNDS = ("mnist_m", "digits_m")


# All pairs.


def find_domains(dataset: str | None, usual: str, embedded: str, search: Search) -> Domains:
    """Finds two domains; see `LabelledDomains` for the arguments.

    Args:
        dataset: a name of `PAIRS`, embedded, SOURCE,TARGET, or None.
        usual: the pair for None, if MNIST is on disk or can be downloaded.
        embedded: the pair of generated digits that takes its place, also called embedded.
        search: finds labelled datasets and photographs.
    """
    if dataset is None:
        try:
            search.find("mnist")
        except UserError as error:
            print(f"{error}\nusing the embedded generated digits instead")
            dataset = EMBEDDED
        else:
            dataset = usual
    pair = embedded if dataset == EMBEDDED else dataset
    if search.photos is not None and pair not in WITH_BACKGROUNDS:
        raise UserError(
            f"--photos {search.photos}: needs --dataset {' or '.join(WITH_BACKGROUNDS)}"
        )
    return PAIRS[pair](dataset, search) if pair in PAIRS else two_datasets(dataset, search)


def two_datasets(dataset: str, search: Search) -> Domains:
    """The domains of SOURCE,TARGET, each a labelled dataset or a folder of images."""
    parts = parts_of(dataset)
    if len(parts) != 2 or not all(parts):
        raise UserError(
            f"--dataset {dataset}: give two datasets as SOURCE,TARGET, such as folders or .npz "
            f"files, or one of {', '.join([*PAIRS, EMBEDDED])}"
        )
    source, target = search.find(parts[0]), search.find_target(parts[1])
    name = f"{source.name},{target.name}"
    return Domains(name, source, with_labels_of(source, target, name))


def with_labels_of(source: Found, target: Found, name: str) -> Found:
    """The target with the source's labels of the same classes.

    Raises:
        UserError: the target has other classes.
    """
    names = source.class_names
    if not names or not target.class_names:
        return target
    if sorted(names) != sorted(target.class_names):
        raise UserError(
            f"--dataset {name}: the classes of the source are {listed(names)}, those of the target "
            f"{listed(target.class_names)}; give both the same classes, or the target none"
        )
    new = np.array([names.index(each) for each in target.class_names], np.int32)

    def relabelled(split: Split) -> Split:
        return replace(split, labels=new[split.labels])

    splits = {split: relabelled(getattr(target, split)) for split in ("train", "test")}
    return target._replace(class_names=names, **splits)


def listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
