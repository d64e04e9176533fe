"""Sources of captioned images: generated scenes, emoji, folders and CSV files."""

from collections import defaultdict
from pathlib import Path
from typing import Protocol

from common.data.sources import labelled, layouts
from common.data.sources.captioned_files import (
    CaptionedFiles,
    Drawn,
    of_csv,
    of_folder,
    rows_of,
)
from common.data.sources.emoji import SKIN_TONES, STYLES, base_of, folder_of
from common.data.sources.scenes import scene_splits
from common.errors import UserError

import numpy as np

EMOJI = "emoji"
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


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


def find(
    dataset: str | None, data_dir: str | None, seed: int, skip_alone: bool = False
) -> tuple[str, dict]:
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
        return str(path), of_folder(path, seed, skip_alone)
    if path.is_file() and not layouts.other_file(path):
        return str(path), of_csv(path, seed, skip_alone)
    raise layouts.no_dataset(dataset, "a folder, a CSV file", "mnist", labelled.EMBEDDED, EMOJI)
