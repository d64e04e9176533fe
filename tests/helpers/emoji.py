"""A small dataset of emoji in two styles."""

from pathlib import Path

from common.images import image_file
from tests.helpers.image_files import noise

import numpy as np

# Twenty emoji, five of them also in skin tones.
STEMS = [f"1f6{n:02d}" for n in range(15)] + [
    f"1f4{n}{tone}" for n in range(40, 45) for tone in ("", "-1f3fb", "-1f3fd", "-1f3ff")
]


def emoji_image(style: str, name: str) -> np.ndarray:
    """An emoji, uint8 (64, 64, 3): noise that depends on style and name."""
    return noise(64, 64, [*style.encode(), *name.removesuffix(".png").encode()])


def write_emoji(folder: Path, stems: list[str] = STEMS) -> Path:
    """Writes emoji/twitter/ and emoji/google/ to a folder of named datasets."""
    for style in ("twitter", "google"):
        for stem in stems:
            image_file.write(folder / "emoji" / style / f"{stem}.png", emoji_image(style, stem))
    return folder
