"""Glyphs of the embedded digits: their lines, and the splines through them."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

CLASSES = 10
SEGMENTS = 44  # number of straight segments of a glyph's line

# Points "x,y" in hundredths of a glyph's height, y down. A stroke is a smooth curve through its
# points; "!" is a corner, "|" lifts the pen. The number is the glyph's relative frequency.
GLYPHS: dict[int, dict[str, float]] = {
    0: {
        "36,0 14,14 3,50 14,87 34,100 56,86 65,50 55,13 33,1": 3,
        "50,6 26,4 4,42 8,84 32,100 58,78 64,38 48,4 30,6": 2,
        "30,2 4,26 6,72 36,98 70,74 74,30 46,2 24,8": 2,
    },
    1: {
        "30,0 30,50 30,100": 8,
        "14,20 32,0! 32,50 32,100": 1.2,
        "12,22 32,0! 32,50 32,100 | 8,100 58,99": 0.8,
    },
    2: {
        "6,24 18,5 40,0 57,18 50,46 28,74 4,97! 34,95 66,96": 3,
        "5,20 26,1 52,10 50,42 26,80 6,92 4,80 18,76 42,92 70,92": 3,
        "10,12 36,0 54,20 40,56 4,98! 30,90 50,97 72,90": 1.5,
    },
    3: {
        "5,12 28,0 52,10 48,34 20,47! 50,54 61,76 40,98 2,90": 4,
        "8,8 36,0 54,16 44,38 24,47 26,50 52,58 56,82 30,100 0,92": 3,
        "6,4 32,4 56,2! 42,22 24,42! 54,52 58,80 34,99 2,92": 1,
    },
    4: {
        "14,2 8,26 4,52! 32,52 66,48 | 56,4 52,50 48,100": 3,
        "10,4 5,32 16,50 38,48 54,36 | 60,0 55,50 48,100": 3,
        "46,0 24,34 2,66! 34,66 70,64 | 48,2 47,50 46,100": 1.5,
        "8,44 30,22 58,2! 54,50 46,100 | 4,46 28,52 66,50": 1,
    },
    5: {
        "62,2 38,3 16,4! 12,24 9,42! 34,36 58,54 52,86 24,100 2,90": 3,
        "18,6 14,26 10,44! 36,40 56,60 46,92 20,100 0,92 | 18,5 40,4 68,0": 3,
        "60,0 26,6 14,28 34,48 52,68 42,94 14,99 0,88": 1,
    },
    6: {
        "46,0 20,26 4,62 12,94 36,100 56,82 46,60 24,62 8,82": 3,
        "30,0 12,36 3,72 16,98 42,94 54,72 36,58 14,70 6,82": 3,
        "60,6 34,8 8,44 6,84 32,100 56,80 42,56 14,62": 1,
    },
    7: {
        "2,8 30,6 62,3! 44,46 26,100": 3,
        "4,22 8,6 34,7 62,4 56,28 38,60 30,100": 3,
        "2,6 32,6 64,3! 44,46 26,100 | 22,52 42,50 62,48": 1.2,
    },
    8: {
        "56,12 32,0 10,14 24,42 52,66 50,92 26,100 6,80 22,54 50,30 54,10 44,4": 4,
        "32,46 10,30 18,4 46,2 54,24 32,46 8,64 8,90 34,100 58,88 56,62 32,46": 2,
        "62,6 34,0 12,18 30,44 54,68 44,96 16,96 8,74 34,48 66,14": 2,
    },
    9: {
        "54,16 34,0 8,14 8,40 32,48 52,28 56,8! 54,50 50,100": 3,
        "50,14 28,0 4,22 16,46 40,40 54,10 54,44 42,86 28,100": 3,
        "56,18 34,0 8,16 14,44 42,42 56,18 56,60 40,96 6,90": 2,
    },
}


class Glyph(NamedTuple):
    """A glyph's spline: the points of the line are `weights @ points`."""

    points: np.ndarray  # (K, 2), x and y, in units of its height
    starts: np.ndarray  # (SEGMENTS, K): the weights of each segment's start
    ends: np.ndarray  # (SEGMENTS, K)
    along: np.ndarray  # (SEGMENTS,): the position of each segment along the line, 0 to 1


@cache
def glyphs() -> tuple[Glyph, np.ndarray, np.ndarray]:
    """All glyphs, stacked; the index of the first glyph of each class; and their odds.

    odds[c, i] is the cumulative probability of the glyphs 0 to i of class c.
    """
    texts = [text for variants in GLYPHS.values() for text in variants]
    most = max(text.count(",") for text in texts)
    parsed = [_parse(text, most) for text in texts]
    known = Glyph(*(np.stack(part).astype(np.float32) for part in zip(*parsed, strict=True)))
    counts = [len(variants) for variants in GLYPHS.values()]
    odds = np.ones((CLASSES, max(counts)), np.float32)
    for row, variants in zip(odds, GLYPHS.values(), strict=True):
        weights = np.cumsum([*variants.values()])
        row[: len(weights)] = weights / weights[-1]
    return known, np.cumsum([0, *counts[:-1]]), odds


def _parse(text: str, most: int) -> Glyph:
    """Parses a line of `GLYPHS`; points without weight fill it up to `most` points."""
    points, pieces = np.zeros((most, 2)), [[]]  # pieces: the points of each smooth curve
    number = 0
    for word in text.split():
        if word == "|":
            pieces.append([])
            continue
        points[number] = [float(place) / 100 for place in word.rstrip("!").split(",")]
        pieces[-1].append(number)
        if word.endswith("!"):
            pieces.append([number])
        number += 1
    chords = [_chords(points[piece]) for piece in pieces]
    total = sum(lengths[-1] for lengths in chords)
    counts = [max(1, int(SEGMENTS * lengths[-1] / total)) for lengths in chords]
    counts[int(np.argmax(counts))] += SEGMENTS - sum(counts)
    starts, ends = [], []
    for piece, lengths, count in zip(pieces, chords, counts, strict=True):
        # A spline is linear in its points: the spline through unit vectors gives the weights.
        spline = CubicSpline(lengths, np.eye(most)[piece], bc_type="natural")
        line = spline(np.linspace(0, lengths[-1], count + 1))
        starts.append(line[:-1])
        ends.append(line[1:])
    along = np.linspace(0, 1, SEGMENTS)
    return Glyph(points, np.concatenate(starts), np.concatenate(ends), along)


def _chords(points: np.ndarray) -> np.ndarray:
    """Length of the polygon through `points` (K, 2) up to each of them: (K,)."""
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=-1))])
