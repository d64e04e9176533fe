"""The capability of generators with self-attention: maps of where the attention goes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from common.adversarial import Adversarial
from common.demo.panels import SEED, Panel, WholeNumber
from common.errors import UserError
from common.inference.attention_maps import Point, draw_attention
from common.inference.draw import Sampling
from common.tasks.capability import Capability

import numpy as np


@dataclass(frozen=True)
class AttentionSampling(Sampling):
    """Images to generate.

    Args:
        attention: write a single image, attention.png, with a row for each generated image: first
            the image with some points marked, then for each of them a map of the pixels from which
            the generator's self-attention takes what it adds there, white where it takes most.
            --count is one image of each class by default.
        points: the points for --attention, as ROW,COLUMN+ROW,COLUMN+... in pixels from 0; default
            the centre and four around it.
    """

    attention: bool = False
    points: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.attention and self.grid:
            raise UserError("--grid: attention maps are a grid already; leave one of them out")
        if self.points is not None:
            if not self.attention:
                raise UserError(f"--points {self.points}: needs --attention")
            parse(self.points)

    @property
    def form(self) -> str | None:
        return "attention" if self.attention else super().form

    @property
    def draw(self) -> Callable[..., str]:
        if not self.attention:
            return super().draw
        points = None if self.points is None else parse(self.points)
        return partial(draw_attention, points=points)


class Attention(Capability):
    """The generator has a `SelfAttention`, whose weights `predict` shows.

    The sampling network takes noise and one-hot classes.
    """

    option_groups: ClassVar[dict[type, type]] = {Sampling: AttentionSampling}

    def panels(self, model: Adversarial, examples: tuple[np.ndarray, ...]) -> list[Panel]:
        count = WholeNumber("count", "images", 4, least=1, most=16)
        return [Panel("Attention", "Draw", "image", None, (count, SEED), ("--attention",))]


def parse(points: str) -> list[Point]:
    """The points of "8,12+20,16": [(8, 12), (20, 16)].

    Raises:
        UserError: it has another form.
    """
    if not re.fullmatch(r"\d+,\d+(\+\d+,\d+)*", points):
        raise UserError(f"--points {points}: give ROW,COLUMN+ROW,COLUMN+..., such as 8,12+20,16")
    return [tuple(map(int, point.split(","))) for point in points.split("+")]
