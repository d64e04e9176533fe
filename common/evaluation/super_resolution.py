"""Evaluation of super-resolution by the protocol of the field's papers.

Images are compared by their luma (Y of ITU-R BT.601 in [16, 235], rounded, as MATLAB's `rgb2ycbcr`
computes it), without a border of `scale` pixels. A one-channel file is its own luma, in [0, 255],
as in the published tables.

A network gets the 8-bit RGB image shrunk by MATLAB's `imresize`, and the luma of its 8-bit RGB
output is compared. The bicubic row is computed as in the published tables: the luma itself is
shrunk and enlarged in double precision, limited to [16, 235] and rounded once, at the end. So the
rows of Kim et al. 2016 (VDSR, arXiv:1511.04587, table 2) are reproduced exactly on Set5 and Set14
at scales 2, 3 and 4, such as 28.42 dB / 0.8104 and 26.00 dB / 0.7027 at 4.
"""

from collections.abc import Callable, Iterable

from common.errors import UserError
from common.evaluation.formatting import text_table
from common.images import bicubic
from common.metrics.directions import marked
from common.metrics.image_quality import psnr, ssim

import numpy as np
from scipy.ndimage import laplace

FORMATS = {"psnr": ".2f", "ssim": ".4f", "sharpness": ".2f"}
BICUBIC = "bicubic"
LUMA_RANGE = 16, 235
Enlarge = Callable[[np.ndarray], np.ndarray]


def luma(image: np.ndarray) -> np.ndarray:
    """Luma in whole levels: uint8 (H, W, 1 or 3) -> float64 (H, W, 1)."""
    if image.shape[-1] == 1:
        return image.astype(np.float64)
    weights = np.array([[65.481], [128.553], [24.966]]) / 255
    return np.floor(16 + image @ weights + 0.5)


def bicubic_luma(y: np.ndarray, scale: int) -> np.ndarray:
    """Luma (H, W, 1) shrunk by `scale` and enlarged again, in whole levels of [16, 235].

    Nothing is rounded in between. H and W are multiples of `scale`.
    """
    height, width = y.shape[:2]
    small = _resized(y[..., 0], height // scale, width // scale)
    large = _resized(small, height, width).clip(*LUMA_RANGE)
    return np.floor(large + 0.5)[..., np.newaxis]


def _resized(y: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic interpolation in double precision: float64 (H, W) -> (height, width)."""
    down, across = (bicubic.weights(*sides) for sides in zip(y.shape, (height, width), strict=True))
    return down @ y @ across.T


def min_side(scale: int) -> int:
    """The smallest side in pixels of an image that can be evaluated: SSIM's window and borders."""
    return (2 + -(-11 // scale)) * scale


def scores(original: np.ndarray, enlarged: np.ndarray, border: int) -> dict[str, float]:
    """PSNR in dB, SSIM and sharpness of an enlarged image.

    Sharpness is the variance of the Laplacian relative to the original's. It shows what PSNR does
    not: PSNR favours the blurred mean of all plausible details.

    Args:
        original, enlarged: uint8 images of one shape (H, W, 1 or 3).
        border: width of the ignored border in pixels.

    Raises:
        UserError: the rest is smaller than SSIM's window.
    """
    return _luma_scores(luma(original), luma(enlarged), border)


def bicubic_scores(original: np.ndarray, scale: int) -> dict[str, float]:
    """The scores of bicubic interpolation, computed on luma alone.

    Args:
        original: uint8 (H, W, 1 or 3), H and W multiples of `scale`.
        scale: factor, and width of the ignored border in pixels.

    Raises: as `scores`.
    """
    y = luma(original)
    return _luma_scores(y, bicubic_luma(y, scale), scale)


def _luma_scores(y: np.ndarray, y_hat: np.ndarray, border: int) -> dict[str, float]:
    """`scores` of luma, float64 (H, W, 1)."""
    inside = slice(border, -border or None)
    cropped = [image[inside, inside] for image in (y, y_hat)]
    edges = [laplace(image[..., 0])[1:-1, 1:-1].var() for image in cropped]
    unit = [image / 127.5 - 1 for image in cropped]
    return {
        "psnr": float(psnr(*unit)),
        "ssim": float(ssim(*unit)),
        "sharpness": float(edges[1] / edges[0]) if edges[0] else float("nan"),
    }


def compare(
    originals: Iterable[tuple[str, np.ndarray]], methods: dict[str, Enlarge], scale: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of bicubic interpolation and of each method for each image, and their means.

    Each original is cropped to multiples of the scale, shrunk by MATLAB's bicubic and enlarged.

    Args:
        originals: (name, image) pairs with distinct names, uint8 (H, W, 1 or 3).
        methods: functions by name that enlarge uint8 (h, w, C) to (scale h, scale w, C).
        scale: factor.

    Returns:
        {name of the image, or "mean": {method: scores}}.

    Raises:
        UserError: there are no images, or one is too small for SSIM.
    """
    results = {}
    for name, image in originals:
        height, width = image.shape[:2]
        if min(height, width) < min_side(scale):
            raise UserError(f"{name}: {width}x{height} px, too small to be evaluated; remove it")
        hr = image[: height // scale * scale, : width // scale * scale]
        lr = bicubic.shrink(hr, scale)
        results[name] = {BICUBIC: bicubic_scores(hr, scale)} | {
            method: scores(hr, enlarge(lr), scale) for method, enlarge in methods.items()
        }
    if not results:
        raise UserError("there are no images to evaluate on")
    results["mean"] = {
        method: {
            score: float(np.mean([row[method][score] for row in results.values()]))
            for score in FORMATS
        }
        for method in (BICUBIC, *methods)
    }
    return results


def table(results: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    """The results of `compare` as cells: a header, then a row for each image and for the mean."""
    header = [f"{method} {marked(score)}" for method in results["mean"] for score in FORMATS]
    rows = [
        [name, *(format(row[m][s], FORMATS[s]) for m in results["mean"] for s in FORMATS)]
        for name, row in results.items()
    ]
    return [["", *header], *rows]


def format_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))
