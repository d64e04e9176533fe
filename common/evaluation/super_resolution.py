"""How near enlarged images are to their originals, by the protocol of super-resolution papers.

On luma (Y of ITU-R BT.601 in [16, 235], in whole levels, as MATLAB's `rgb2ycbcr` gives it), as many
pixels cut off at each border as the factor says. An image without colours is its own luma, in
[0, 255]: so do the authors of the published tables, and without it bicubic does not meet them.
"""

from collections.abc import Callable, Iterable

from common.errors import UserError
from common.evaluation.formatting import text_table
from common.images import bicubic
from common.metrics.image_quality import psnr, ssim

import numpy as np
from scipy.ndimage import laplace

FORMATS = {"psnr": ".2f", "ssim": ".4f", "sharpness": ".2f"}
BICUBIC = "bicubic"
Enlarge = Callable[[np.ndarray], np.ndarray]


def luma(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> float64 (H, W, 1)."""
    if image.shape[-1] == 1:
        return image.astype(np.float64)
    weights = np.array([[65.481], [128.553], [24.966]]) / 255
    return np.floor(16 + image @ weights + 0.5)


def least_side(scale: int) -> int:
    """Pixels that an image's sides need for it to be judged: SSIM's window within the borders."""
    return (2 + -(-11 // scale)) * scale


def scores(original: np.ndarray, enlarged: np.ndarray, border: int) -> dict[str, float]:
    """PSNR in dB, SSIM, and sharpness: the variance of the Laplacian, as a share of the original's.

    PSNR rewards the mean of all that could be there; sharpness shows what that has cost.

    Args:
        original, enlarged: uint8 images of one shape (H, W, 1 or 3).
        border: pixels that do not count.

    Raises:
        UserError: too little is left for SSIM's window.
    """
    inside = slice(border, -border or None)
    x, y = (luma(image)[inside, inside] for image in (original, enlarged))
    edges = [laplace(z[..., 0])[1:-1, 1:-1].var() for z in (x, y)]
    unit = [z / 127.5 - 1 for z in (x, y)]
    return {
        "psnr": float(psnr(*unit)),
        "ssim": float(ssim(*unit)),
        "sharpness": float(edges[1] / edges[0]) if edges[0] else float("nan"),
    }


def compare(
    originals: Iterable[tuple[str, np.ndarray]], methods: dict[str, Enlarge], scale: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of each method beside bicubic, image by image, and their means under "mean".

    Each original is cut to a multiple of the factor, made small by MATLAB's bicubic and enlarged.

    Args:
        originals: images, uint8 (H, W, 1 or 3), and the name of each, which no other has.
        methods: by name, what enlarges uint8 (h, w, C) to (scale h, scale w, C).
        scale: the factor.

    Returns:
        {image: {method: scores}}.

    Raises:
        UserError: there are no images, or one is too small for SSIM.
    """
    methods = {BICUBIC: lambda lr: bicubic.enlarge(lr, scale), **methods}
    results = {}
    for name, image in originals:
        height, width = image.shape[:2]
        if min(height, width) < least_side(scale):
            raise UserError(f"{name}: {width}x{height} px, too small to be judged; remove it")
        hr = image[: height // scale * scale, : width // scale * scale]
        lr = bicubic.shrink(hr, scale)
        results[name] = {m: scores(hr, enlarge(lr), scale) for m, enlarge in methods.items()}
    if not results:
        raise UserError("there are no images to evaluate on")
    results["mean"] = {
        method: {
            score: float(np.mean([row[method][score] for row in results.values()]))
            for score in FORMATS
        }
        for method in methods
    }
    return results


def table(results: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    """What `compare` gives: a head, then a row for each image."""
    head = [f"{method} {score}" for method in results["mean"] for score in FORMATS]
    rows = [
        [name, *(format(row[m][s], FORMATS[s]) for m in results["mean"] for s in FORMATS)]
        for name, row in results.items()
    ]
    return [["", *head], *rows]


def format_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))
