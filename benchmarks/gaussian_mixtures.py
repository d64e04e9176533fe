"""Mixtures of Gaussians in the plane, on which a lost mode is plain to see."""

from typing import NamedTuple

import numpy as np


class Mixture(NamedTuple):
    """Equally likely round Gaussians.

    Attributes:
        centres: (K, 2).
        std: standard deviation of each, in both directions.
    """

    centres: np.ndarray
    std: float

    @property
    def extent(self) -> float:
        """The largest coordinate of a centre: divided by it, the centres fill [-1, 1]."""
        return float(np.abs(self.centres).max())

    def points(self, seed: int, count: int) -> np.ndarray:
        """Samples, float32 (count, 2), a function of the seed."""
        random = np.random.default_rng(seed)
        chosen = self.centres[random.integers(len(self.centres), size=count)]
        return (chosen + self.std * random.normal(size=(count, 2))).astype(np.float32)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.02) -> Mixture:
    """Evenly on a circle (Metz et al. 2017, arXiv:1611.02163, section 3.1)."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """On a square grid around 0 (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1)."""
    along = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2), std)


MIXTURES = {"ring": ring, "grid": grid}
