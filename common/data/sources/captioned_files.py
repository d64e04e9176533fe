"""Captioned images in files: folders with NAME.txt beside each image, and CSV files."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from common.data.sources import layouts
from common.data.sources.splits import hash_of_names, random_split
from common.errors import UserError, reason_of
from common.images import image_file, listing

import numpy as np


class Drawn(NamedTuple):
    """A caption of an image.

    Attributes:
        text: the caption.
        number: its number among the image's captions; 0 if they are generated.
        named: attributes that it tells.
        wrong: index of an image of the same split that it does not describe; of a split without
            such an image, its own, which is not used.
    """

    text: str
    number: int
    named: tuple[str, ...]
    wrong: int


@dataclass
class CaptionedFiles:
    """Image files and their captions.

    Attributes:
        root: folder that the names are relative to.
        paths: paths of the images.
        texts: captions of each image.
        groups: class of each image; images of another one are wrong for its captions.
        attributes: known attributes of each image.
        near: for each image, others that differ in an attribute alone, which are drawn half of the
            time as the wrong ones.
    """

    root: Path
    paths: list[Path]
    texts: list[list[str]]
    groups: list[str]
    attributes: list[dict[str, str]] = field(default_factory=list)
    near: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def read(self, index: int, side: int) -> np.ndarray:
        return image_file.square(image_file.read(self.paths[index]), side)

    def draw(self, index: int, random: np.random.Generator) -> Drawn:
        number = int(random.integers(len(self.texts[index])))
        text = self.texts[index][number]
        wrong, near = index, self.near.get(index)
        if near and random.random() < 0.5:
            wrong = int(random.choice(near))
        while self.several and self.groups[wrong] == self.groups[index]:
            wrong = int(random.integers(len(self)))
        return Drawn(text, number, tuple(self.facts(index)), wrong)

    @cached_property
    def several(self) -> bool:
        """Whether a caption has an image that it does not describe."""
        return len(set(self.groups)) > 1

    def facts(self, index: int) -> dict[str, str]:
        return self.attributes[index] if self.attributes else {}

    def captions(self) -> list[str]:
        return [text for texts in self.texts for text in texts]

    def digest(self) -> str:
        lines = (f"{self.name(i)} {'|'.join(self.texts[i])}" for i in range(len(self)))
        return hash_of_names(lines)

    def subset(self, indices: Sequence[int]) -> "CaptionedFiles":
        lists = self.paths, self.texts, self.groups, self.attributes
        return CaptionedFiles(
            self.root, *([each[i] for i in indices] if each else [] for each in lists)
        )


def of_folder(folder: Path, seed: int, skip_alone: bool = False) -> dict[str, CaptionedFiles]:
    """Images with NAME.txt beside, a caption a line; train/ and test/, or a random tenth.

    With `skip_alone`, images without such a file are left out instead of raising a UserError.
    """
    train, test = folder / "train", folder / "test"
    every = _folder_split(train if train.is_dir() else folder, folder, skip_alone)
    if train.is_dir() and test.is_dir():
        return {"train": checked(every), "test": _folder_split(test, folder, skip_alone)}
    return split_off_test(every, folder, seed)


def _folder_split(folder: Path, root: Path, skip_alone: bool) -> CaptionedFiles:
    classes = layouts.class_folders(folder)
    paths = [path for each in classes or [folder] for path in listing.find(each)]
    alone = {p for p in paths if skip_alone and p.exists() and not p.with_suffix(".txt").exists()}
    if alone:
        print(f"skipped {len(alone)} images without captions in {folder}, such as {min(alone)}")
        paths = [path for path in paths if path not in alone]
    texts = [_captions_of(path) for path in paths]
    groups = [
        path.parent.name if classes else "|".join(t) for path, t in zip(paths, texts, strict=True)
    ]
    return CaptionedFiles(root, paths, texts, groups)


def _captions_of(path: Path) -> list[str]:
    file = path.with_suffix(".txt")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        if not path.exists():
            raise UserError(
                f"{file}: {reason_of(error)}; put it back: a missing image of a run can be "
                "skipped, but not its captions"
            ) from error
        raise UserError(
            f"{path}: no captions in {file.name} beside it ({reason_of(error)}); write one a line, "
            "or leave out images without captions with --skip_bad_images"
        ) from error
    captions = [line.strip() for line in lines if line.strip()]
    if not captions:
        raise UserError(f"{file}: is empty; write a caption a line, or remove {path.name}")
    return captions


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with the columns file and caption."""
    try:
        with open(file, newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not a text file in UTF-8; save it as one, with the columns file,caption"
        ) from error
    except (OSError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read ({reason_of(error)}); replace it") from error
    if not rows or not {"file", "caption"} <= rows[0].keys():
        raise UserError(f"{file}: give a first line with the columns file,caption and rows below")
    for number, row in enumerate(rows, 2):
        if not (row["caption"] or "").strip():
            raise UserError(f"{file}, line {number}: {row['file']} has an empty caption; write one")
    return rows


def of_csv(file: Path, seed: int, skip_alone: bool = False) -> dict[str, CaptionedFiles]:
    """Images that a CSV file names, relative to its folder; several rows may name one.

    Raises:
        UserError: it cannot be read; or an image is missing, unless those are skipped when read.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows_of(file):
        texts[row["file"]].append(row["caption"].strip())
    for name in texts:
        if not skip_alone and not (file.parent / name).is_file():
            raise UserError(
                f"{file}: a caption without image: {file.parent / name} is missing; name files "
                "relative to the folder of the CSV file, or skip it with --skip_bad_images"
            )
    paths, groups = [file.parent / name for name in texts], ["|".join(t) for t in texts.values()]
    every = CaptionedFiles(file.parent, paths, [*texts.values()], groups)
    return split_off_test(every, file, seed)


def checked(split: CaptionedFiles) -> CaptionedFiles:
    """A training split, each of whose captions has an image that it does not describe."""
    if not split.several:
        raise UserError(
            f"--dataset {split.root}: give training images of two different captions, or classes, "
            "or more"
        )
    return split


def split_off_test(every: CaptionedFiles, name: Path, seed: int) -> dict[str, CaptionedFiles]:
    """Holds out a random tenth of the images."""
    if len(every) < 3:
        raise UserError(f"--dataset {name}: {len(every)} images are too few to train on")
    count = max(1, len(every) // 10)
    print(f"{name}: no test split, so {count} of {len(every)} images are held out")
    rest, test = random_split(len(every), seed, count)
    return {"train": checked(every.subset(rest)), "test": every.subset(test)}
