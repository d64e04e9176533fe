"""Facades at night: street lamps and lit windows under a dark sky.

A night has no randomness of its own: panes are always lit and walls are always dark. So a photo by
day has exactly one target at night, which can be inferred from it.
"""

from common.data.synthetic.facades.materials import GLASS_GLOSS, GLOSS, HEIGHT
from common.data.synthetic.facades.rendering import DEEPEST_FALL, Light

import numpy as np

_MOON = np.float32([0.16, 0.20, 0.32])  # light of the sky on an albedo
_STREET = np.float32([0.52, 0.36, 0.17])  # light of the street lamps, at the ground
_ROOM = np.float32([1.0, 0.80, 0.42])  # colour of a lit pane
_REACH = 0.28  # of the lamps' light upward, as a fraction of the image


class Night(Light):
    """The light of a scene after dark; draws the same numbers from `rng` as `Light`."""

    def __init__(self, rng: np.random.Generator):
        super().__init__(rng)
        self.sky = np.float32([[0.03, 0.04, 0.10], [0.10, 0.11, 0.20]])  # zenith, horizon

    def on(self, surface: np.ndarray) -> np.ndarray:
        """The lit surface (3, side, side), in [0, 1]."""
        height, gloss = surface[HEIGHT], surface[GLOSS]
        side = len(height)
        above = np.linspace(1, 0, side, dtype=np.float32)[:, None]  # height above the ground
        street = np.exp(-above / _REACH) * (1 + self._relief(height))
        light = _MOON[:, None, None] + street * _STREET[:, None, None]
        sky = height <= -DEEPEST_FALL
        pane = np.where(sky, 0, np.clip(gloss / GLASS_GLOSS, 0, 1))
        shown = 0.65 + 0.35 * surface[:3].mean(0)  # curtains and reflections stay visible
        lit = surface[:3] * light * (1 - pane) + _ROOM[:, None, None] * (pane * shown)
        # By day the sky is painted with clouds of 0.95; after dark they are hardly brighter.
        lit[:, sky] = self.sky.mean(0)[:, None] + 0.08 * surface[:3, sky]
        return lit
