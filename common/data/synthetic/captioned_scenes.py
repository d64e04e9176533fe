"""Generated scenes with captions: a digit of some colour and size, somewhere on a background.

A fifth of the combinations of digit and colour is held out: each digit and each colour is seen in
training, but not these together. A scene is a function of the split and its index.
"""

from itertools import pairwise
from typing import NamedTuple

from common.images import image_file

import numpy as np

SIDE = 64  # px
SEED = 0  # fixed, so that all runs share the scenes and a reference classifier
COLOURS = {
    "red": (220, 40, 40),
    "green": (50, 165, 70),
    "blue": (45, 80, 220),
    "yellow": (245, 220, 60),
    "orange": (250, 140, 30),
    "purple": (140, 60, 180),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
BACKGROUNDS = {
    "white": (245, 245, 245),
    "black": (20, 20, 20),
    "grey": (128, 128, 128),
    "blue": (40, 75, 205),
    "green": (45, 155, 65),
    "yellow": (240, 215, 70),
}
SIZES = {"small": 42, "large": 58}  # px, side of the 28 pixels of a digit
PLACES = {
    "left": (0, -1),
    "right": (0, 1),
    "top": (-1, 0),
    "bottom": (1, 0),
    "centre": (0, 0),
}
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
HELD_OUT_SHARE = 5  # one in so many combinations
SPLIT_NUMBERS = {"train": 0, "test": 1, "held_out": 2, "classifier": 3}

# Words for the attributes, and how often a caption names each of them.
SAID = {
    "size": {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")},
    "background": {"grey": ("grey", "gray")},
    "place": {
        "left": ("on the left", "at the left"),
        "right": ("on the right", "at the right"),
        "top": ("at the top", "above"),
        "bottom": ("at the bottom", "below"),
        "centre": ("in the centre", "in the middle"),
    },
}
NAMED = {"colour": 0.85, "background": 0.8, "size": 0.4, "place": 0.4}
TEMPLATES = (
    "a {size} {colour} {digit} on {background} {place}",
    "{place} a {size} {colour} {digit} over {background}",
    "the digit {digit} {size} in {colour} on a {background} background {place}",
    "a {size} {digit} written in {colour} on {background} {place}",
    "a {background} image with a {size} {colour} {digit} {place}",
    "{size} {colour} number {digit} {background} background {place}",
)
WITHOUT = (  # what is left of a template whose attribute is not named
    ("on a - background", ""),
    ("a - image with", ""),
    ("- background", ""),
    ("on -", ""),
    ("over -", ""),
    ("written in -", ""),
    ("in -", ""),
    ("-", ""),
)


class Scene(NamedTuple):
    """What a scene shows: names of its attributes, and its place in pixels."""

    digit: int
    colour: str
    background: str
    size: str
    place: str
    corner: tuple[int, int]

    def differs(self, other: "Scene", named: tuple[str, ...]) -> bool:
        """Whether one of these attributes is another one."""
        return any(getattr(self, each) != getattr(other, each) for each in named)


def held_out(digit: int, colour: str) -> bool:
    """Whether a combination is never in training."""
    return (digit + list(COLOURS).index(colour)) % HELD_OUT_SHARE == 0


def scene(split: str, index: int, digit: int) -> Scene:
    """The scene of a digit: `train` and `test` have the combinations seen in training."""
    random = np.random.default_rng([SEED, SPLIT_NUMBERS[split], index])
    allowed = [each for each in COLOURS if split == "classifier" or _of(split, digit, each)]
    colour = str(random.choice(allowed))
    background = str(random.choice([each for each in BACKGROUNDS if each != colour]))
    size, place = str(random.choice([*SIZES])), str(random.choice([*PLACES]))
    room = SIDE - SIZES[size] * 20 // 28 - 4  # px: the digit takes 20 of its 28 pixels
    reach = room // 2
    step = np.asarray(PLACES[place]) * random.uniform(0.75, 1.0) * reach
    drift = random.uniform(-1, 1, 2) * reach * 0.15
    middle = (SIDE - SIZES[size]) / 2
    top, left = np.rint(middle + np.clip(step + drift, -reach, reach)).astype(int).tolist()
    return Scene(digit, colour, background, size, place, (top, left))


def _of(split: str, digit: int, colour: str) -> bool:
    return held_out(digit, colour) == (split == "held_out")


def draw(what: Scene, split: str, index: int, digit: np.ndarray) -> np.ndarray:
    """The scene's image, uint8 (64, 64, 3).

    Args:
        what: the scene.
        split, index: those of the scene, from which its shades are drawn.
        digit: the digit's ink, uint8 (28, 28, 1).
    """
    random = np.random.default_rng([SEED, 10 + SPLIT_NUMBERS[split], index])
    colour, background = (
        np.clip(np.asarray(table[name]) + random.normal(0, 6, 3), 0, 255)
        for table, name in ((COLOURS, what.colour), (BACKGROUNDS, what.background))
    )
    side = SIZES[what.size]
    ink = np.zeros((3 * SIDE, 3 * SIDE))
    top, left = (SIDE + corner for corner in what.corner)
    ink[top : top + side, left : left + side] = image_file.resize(digit, side, side)[..., 0] / 255
    ink = ink[SIDE : 2 * SIDE, SIDE : 2 * SIDE, None]
    return np.rint(ink * colour + (1 - ink) * background).astype(np.uint8)


def caption(what: Scene, random: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """A caption of a scene, and the names of the attributes that it tells."""
    named = {name for name, share in NAMED.items() if random.random() < share}
    digit = DIGITS[what.digit] if random.random() < 0.8 else str(what.digit)
    said = {"digit": digit}
    for name in NAMED:
        value = getattr(what, name)
        words = SAID.get(name, {}).get(value, (value,))
        said[name] = str(random.choice(words)) if name in named else "-"
    text = str(random.choice(TEMPLATES)).format(**said)
    for part, instead in WITHOUT:
        text = text.replace(part, instead)
    text = " ".join(text.split())
    return with_articles(text), ("digit", *sorted(named))


def with_articles(text: str) -> str:
    """ "a" before a vowel becomes "an"."""
    words = text.split()
    for number, (word, following) in enumerate(pairwise(words)):
        if word == "a" and following[0] in "aeiou" and following != "one":
            words[number] = "an"
    return " ".join(words)
