"""What the page of a demo has: tabs that stand for calls of `predict`, whatever draws them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Result = Literal["image", "images", "before and after", "animation", "class"]


@dataclass(frozen=True)
class Field:
    """An option of `predict` on the page.

    Attributes:
        option: name of the option.
        label: what the page calls it.
        value: initial value; None for the option's default.
    """

    option: str
    label: str
    value: int | float | str | bool | None = None

    def arguments(self, value) -> list[str]:
        """The option as on a command line; none where the page leaves it empty."""
        if value is None or value == "":
            return []
        return [f"--{self.option}={value}"]


@dataclass(frozen=True)
class WholeNumber(Field):
    """A whole number, in a slider where both bounds are given."""

    least: int | None = None
    most: int | None = None

    def arguments(self, value) -> list[str]:
        whole = value is not None and float(value).is_integer()
        return super().arguments(int(value) if whole else value)


SEED = WholeNumber("seed", "seed", 0, least=0)
FRAMES = WholeNumber("interpolate", "frames", 16, least=2, most=32)


@dataclass(frozen=True)
class Number(Field):
    """A number."""


@dataclass(frozen=True)
class Flag(Field):
    """A yes or no."""

    value: bool = False

    def arguments(self, value) -> list[str]:
        return [f"--{self.option}={str(bool(value)).lower()}"]


@dataclass(frozen=True)
class Text(Field):
    """A line of text."""


@dataclass(frozen=True)
class Choice(Field):
    """One of several values.

    Attributes:
        choices: the values.
        none: what the page calls leaving the option out; None if one of the values must be chosen.
    """

    choices: tuple[str, ...] = ()
    none: str | None = None

    def arguments(self, value) -> list[str]:
        return super().arguments(None if value == self.none else value)


@dataclass(frozen=True)
class Upload:
    """An image that is uploaded.

    Attributes:
        most_pixels: the largest image that is taken.
        examples: images to choose from, uint8 (H, W, C) each.
    """

    most_pixels: int = 4_000_000
    examples: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Drawing(Upload):
    """An image that is drawn on the page.

    Attributes:
        colours: colours of the brush, as "#rrggbb"; the first one is that of the empty board.
        side: side of the board in pixels.
    """

    colours: tuple[str, ...] = ("#ffffff", "#000000")
    side: int = 256


@dataclass(frozen=True)
class Hole(Upload):
    """An image that is uploaded, and the part of it that is painted over: `--mask`."""


@dataclass(frozen=True)
class Panel:
    """A tab of the page: one way to call `predict`.

    Attributes:
        title: its name.
        button: what its button says.
        result: what it shows of the files that `predict` writes.
        image: how the input image is given; None for no input.
        fields: options that can be chosen.
        arguments: further arguments, always the same.
        at_once: whether it is called when the page opens.
    """

    title: str
    button: str
    result: Result
    image: Upload | None = None
    fields: tuple[Field, ...] = ()
    arguments: tuple[str, ...] = ()
    at_once: bool = False
