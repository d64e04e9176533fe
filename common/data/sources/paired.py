"""Sources of paired images: named datasets, folders, generated facades; and their splits."""

from pathlib import Path
from typing import NamedTuple

from common.data.sources import emoji, layouts
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
    dataset: str | None, data_dir: str | None, seed: int, skip_alone: bool = False
) -> tuple[str, dict[str, list[Pair]]]:
    """Returns the name or absolute path of a dataset, and its pairs by split.

    See `PairedImages` for the arguments; `skip_alone` is that of `find_pairs`.
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
        return dataset, emoji_splits(emoji.folder_of(data_dir), skip_alone)
    folder = Path(dataset).expanduser()
    if not folder.is_dir():
        raise layouts.no_dataset(dataset, "a folder", *NAMED, emoji.NAME, EMBEDDED)
    folder = folder.resolve()  # a run may be resumed from another working directory
    return str(folder), folder_splits(folder, seed, skip_alone)


def embedded_splits(seed: int) -> dict[str, list[Pair]]:
    """Generated facades; no facade is in two splits."""
    splits, first = {}, 0
    for split, count in EMBEDDED_COUNTS.items():
        splits[split] = [GeneratedFacade(seed, index) for index in range(first, first + count)]
        first += count
    return splits


def emoji_splits(folder: Path, skip_alone: bool = False) -> dict[str, list[Pair]]:
    """Emoji in both styles, a tenth of them for testing; the skin tones of one are in one split."""
    pairs = find_pairs(*(folder / style for style in emoji.STYLES), skip_alone=skip_alone)
    parts = emoji.parts_by_base([pair.a.stem for pair in pairs], 0.05, 0.1)
    return {s: [pairs[i] for i in part] for s, part in zip(SPLITS, parts, strict=True)}


def folder_splits(folder: Path, seed: int, skip_alone: bool = False) -> dict[str, list[Pair]]:
    """The pairs of a folder by split; a missing val or test split is taken from train."""
    places = split_folders(folder)
    splits = {split: find_pairs(*of, skip_alone=skip_alone) for split, of in places.items()}
    listing.print_ignored(folder, (path for pairs in splits.values() for p in pairs for path in p))
    return split_off_missing(splits, folder, seed)


def split_folders(folder: Path) -> dict[str, tuple[Path, ...]]:
    """By split, the folder of files that show both sides, or the folders of A and of B.

    Raises:
        UserError: there is no training split in one of the layouts `layouts.PAIRS`.
    """
    a_and_b = folder / "A", folder / "B"
    roots = a_and_b if all(root.is_dir() for root in a_and_b) else (folder,)
    if roots == (folder,) and layouts.has_domains(folder) and not layouts.has_photos(folder):
        found = {split: tuple(folder / f"{split}{domain}" for domain in "AB") for split in SPLITS}
        return {split: of for split, of in found.items() if any(each.is_dir() for each in of)}
    for root in roots:
        print_unused(root, VALIDATION[1:], "to hold out these pairs, name it val/ beside train/")
    present = [split for split in SPLITS if all((root / split).is_dir() for root in roots)]
    if "train" not in present and any((root / s).is_dir() for root in roots for s in SPLITS):
        raise UserError(f"--dataset {folder}: has splits, but no train/; add the training pairs")
    splits = {split: tuple(root / split for root in roots) for split in present}
    splits = splits or {"train": roots}
    if roots == (folder,) and not listing.has_images(*splits["train"]):
        ways = layouts.ways_to_domains(folder)
        raise layouts.wrong(folder, layouts.PAIRS, has_pairs, *ways)
    return splits


def has_pairs(folder: Path) -> bool:
    """Whether a folder has one of the layouts `layouts.PAIRS`."""
    return layouts.has_domains(folder) or layouts.has_photos(folder)


def split_off_missing(
    splits: dict[str, list[Pair]], folder: Path, seed: int
) -> dict[str, list[Pair]]:
    """Moves a random tenth of the training pairs, 100 at most, to each missing split."""
    train = splits["train"]
    missing = [split for split in SPLITS if split not in splits]
    counts = [min(100, max(1, len(train) // 10))] * len(missing)
    if sum(counts) >= len(train):
        raise UserError(
            f"--dataset {folder}: {len(train)} pairs are too few to train on: "
            f"{listing.contents(folder)}"
        )
    for split, count in zip(missing, counts, strict=True):
        print(f"{folder}: no {split}/, so {count} of {len(train)} training pairs are held out")
    parts = zip(["train", *missing], random_split(len(train), seed, *counts), strict=True)
    return splits | {split: [train[i] for i in part] for split, part in parts}


def find_pairs(*folders: Path, skip_alone: bool = False) -> list[Pair]:
    """The side-by-side files of one folder, or the files with equal names of two folders.

    Args:
        folders: the folder, or both.
        skip_alone: leave out files whose name the other folder lacks, instead of failing.

    Raises:
        UserError: there is such a file, or there are no pairs at all.
    """
    if len(folders) == 1:
        return [SideBySide(path) for path in listing.find(folders[0])]
    a, b = (by_stem(folder) for folder in folders)
    both = [stem for stem in a if stem in b]
    alone = [path for one, other in ((a, b), (b, a)) for s, path in one.items() if s not in other]
    if not both:
        raise UserError(
            f"{folders[0]} and {folders[1]}: no file has the name of one in the other folder, "
            f"such as {alone[0].name}; give the two images of each pair one name"
        )
    if alone and not skip_alone:
        there = folders[1] if alone[0].stem in a else folders[0]
        more = f" ({len(alone)} such files)" if len(alone) > 1 else ""
        raise UserError(
            f"{alone[0]}: no image named {alone[0].stem} in {there}{more}; add it there, or leave "
            "out images without counterpart with --skip_bad_images"
        )
    if alone:
        names = ", ".join(str(path) for path in alone[:3]) + (", ..." if len(alone) > 3 else "")
        print(f"skipped {len(alone)} images without counterpart: {names}")
    return [TwoFiles(a[stem], b[stem]) for stem in both]


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
