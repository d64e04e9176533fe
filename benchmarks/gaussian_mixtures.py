"""Mixtures of Gaussians in the plane or on a line, and how many of their modes samples cover."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

GOOD = 3.0  # standard deviations from the nearest centre


class Mixture(NamedTuple):
    """An equally weighted mixture of isotropic Gaussians.

    Attributes:
        centres: (K, d).
        std: standard deviation of each component, in all directions; one for all, or (K,).
        scaled: whether a model is trained on points divided by `extent`.
    """

    centres: np.ndarray
    std: float | np.ndarray
    scaled: bool = True

    @property
    def dimensions(self) -> int:
        """d, the number of coordinates."""
        return self.centres.shape[1]

    @property
    def extent(self) -> float:
        """The largest coordinate of a centre: divided by it, the centres fill [-1, 1]."""
        return float(np.abs(self.centres).max())

    @property
    def unit(self) -> float:
        """What the points are divided by for training."""
        return self.extent if self.scaled else 1.0

    @property
    def stds(self) -> np.ndarray:
        """Standard deviations of the components, (K,)."""
        return np.broadcast_to(self.std, len(self.centres))

    def points(self, seed: int, count: int) -> np.ndarray:
        """Samples, float32 (count, d), a function of the seed."""
        random = np.random.default_rng(seed)
        chosen = random.integers(len(self.centres), size=count)
        offsets = self.stds[chosen, None] * random.normal(size=(count, self.dimensions))
        return (self.centres[chosen] + offsets).astype(np.float32)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.02) -> Mixture:
    """Modes evenly spaced on a circle (Metz et al. 2017, arXiv:1611.02163, section 3.1)."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Modes on a square grid (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1)."""
    along = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2), std)


def line() -> Mixture:
    """Five modes on a line, at their own scale, of the code of Ghosh et al. 2018 (MAD-GAN)."""
    centres = np.array([[10.0], [20.0], [60.0], [80.0], [110.0]])
    return Mixture(centres, np.array([3.0, 3.0, 2.0, 2.0, 1.0]), scaled=False)


PLANAR = {"ring": ring, "grid": grid}
MIXTURES = PLANAR | {"line": line}


def nearest_modes(samples: np.ndarray, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each sample, (N,), and whether it is within three deviations of it."""
    distances, nearest = cKDTree(mixture.centres).query(np.asarray(samples, np.float64))
    return nearest, distances <= GOOD * mixture.stds[nearest]


def mode_scores(samples: np.ndarray, mixture: Mixture, least: int = 1) -> dict[str, float]:
    """Mode coverage (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1).

    A sample is good if it is within three standard deviations of a centre.

    Args:
        samples: (N, d), N at least 1.
        mixture: target distribution.
        least: number of good samples that a covered mode must have; 1 in the paper.

    Returns:
        `modes`, the number of covered modes; `good`, the fraction of good samples; `kl`, the
        Kullback-Leibler divergence in nats of the good samples' distribution over the modes from
        the uniform one, infinite without good samples.
    """
    nearest, good = nearest_modes(samples, mixture)
    counts = np.bincount(nearest[good], minlength=len(mixture.centres))
    shares = counts[counts > 0] / max(counts.sum(), 1)
    kl = float(np.sum(shares * np.log(shares * len(counts)))) if good.any() else float("inf")
    return {"modes": int(np.count_nonzero(counts >= least)), "good": float(good.mean()), "kl": kl}


def histogram_kl(samples: np.ndarray, points: np.ndarray) -> float:
    """KL divergence of two histograms on a line, samples from data, in nats.

    The protocol of MAD-GAN's code: bins of 0.5 from -10 to 130, and only those with data count.

    Args:
        samples: generated points, (N, 1).
        points: data, (M, 1).
    """
    edges = np.arange(-10.0, 130.5, 0.5)
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (samples, points))
    known = (p > 0) & (q > 0)
    return float(np.sum(p[known] * np.log(p[known] / q[known])))


def concentration(samples: np.ndarray, makers: np.ndarray, mixture: Mixture) -> list[float]:
    """The share of each generator's samples that are nearest to its two most frequent modes.

    Args:
        samples: (N, d).
        makers: the generator of each sample, int (N,).
        mixture: target distribution.
    """
    nearest, _ = nearest_modes(samples, mixture)
    counts = (np.bincount(nearest[makers == i]) for i in np.unique(makers))
    return [float(np.sort(each)[-2:].sum() / each.sum()) for each in counts]


def relation_scores(
    translate: Callable[[np.ndarray], np.ndarray],
    source: Mixture,
    target: Mixture,
    seed: int,
    count: int = 500,
) -> dict[str, float]:
    """How points of one mixture are translated to another (Kim et al. 2017, section 4.1).

    A mode of the source belongs to the mode of the target that is nearest to most of its points.

    Args:
        translate: points (N, 2) -> points (N, 2).
        source: mixture of the points.
        target: mixture that they are translated to.
        seed: seed for the points.
        count: number of points of each mode of the source.

    Returns:
        `modes`, the number of modes of the target to which one of the source belongs: as many as
        the source has if no two belong to the same; `good`, the fraction of translations within
        three standard deviations of a centre.
    """
    tree, random = cKDTree(target.centres), np.random.default_rng(seed)
    found, good = set(), []
    for centre in source.centres:
        points = centre + source.std * random.normal(size=(count, 2))
        distances, nearest = tree.query(np.asarray(translate(points), np.float64))
        found.add(int(np.bincount(nearest).argmax()))
        good.append(np.mean(distances <= GOOD * target.std))
    return {"modes": len(found), "good": float(np.mean(good))}
