"""MATLAB's bicubic `imresize`, with which super-resolution papers downscale and compare images.

Keys' kernel with a = -0.5, widened by the factor when downscaling (antialiasing); images are
extended by reflection at the border. TensorFlow's and Pillow's bicubic have the same kernel, but
truncate it at the border.
"""

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """uint8 (H, W, C), H and W multiples of `factor` -> uint8 (H / factor, W / factor, C)."""
    height, width = image.shape[:2]
    if height % factor or width % factor:
        raise ValueError(f"{width}x{height} px is not a multiple of {factor}")
    return resize(image, height // factor, width // factor)


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (H factor, W factor, C)."""
    height, width = image.shape[:2]
    return resize(image, height * factor, width * factor)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (height, width, C), rounded and clipped once, at the end."""
    columns = image.shape[1]
    rows = weights(image.shape[0], height) @ image.reshape(len(image), -1).astype(np.float32)
    across = rows.reshape(height, columns, -1).transpose(1, 0, 2).reshape(columns, -1)
    resized = (weights(columns, width) @ across).reshape(width, height, -1).transpose(1, 0, 2)
    return np.clip(np.floor(resized + 0.5), 0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def weights(source: int, target: int) -> csr_array:
    """Interpolation weights along an axis, from `source` to `target` pixels.

    Returns:
        float32 (target, source), sparse; each row sums to one.
    """
    scale = target / source
    narrowed = min(scale, 1.0)  # of the kernel's argument: wider when shrinking
    support = 4.0 / narrowed  # px of the source
    centre = (np.arange(target) + 0.5) / scale - 0.5
    first = np.floor(centre - support / 2).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(support)) + 2)  # (target, taps)
    values = _cubic(narrowed * (centre[:, None] - taps))
    values /= values.sum(axis=1, keepdims=True)
    mirrored = taps % (2 * source)
    mirrored = np.minimum(mirrored, 2 * source - 1 - mirrored)  # ... 1 0 | 0 1 2 ... n-1 | n-1 ...
    rows = np.repeat(np.arange(target), taps.shape[1])
    matrix = csr_array((values.ravel(), (rows, mirrored.ravel())), shape=(target, source))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys 1981, equation 15, a = -0.5: support [-2, 2]."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
