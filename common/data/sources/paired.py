"""Sources of paired images: named datasets, folders, generated facades; and their splits."""

from pathlib import Path
from typing import NamedTuple

from common.data.sources import emoji
from common.data.sources.splits import VALIDATION, print_unused, random_split
from common.data.synthetic.facades import facade
from common.errors import UserError
from common.images import image_file, listing
from common.images.image_file import BadImage
from common.io.archives import fetch_archive
from common.io.keras_cache import datasets_folder

import numpy as np

ARCHIVES = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
# Named datasets and the direction of translation in the paper (Isola et al. 2017).
NAMED = {
    "facades": "BtoA",
    "maps": "AtoB",
    "edges2shoes": "AtoB",
    "edges2handbags": "AtoB",
    "cityscapes": "BtoA",
    "night2day": "AtoB",
}
EMBEDDED = "embedded"
EMBEDDED_COUNTS = {"train": 400, "val": 100, "test": 106}  # those of the CMP facades
SPLITS = ("train", "val", "test")


class SideBySide(NamedTuple):
    """One file with A as its left half and B as its right half."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A and B, uint8 (size, size, 3)."""
        both = image_file.read(self.path)
        width = both.shape[1]
        if width % 2:
            raise BadImage(
                f"{self.path}: {width} pixels wide, so it cannot be split into two equal halves; "
                "give pairs side by side in one file, or two folders A and B"
            )
        halves = both[:, : width // 2], both[:, width // 2 :]
        return tuple(image_file.resize(np.ascontiguousarray(h), size, size) for h in halves)


class TwoFiles(NamedTuple):
    """A and B in one file each."""

    a: Path
    b: Path

    @property
    def name(self) -> str:
        return self.a.name

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A and B, uint8 (size, size, 3)."""
        a, b = image_file.read(self.a), image_file.read(self.b)
        if a.shape != b.shape:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (a, b))
            raise BadImage(f"{self.a} and {self.b}: {sizes} pixels; make the pair equal in size")
        return tuple(image_file.resize(half, size, size) for half in (a, b))


class GeneratedFacade(NamedTuple):
    """A generated facade: A is the photo, B the label map, as in the CMP facades."""

    seed: int
    index: int

    @property
    def name(self) -> str:
        return f"scene_{self.index:04d}.png"

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A and B, uint8 (size, size, 3)."""
        return facade(self.seed, self.index, size)


Pair = SideBySide | TwoFiles | GeneratedFacade


def find_splits(
    dataset: str | None, data_dir: str | None, seed: int
) -> tuple[str, dict[str, list[Pair]]]:
    """Returns the name or absolute path of a dataset, and its pairs by split.

    See `PairedImages` for the arguments.
    """
    if dataset == EMBEDDED:
        return EMBEDDED, embedded_splits(seed)
    if dataset is None:
        try:
            return find_splits("facades", data_dir, seed)
        except UserError as error:
            print(f"{error}\ntraining on the embedded generated facades instead")
            return EMBEDDED, embedded_splits(seed)
    if dataset in NAMED:  # a folder of that name: ./facades
        folder = datasets_folder(data_dir) / dataset
        fetch_archive(f"{ARCHIVES}/{dataset}.tar.gz", folder, dataset)
        return dataset, folder_splits(folder, seed)
    if dataset == emoji.NAME:
        return dataset, emoji_splits(emoji.folder_of(data_dir))
    if not Path(dataset).is_dir():
        raise UserError(
            f"--dataset {dataset}: no such folder or known dataset; give a folder or one of "
            f"{', '.join([*NAMED, emoji.NAME, EMBEDDED])}"
        )
    folder = Path(dataset).resolve()  # a run may be resumed from another working directory
    return str(folder), folder_splits(folder, seed)


def embedded_splits(seed: int) -> dict[str, list[Pair]]:
    """Generated facades; no facade is in two splits."""
    splits, first = {}, 0
    for split, count in EMBEDDED_COUNTS.items():
        splits[split] = [GeneratedFacade(seed, index) for index in range(first, first + count)]
        first += count
    return splits


def emoji_splits(folder: Path) -> dict[str, list[Pair]]:
    """Emoji in both styles, a tenth of them for testing; the skin tones of one are in one split."""
    pairs = find_pairs(*(folder / style for style in emoji.STYLES))
    parts = emoji.parts_by_base([pair.a.stem for pair in pairs], 0.05, 0.1)
    return {s: [pairs[i] for i in part] for s, part in zip(SPLITS, parts, strict=True)}


def folder_splits(folder: Path, seed: int) -> dict[str, list[Pair]]:
    """The pairs of a folder by split; a missing val or test split is taken from train."""
    if (folder / "A").is_dir() and (folder / "B").is_dir():
        roots = folder / "A", folder / "B"
    else:
        roots = (folder,)
    present = [split for split in SPLITS if all((root / split).is_dir() for root in roots)]
    for root in roots:
        print_unused(root, VALIDATION[1:], "to hold out these pairs, name it val/ beside train/")
    if "train" in present:
        splits = {split: find_pairs(*(root / split for root in roots)) for split in present}
    elif any((root / split).is_dir() for root in roots for split in SPLITS):
        raise UserError(f"--dataset {folder}: has splits, but no train/")
    else:
        splits = {"train": find_pairs(*roots)}
    listing.print_ignored(folder, (path for pairs in splits.values() for p in pairs for path in p))
    return split_off_missing(splits, folder, seed)


def split_off_missing(
    splits: dict[str, list[Pair]], folder: Path, seed: int
) -> dict[str, list[Pair]]:
    """Moves a random tenth of the training pairs, 100 at most, to each missing split."""
    train = splits["train"]
    missing = [split for split in SPLITS if split not in splits]
    counts = [min(100, max(1, len(train) // 10))] * len(missing)
    if sum(counts) >= len(train):
        raise UserError(f"--dataset {folder}: {len(train)} pairs are too few to train on")
    for split, count in zip(missing, counts, strict=True):
        print(f"{folder}: no {split}/, so {count} of {len(train)} training pairs are held out")
    parts = zip(["train", *missing], random_split(len(train), seed, *counts), strict=True)
    return splits | {split: [train[i] for i in part] for split, part in parts}


def find_pairs(*folders: Path) -> list[Pair]:
    """The side-by-side files of one folder, or the files with equal names of two folders."""
    if len(folders) == 1:
        return [SideBySide(path) for path in listing.find(folders[0])]
    a, b = (by_stem(folder) for folder in folders)
    for stem in sorted(a.keys() ^ b.keys()):
        here, there = (folders[0], folders[1]) if stem in a else (folders[1], folders[0])
        raise UserError(
            f"{(a | b)[stem]}: no image named {stem} in {there}; "
            f"add it there or remove it from {here}"
        )
    return [TwoFiles(a[stem], b[stem]) for stem in a]


def by_stem(folder: Path) -> dict[str, Path]:
    """The images of a folder by file name without suffix."""
    paths: dict[str, Path] = {}
    for path in listing.find(folder):
        if path.stem in paths:
            raise UserError(
                f"{path} and {paths[path.stem].name}: two images of one name; rename or remove one"
            )
        paths[path.stem] = path
    return paths
