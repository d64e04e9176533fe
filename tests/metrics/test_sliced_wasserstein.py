"""Sliced Wasserstein distances against SciPy, and on sets that differ at one scale only."""

from common.metrics import sliced_wasserstein as swd

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

RANDOM = np.random.default_rng(0)


def scenes(count, side=64, channels=3):
    """Images with details at every scale: sums of noise smoothed by different widths."""
    sums = np.zeros((count, side, side, channels))
    for width in (0, 1, 2, 4, 8):
        noise = gaussian_filter(RANDOM.normal(size=sums.shape), (0, width, width, 0), mode="wrap")
        sums += noise / noise.std()
    return sums.astype(np.float32)


def test_the_pyramid_sums_up_to_the_images():
    images = scenes(3)
    levels = swd.laplacian_pyramid(images)
    assert [level.shape[1] for level in levels] == [64, 32, 16]
    total = levels[-1]
    for level in levels[-2::-1]:
        total = swd.enlarged(total) + level
    np.testing.assert_allclose(total, images, atol=1e-5)


def test_a_constant_image_is_in_the_last_level_alone():
    levels = swd.laplacian_pyramid(np.full((2, 64, 64, 1), 5.0))
    np.testing.assert_allclose(levels[-1], 5, atol=1e-5)
    assert max(np.abs(level).max() for level in levels[:-1]) < 1e-5


@pytest.mark.parametrize(
    ("side", "sides"), [(28, [28]), (32, [32, 16]), (256, [256, 128, 64, 32, 16])]
)
def test_levels_end_at_16_pixels_or_an_odd_half(side, sides):
    assert [x.shape[1] for x in swd.laplacian_pyramid(np.zeros((1, side, side, 1)))] == sides


def test_the_distance_is_scipys(monkeypatch):
    monkeypatch.setattr(swd, "DIRECTIONS", 5)
    a, b = RANDOM.normal(size=(40, 9)), RANDOM.normal(0.5, 2, size=(40, 9))
    directions = np.random.default_rng(7).normal(size=(9, 5))
    directions /= np.linalg.norm(directions, axis=0)
    expected = [wasserstein_distance(a @ v, b @ v) for v in directions.T]
    found = swd.mean_distance(a, b, np.random.default_rng(7))
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


def test_patches_are_normalized_in_each_channel():
    found = swd.patches(scenes(20) * (1, 5, 9) + (0, 3, -3), RANDOM)
    vectors = swd.normalized(found)
    assert vectors.shape == (20 * 128, 147)
    by_channel = vectors.reshape(-1, 3, 49)
    np.testing.assert_allclose(by_channel.mean(axis=(0, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(by_channel.std(axis=(0, 2)), 1, atol=1e-3)


def test_blurred_images_differ_where_they_have_lost_details():
    real, others, third = scenes(60), scenes(60), scenes(60)
    same = swd.sliced_wasserstein(real, others)
    blurred = swd.sliced_wasserstein(real, gaussian_filter(third, (0, 1, 1, 0)))
    assert blurred[64] > 3 * same[64]
    assert blurred[16] < 1.5 * same[16]


def test_sets_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="as many images"):
        swd.sliced_wasserstein(np.zeros((2, 32, 32, 3)), np.zeros((3, 32, 32, 3)))
