from common.errors import UserError
from common.metrics.image_quality import l1, l1_in, psnr, ssim

import numpy as np
import pytest
import tensorflow as tf


def images(seed=0, shape=(3, 20, 17, 3)):
    """A batch of images, and the same images with noise of increasing strength."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, shape)
    strength = np.linspace(0.05, 0.8, shape[0])[:, None, None, None]
    return x, np.clip(x + strength * rng.normal(size=shape), -1, 1)


def ssim_window_by_window(x, y):
    """Wang et al. 2004, equation 13, for one image (H, W, C) in [0, 1]."""
    i = np.arange(-5, 6)
    w = np.exp(-(i[:, None] ** 2 + i[None, :] ** 2) / (2 * 1.5**2))
    w /= w.sum()
    height, width, channels = x.shape
    values = []
    for c in range(channels):
        for top in range(height - 10):
            for left in range(width - 10):
                a = x[top : top + 11, left : left + 11, c]
                b = y[top : top + 11, left : left + 11, c]
                mu_a, mu_b = (w * a).sum(), (w * b).sum()
                var_a, var_b = (w * (a - mu_a) ** 2).sum(), (w * (b - mu_b) ** 2).sum()
                cov = (w * (a - mu_a) * (b - mu_b)).sum()
                values.append(
                    (2 * mu_a * mu_b + 0.01**2)
                    * (2 * cov + 0.03**2)
                    / ((mu_a**2 + mu_b**2 + 0.01**2) * (var_a + var_b + 0.03**2))
                )
    return np.mean(values)


def test_l1_is_on_the_range_minus_one_to_one():
    black, white = np.full((2, 4, 5, 3), -1.0), np.full((2, 4, 5, 3), 1.0)
    np.testing.assert_array_equal(l1(black, white), [2.0, 2.0])
    x, y = images()
    np.testing.assert_allclose(l1(x, y), [np.abs(a - b).mean() for a, b in zip(x, y, strict=True)])


def test_l1_in_a_region_is_the_mean_over_its_pixels():
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 1, (2, 3, 5, 6, 2))
    region = random.uniform(size=(3, 5, 6)) < 0.4
    expected = [np.abs(x[i] - y[i])[region[i]].mean() for i in range(3)]
    np.testing.assert_allclose(l1_in(x, y, region), expected)
    np.testing.assert_allclose(l1_in(x[1], y[1], region[1]), expected[1])
    np.testing.assert_allclose(l1_in(x, y, np.ones((3, 5, 6), bool)), l1(x, y))
    for wrong in (region[:2], region[..., :5], region[..., None], np.zeros((3, 5, 6), bool)):
        with pytest.raises(ValueError, match="region"):
            l1_in(x, y, wrong)


def test_psnr_of_constant_images():
    x = np.zeros((1, 4, 4, 1))
    np.testing.assert_allclose(psnr(x, x + 0.2), [20.0])  # 10 log10(2^2 / 0.2^2)
    assert psnr(x, x)[0] == np.inf


def test_ssim_of_constant_images_is_the_luminance_term():
    a, b = 0.25, 0.75  # in [0, 1]
    x, y = np.full((1, 16, 16, 3), 2 * a - 1), np.full((1, 16, 16, 3), 2 * b - 1)
    expected = (2 * a * b + 0.01**2) / (a**2 + b**2 + 0.01**2)
    np.testing.assert_allclose(ssim(x, y), [expected], rtol=1e-9)


def test_ssim_of_equal_images_is_one():
    x, _ = images()
    np.testing.assert_allclose(ssim(x, x), 1.0, rtol=1e-12)


def test_ssim_of_an_inverted_image_is_negative():
    x, _ = images()
    assert (ssim(x, -x) < -0.5).all()


@pytest.mark.parametrize("shape", [(3, 20, 17, 3), (2, 11, 11, 1), (2, 11, 14, 2)])
def test_ssim_equals_the_direct_formula(shape):
    x, y = images(shape=shape)
    expected = [ssim_window_by_window((a + 1) / 2, (b + 1) / 2) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(x, y), expected, rtol=1e-9)


def test_psnr_and_ssim_equal_tensorflow():
    x, y = images(shape=(4, 32, 40, 3))
    a, b = ((p.astype(np.float32) + 1) / 2 for p in (x, y))
    np.testing.assert_allclose(psnr(x, y), tf.image.psnr(a, b, max_val=1), rtol=1e-5)
    np.testing.assert_allclose(ssim(x, y), tf.image.ssim(a, b, max_val=1), atol=1e-5)


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_any_leading_axes_give_one_value_per_image(metric):
    x, y = images()
    values = metric(x, y)
    assert values.shape == (3,)
    assert values.dtype == np.float64
    np.testing.assert_allclose(metric(x[1], y[1]), values[1])
    np.testing.assert_allclose(metric(x[None], y[None]), values[None])


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_shapes_are_never_broadcast(metric):
    x, _ = images()
    with pytest.raises(ValueError, match="equal shapes"):
        metric(x, x[..., :1])
    with pytest.raises(ValueError, match="equal shapes"):
        metric(x[0, ..., 0], x[0, ..., 0])


def test_ssim_refuses_images_smaller_than_its_window():
    x = np.zeros((1, 16, 10, 3))
    with pytest.raises(UserError, match="11x11 px, not 10x16"):
        ssim(x, x)
