"""Sources of captioned images: folders, CSV files, emoji, generated scenes, given embeddings."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from common.data.sources import labelled
from common.data.sources.emoji import SKIN_TONES, STYLES, base_of, folder_of
from common.data.sources.splits import hash_of_names, random_split
from common.data.synthetic import captioned_scenes as scenes
from common.errors import DAMAGE, UserError, one_line, reason_of
from common.images import image_file, listing

import numpy as np

EMOJI = "emoji"
COUNTS = {"train": 20_000, "test": 2_000, "held_out": 2_000, "oracle": 20_000}  # of scenes
COMPARED = ("digit", "colour", "background")  # attributes in one of which wrong scenes differ
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


class Drawn(NamedTuple):
    """A caption of an image.

    Attributes:
        text: the caption.
        number: its number among the image's captions; 0 if they are generated.
        named: attributes that it tells.
        wrong: index of an image of the same split that it does not describe.
    """

    text: str
    number: int
    named: tuple[str, ...]
    wrong: int


class CaptionedSplit(Protocol):
    """Some captioned images."""

    def __len__(self) -> int: ...

    def read(self, index: int, side: int) -> np.ndarray:
        """An image, uint8 (side, side, 3). Raises BadImage."""

    def draw(self, index: int, random: np.random.Generator) -> Drawn:
        """A caption of an image, and an image that it does not describe."""

    def facts(self, index: int) -> dict[str, str]:
        """The attributes of an image by name, as far as they are known."""

    def captions(self) -> list[str]:
        """Captions with all words of the split."""

    def digest(self) -> str:
        """A hash that tells the split from others."""


# Generated scenes.


@dataclass
class SceneSplit:
    """Generated scenes of the digits of a split."""

    split: str
    digits: labelled.ArraySplit
    count: int

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> scenes.Scene:
        return scenes.scene(self.split, index, int(self.digits.labels[index % len(self.digits)]))

    def read(self, index: int, side: int) -> np.ndarray:
        digit = self.digits.take(np.array([index % len(self.digits)]))[0]
        image = scenes.draw(self.scene(index), self.split, index, digit)
        return image if side == scenes.SIDE else image_file.resize(image, side, side)

    def draw(self, index: int, random: np.random.Generator) -> Drawn:
        what = self.scene(index)
        text, named = scenes.caption(what, random)
        if random.random() < 0.5 and (near := self._near(what, named, random)) is not None:
            return Drawn(text, 0, named, near)
        while True:  # the colour of a digit alone is the same in few of the others
            wrong = int(random.integers(self.count))
            if what.differs(self.scene(wrong), named):
                return Drawn(text, 0, named, wrong)

    def _near(
        self, what: scenes.Scene, named: tuple[str, ...], random: np.random.Generator
    ) -> int | None:
        """A scene that differs from another in one of the named attributes of `COMPARED` alone."""
        changed = str(random.choice([each for each in COMPARED if each in named]))
        found = [
            key
            for key in self.by_attributes
            if all(
                (value == getattr(what, each)) == (each != changed)
                for each, value in zip(COMPARED, key, strict=True)
            )
        ]
        if not found:
            return None
        return int(random.choice(self.by_attributes[found[random.integers(len(found))]]))

    @cached_property
    def by_attributes(self) -> dict[tuple, list[int]]:
        """Indices of the scenes that have the same attributes of `COMPARED`."""
        found: dict[tuple, list[int]] = defaultdict(list)
        for index in range(self.count):
            what = self.scene(index)
            found[tuple(getattr(what, each) for each in COMPARED)].append(index)
        return dict(found)

    def facts(self, index: int) -> dict[str, str]:
        what = self.scene(index)
        return {"digit": str(what.digit), "colour": what.colour, "background": what.background}

    def captions(self) -> list[str]:
        random = np.random.default_rng(0)
        return [self.draw_text(index % self.count, random) for index in range(2000)]

    def draw_text(self, index: int, random: np.random.Generator) -> str:
        return scenes.caption(self.scene(index), random)[0]

    def digest(self) -> str:
        return hash_of_names([self.split, self.digits.digest()])


def scene_splits(name: str, data_dir: str | None, seed: int) -> dict[str, SceneSplit]:
    """Scenes of the digits of a labelled dataset, MNIST's or generated ones."""
    found = labelled.find(name, data_dir, seed)
    if found.class_names != [str(k) for k in range(10)] or found.channels != 1:
        raise UserError(f"--dataset {name}: scenes need grayscale digits of ten classes")
    digits = {"train": found.train, "oracle": found.train}
    digits |= {"test": found.test, "held_out": found.test}
    return {split: SceneSplit(split, digits[split], count) for split, count in COUNTS.items()}


