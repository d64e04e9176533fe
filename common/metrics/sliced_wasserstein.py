"""Sliced Wasserstein distance of image patches, at each level of a Laplacian pyramid.

ProGAN's measure of generated images (Karras et al. 2018, arXiv:1710.10196, section 5). It needs no
labels and no network: at one scale it is small where patches of generated and of real images have
like distributions.
"""

import numpy as np
from scipy.ndimage import convolve1d

SMALLEST = 16  # px, least side of a level
PATCH = 7  # px, side of a patch
PER_IMAGE = 128  # patches of an image
MOST = 2**18  # patches of a level; the paper has 2**21, which take gigabytes
DIRECTIONS = 512
SCALE = 1000  # of the distances, as in the paper's tables
_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_AT_A_TIME = 32  # directions, to bound memory


def sliced_wasserstein(real, generated, seed: int = 0) -> dict[int, float]:
    """Returns 1,000 times the distance at each level, by the side of its images in pixels.

    Args:
        real, generated: images, (N, S, S, C) each, S at least 7.
        seed: seed for the places of patches and the directions.

    Raises:
        ValueError: the shapes differ, or the images are too small.
    """
    if np.shape(real) != np.shape(generated) or np.shape(real)[1] < PATCH:
        raise ValueError(
            f"as many images of equal size, at least {PATCH} px, are needed, not "
            f"{np.shape(real)} and {np.shape(generated)}"
        )
    random = np.random.default_rng(seed)
    distances = {}
    for pair in zip(laplacian_pyramid(real), laplacian_pyramid(generated), strict=True):
        sides = (normalized(patches(level, random)) for level in pair)
        distances[pair[0].shape[1]] = SCALE * mean_distance(*sides, random)
    return distances


def laplacian_pyramid(images) -> list[np.ndarray]:
    """Images (N, S, S, C) as levels of S, S/2, ... pixels: what each has beyond the next one.

    The last one, of less than 32 pixels or an odd number, is a reduced image itself. The paper's
    filter is wider than that of LAPGAN's pyramid in `common/nn/pyramid.py`.
    """
    levels = [np.asarray(images, np.float32)]
    while (side := levels[-1].shape[1]) % 2 == 0 and side // 2 >= SMALLEST:
        coarse = _smoothed(levels[-1])[:, ::2, ::2]
        levels[-1] = levels[-1] - enlarged(coarse)
        levels.append(coarse)
    return levels


def enlarged(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S, C) -> (N, 2S, 2S, C), interpolated by the pyramid's kernel."""
    count, side, _, channels = images.shape
    sparse = np.zeros((count, 2 * side, 2 * side, channels), np.float32)
    sparse[:, ::2, ::2] = images
    return 4 * _smoothed(sparse)


def patches(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Patches at random places of images (N, S, S, C): float32 (M, C, 7, 7)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    each = max(1, min(PER_IMAGE, MOST // len(images)))
    index = np.repeat(np.arange(len(images)), each)
    y, x = random.integers(0, windows.shape[1], (2, len(index)))
    return windows[index, y, x]


def normalized(found: np.ndarray) -> np.ndarray:
    """Patches (M, C, 7, 7) with mean 0 and variance 1 in each channel, as vectors (M, 49 C)."""
    axes = (0, 2, 3)
    found = found - found.mean(axis=axes, keepdims=True)
    found /= np.maximum(found.std(axis=axes, keepdims=True), 1e-8)
    return found.reshape(len(found), -1)


def mean_distance(a: np.ndarray, b: np.ndarray, random: np.random.Generator) -> float:
    """Mean over random directions of the Wasserstein-1 distance of a and b, (M, D) each, there."""
    directions = random.normal(size=(a.shape[1], DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    found = []
    for start in range(0, DIRECTIONS, _AT_A_TIME):
        some = directions[:, start : start + _AT_A_TIME]
        found.append(np.abs(np.sort(a @ some, axis=0) - np.sort(b @ some, axis=0)).mean())
    return float(np.mean(found))


def _smoothed(images: np.ndarray) -> np.ndarray:
    rows = convolve1d(images, _KERNEL, axis=1, mode="mirror")
    return convolve1d(rows, _KERNEL, axis=2, mode="mirror")
