"""Emoji in two drawing styles, with equal names, and random parts of them that share no emoji.

A file is named by the code points of its emoji, as in 1f44d-1f3fd.png: a thumb (1f44d) of medium
skin tone (1f3fd).
"""

from collections.abc import Iterable
from pathlib import Path

from common.data.sources.splits import random_split
from common.errors import UserError
from common.io.keras_cache import datasets_folder

NAME = "emoji"
STYLES = ("twitter", "google")  # A and B
SIDE = 64  # px
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
TEXT_OR_EMOJI = {"fe0e", "fe0f"}  # variation selectors; a skin tone takes their place
# Two people of different skin tones are spelled out, person by person: what it is short for.
SHORT = {
    "1f469-200d-1f91d-200d-1f468": "1f46b",  # a woman and a man who hold hands
    "1f468-200d-1f91d-200d-1f468": "1f46c",  # two men
    "1f469-200d-1f91d-200d-1f469": "1f46d",  # two women
    "1f9d1-200d-2764-200d-1f48b-200d-1f9d1": "1f48f",  # a kiss
    "1f9d1-200d-2764-200d-1f9d1": "1f491",  # a couple with a heart
    "1faf1-200d-1faf2": "1f91d",  # a handshake
}


def folder_of(data_dir: str | None) -> Path:
    """The folder of the emoji, `emoji` in that of the named datasets. Raises UserError."""
    folder = datasets_folder(data_dir) / NAME
    missing = [f"{style}/" for style in STYLES if not (folder / style).is_dir()]
    if missing:
        raise UserError(
            f"--dataset {NAME}: {folder} has no {' and no '.join(missing)}, and there is no "
            "download; put images of equal names there (see docs/data.md), or give --data_dir"
        )
    return folder


def base_of(stem: str) -> str:
    """The emoji without its skin tones: "1f44d-1f3fd" -> "1f44d"."""
    kept = [code for code in stem.split("-") if code not in SKIN_TONES | TEXT_OR_EMOJI]
    base = "-".join(kept)
    return SHORT.get(base, base)


def parts_by_base(stems: Iterable[str], *shares: float) -> list[list[int]]:
    """A partition, the same in every run, in which all skin tones of an emoji are in one part.

    Args:
        stems: names of the emoji.
        shares: share of the bases that each held-out part has, of which there is at least one.

    Returns:
        The indices of the remaining stems, then those of each part.
    """
    bases = [base_of(stem) for stem in stems]
    known = sorted(set(bases))
    counts = [max(1, round(share * len(known))) for share in shares]
    part_of = {
        known[index]: part
        for part, indices in enumerate(random_split(len(known), 0, *counts))
        for index in indices
    }
    return [
        [index for index, base in enumerate(bases) if part_of[base] == part]
        for part in range(1 + len(shares))
    ]