# Images in files.


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
        while self.groups[wrong] == self.groups[index]:
            wrong = int(random.integers(len(self)))
        return Drawn(text, number, tuple(self.facts(index)), wrong)

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


def of_folder(folder: Path, seed: int) -> dict[str, CaptionedFiles]:
    """Images with NAME.txt beside, a caption a line; train/ and test/, or a random tenth."""
    if (folder / "train").is_dir():
        parts = {"train": folder / "train", "test": folder / "test"}
        return {
            split: _folder_split(part, folder) for split, part in parts.items() if part.is_dir()
        }
    return split_off_test(_folder_split(folder, folder), folder, seed)


def _folder_split(folder: Path, root: Path) -> CaptionedFiles:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    classes = [path for path in classes if not path.name.startswith(".")]
    paths = [path for each in classes or [folder] for path in listing.find(each)]
    texts = [_captions_of(path) for path in paths]
    groups = [
        path.parent.name if classes else "|".join(t) for path, t in zip(paths, texts, strict=True)
    ]
    return checked(CaptionedFiles(root, paths, texts, groups))


def _captions_of(path: Path) -> list[str]:
    file = path.with_suffix(".txt")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: no captions in {file.name} beside it ({reason_of(error)}); write one a line, "
            "or remove the image"
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
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read ({reason_of(error)})") from error
    if not rows or not {"file", "caption"} <= rows[0].keys():
        raise UserError(f"{file}: give a first line with the columns file,caption and rows below")
    for number, row in enumerate(rows, 2):
        if not (row["caption"] or "").strip():
            raise UserError(f"{file}, line {number}: {row['file']} has an empty caption; write one")
    return rows


