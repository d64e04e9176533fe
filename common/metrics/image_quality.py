"""Full-reference image quality: L1, PSNR and SSIM, one value per image.

Images are float arrays (..., H, W, C) in [-1, 1], as everywhere inside the project, so the data
range is 2. Computations are in float64: in float32, SSIM's variances, which are differences of
nearly equal numbers, lose digits.
"""

from common.errors import UserError

import numpy as np
from scipy.ndimage import gaussian_filter

DATA_RANGE = 2.0
IMAGE = (-3, -2, -1)

# Wang et al. 2004, section III.C.
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_K1, SSIM_K2 = 0.01, 0.03


def l1(x, y):
    """Mean absolute difference: 0 for equal images, 2 for black and white.

    Divide by 2 for images in [0, 1], multiply by 127.5 for grey levels.

    Args:
        x, y: images in [-1, 1] of one shape (..., H, W, C).

    Returns:
        float64 array (...), one value per image.

    Raises:
        ValueError: the shapes differ or are not those of images.
    """
    x, y = _same_shape(x, y)
    return np.abs(x - y).mean(IMAGE)


def l1_in(x, y, region):
    """Mean absolute difference within a region of each image, such as a hole that was filled.

    Args:
        x, y: images in [-1, 1] of one shape (..., H, W, C).
        region: bool (..., H, W), not empty in any image.

    Returns:
        float64 array (...), one value per image.

    Raises:
        ValueError: the shapes do not fit, or a region is empty.
    """
    x, y = _same_shape(x, y)
    region = np.asarray(region, bool)
    if region.shape != x.shape[:-1] or not region.any(axis=(-2, -1)).all():
        raise ValueError(f"a region {x.shape[:-1]} with pixels is needed, not {region.shape}")
    differences = np.abs(x - y).mean(axis=-1) * region
    return differences.sum(axis=(-2, -1)) / region.sum(axis=(-2, -1))


def psnr(x, y):
    """Peak signal-to-noise ratio in dB: 10 log10(2^2 / mean((x - y)^2)).

    Infinite for equal images. The value is the same as for images in [0, 1] with peak 1, or in
    [0, 255] with peak 255.

    Args, returns, raises: as `l1`.
    """
    x, y = _same_shape(x, y)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(DATA_RANGE**2 / np.square(x - y).mean(IMAGE))


def ssim(x, y):
    """Structural similarity in [-1, 1], 1 for equal images.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004,
    equation 13: an 11x11 Gaussian window with sigma 1.5, only windows entirely inside the image;
    the mean over windows and then over channels.

    Args:
        x, y: images in [-1, 1] of one shape (..., H, W, C), at least 11 px wide and high.

    Returns:
        float64 array (...), one value per image.

    Raises:
        UserError: the images are smaller than the window.
        ValueError: the shapes differ or are not those of images.
    """
    x, y = _same_shape(x, y)
    window = 2 * SSIM_RADIUS + 1
    if min(x.shape[-3:-1]) < window:
        height, width = x.shape[-3:-1]
        raise UserError(
            f"SSIM needs images of at least {window}x{window} px, not {width}x{height}: "
            "use larger ones"
        )
    # SSIM's luminance term is a ratio of intensities with black = 0. On [-1, 1] it would be
    # negative where one mean is dark and the other bright.
    x, y = x + 1, y + 1
    c1, c2 = (SSIM_K1 * DATA_RANGE) ** 2, (SSIM_K2 * DATA_RANGE) ** 2
    mu_x, mu_y = _window_mean(x), _window_mean(y)
    var_x = _window_mean(x * x) - mu_x**2
    var_y = _window_mean(y * y) - mu_y**2
    cov_xy = _window_mean(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1)
    contrast_structure = (2 * cov_xy + c2) / (var_x + var_y + c2)
    return (luminance * contrast_structure).mean(IMAGE)


def _window_mean(x):
    """Gaussian means of all windows inside: (..., H, W, C) -> (..., H - 10, W - 10, C)."""
    means = gaussian_filter(x, SSIM_SIGMA, radius=SSIM_RADIUS, axes=(x.ndim - 3, x.ndim - 2))
    inside = slice(SSIM_RADIUS, -SSIM_RADIUS)
    return means[..., inside, inside, :]


def _same_shape(x, y):
    """Both as float64, checked: NumPy would broadcast different shapes to a plausible number."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim < 3:
        raise ValueError(f"two equal shapes (..., H, W, C) are needed, not {x.shape} and {y.shape}")
    return x, y