def of_csv(file: Path, seed: int) -> dict[str, CaptionedFiles]:
    """Images that a CSV file names, relative to its folder; several rows may name one."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows_of(file):
        texts[row["file"]].append(row["caption"].strip())
    for name in texts:
        if not (file.parent / name).is_file():
            raise UserError(
                f"{file}: a caption without image: {file.parent / name} is missing; remove the "
                "row, or name files relative to the folder of the CSV file"
            )
    paths, groups = [file.parent / name for name in texts], ["|".join(t) for t in texts.values()]
    every = checked(CaptionedFiles(file.parent, paths, [*texts.values()], groups))
    return split_off_test(every, file, seed)


def checked(split: CaptionedFiles) -> CaptionedFiles:
    if len(set(split.groups)) < 2:
        raise UserError(f"--dataset {split.root}: give images of two different captions or more")
    return split


def split_off_test(every: CaptionedFiles, name: Path, seed: int) -> dict[str, CaptionedFiles]:
    """Holds out a random tenth of the images."""
    if len(every) < 3:
        raise UserError(f"--dataset {name}: {len(every)} images are too few to train on")
    count = max(1, len(every) // 10)
    print(f"{name}: no test split, so {count} of {len(every)} images are held out")
    rest, test = random_split(len(every), seed, count)
    return {"train": every.subset(rest), "test": every.subset(test)}


def of_emoji(data_dir: str | None) -> dict[str, CaptionedFiles]:
    """Emoji that come in five skin tones; a fifth of emoji and skin tone is held out.

    Each emoji is in training in other tones, each tone with other emoji. All are also without a
    tone, yellow. Drawn in the first of the two styles.
    """
    folder = folder_of(data_dir)
    tones: dict[str, dict[str, dict]] = defaultdict(dict)
    for row in rows_of(folder / "captions.csv"):
        stem = Path(row["file"]).stem
        known = SKIN_TONES & set(stem.split("-"))
        if sum(code in SKIN_TONES for code in stem.split("-")) <= 1:
            base = base_of(stem)
            tones[base][str(sorted(SKIN_TONES).index(*known) if known else "none")] = row
    bases = sorted(base for base, rows in tones.items() if len(rows) == 1 + len(TONES))
    parts: dict[str, list[tuple[str, str, dict]]] = {"train": [], "held_out": []}
    for number, base in enumerate(bases):
        for tone, row in sorted(tones[base].items()):
            out = tone != "none" and (number + int(tone)) % len(TONES) == 0
            parts["held_out" if out else "train"].append((base, tone, row))
    splits = {}
    for split, listed in parts.items():
        paths = [folder / STYLES[0] / row["file"] for _, _, row in listed]
        texts = [[row["caption"]] for _, _, row in listed]
        known = [{} if tone == "none" else {"skin tone": TONES[int(tone)]} for _, tone, _ in listed]
        of_base = defaultdict(list)
        for index, (base, _, _) in enumerate(listed):
            of_base[base].append(index)
        near = {i: [j for j in of_base[base] if j != i] for i, (base, _, _) in enumerate(listed)}
        groups = [text[0] for text in texts]
        splits[split] = CaptionedFiles(folder, paths, texts, groups, known, near)
    return {"train": splits["train"], "test": splits["train"], "held_out": splits["held_out"]}


# Given embeddings.


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of captions that another encoder made.

    Attributes:
        rows: row of an image's name in `values`.
        values: float32 (N, captions, d).
    """

    rows: dict[str, int]
    values: np.ndarray

    @property
    def size(self) -> int:
        return self.values.shape[-1]

    @classmethod
    def read(cls, file: str) -> "Embeddings":
        """Reads an .npz file with `files` and `embeddings`."""
        try:
            with np.load(file) as archive:
                files, values = archive["files"], archive["embeddings"].astype(np.float32)
        except DAMAGE as error:
            raise UserError(
                f"--embeddings {file}: cannot be read ({one_line(error)}); give an .npz file with "
                "files and embeddings (N, captions, d)"
            ) from error
        if values.ndim != 3 or len(files) != len(values):
            raise UserError(
                f"--embeddings {file}: embeddings {values.shape} do not fit {len(files)} files; "
                "give (N, captions, d)"
            )
        return cls({str(name): row for row, name in enumerate(files)}, values)

    def check(self, split: CaptionedFiles, file: str):
        """Raises a UserError if an image has no embeddings."""
        for index in range(len(split)):
            if split.name(index) not in self.rows:
                raise UserError(f"--embeddings {file}: has none of {split.name(index)}")

    def of(self, name: str, random: np.random.Generator | None = None, most: int = 4) -> np.ndarray:
        """The mean of a few of an image's embeddings, drawn at random; without, the first: (d,)."""
        values = self.values[self.rows[name]]
        if random is None:
            return values[0]
        chosen = random.choice(len(values), min(most, len(values)), replace=False)
        return values[np.sort(chosen)].mean(axis=0)

    def digest(self) -> str:
        return hashlib.sha256(self.values.tobytes()).hexdigest()[:16]


def find(dataset: str | None, data_dir: str | None, seed: int) -> tuple[str, dict]:
    """A dataset's name or absolute path, and its splits; see `CaptionedImages`."""
    if dataset is None:
        try:
            return "mnist", scene_splits("mnist", data_dir, seed)
        except UserError as error:
            print(f"{error}\nusing scenes of the embedded generated digits instead")
            dataset = labelled.EMBEDDED
    if dataset in ("mnist", labelled.EMBEDDED):
        return dataset, scene_splits(dataset, data_dir, seed)
    if dataset == EMOJI:
        return EMOJI, of_emoji(data_dir)
    path = Path(dataset).expanduser().resolve()  # a run may be resumed from another directory
    if path.is_dir():
        return str(path), of_folder(path, seed)
    if path.is_file():
        return str(path), of_csv(path, seed)
    raise UserError(
        f"--dataset {dataset}: no such folder, CSV file or known dataset; give one of these or "
        f"mnist, {labelled.EMBEDDED}, {EMOJI}"
    )
