"""The protocol of super-resolution papers, against plain NumPy and what BT.601 says."""

from common.errors import UserError
from common.evaluation import super_resolution
from common.images import bicubic
from tests.helpers.image_files import noise

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("colour", "level"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
    ],
)
def test_luma_is_that_of_bt601(colour, level):
    assert (
        super_resolution.luma(np.full((2, 3, 3), colour, np.uint8)).tolist() == [[[level]] * 3] * 2
    )


def test_a_grey_image_is_its_own_luma():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(super_resolution.luma(grey), grey)


def test_psnr_of_luma_without_the_border():
    original = noise(40, 44, 0)
    enlarged = noise(40, 44, 1)
    y, y_hat = (
        np.floor(16 + p @ (np.array([65.481, 128.553, 24.966]) / 255) + 0.5)[4:-4, 4:-4]
        for p in (original, enlarged)
    )
    expected = 10 * np.log10(255**2 / np.mean((y - y_hat) ** 2))
    assert super_resolution.scores(original, enlarged, 4)["psnr"] == pytest.approx(expected)
    framed = enlarged.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 0
    assert super_resolution.scores(original, framed, 4) == super_resolution.scores(
        original, enlarged, 4
    )


def test_equal_images_and_blurred_ones():
    original = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    same = super_resolution.scores(original, original, 4)
    assert same["psnr"] == np.inf and same["ssim"] == pytest.approx(1) and same["sharpness"] == 1
    blurred = bicubic.enlarge(bicubic.shrink(original, 2), 2)
    scores = super_resolution.scores(original, blurred, 2)
    assert scores["sharpness"] < 0.5 and scores["ssim"] < 0.9


def test_every_method_enlarges_the_same_small_image():
    seen = []

    def nearest(lr):
        seen.append(lr)
        return lr.repeat(4, 0).repeat(4, 1)

    shown = [("a", noise(43, 41, 0)), ("b", noise(40, 40, 1, channels=1))]
    results = super_resolution.compare(shown, {"nearest": nearest}, 4)
    for (name, image), lr in zip(shown, seen, strict=True):
        hr = image[:40, :40]
        np.testing.assert_array_equal(lr, bicubic.shrink(hr, 4))
        assert results[name]["bicubic"] == super_resolution.scores(hr, bicubic.enlarge(lr, 4), 4)
        assert results[name]["nearest"] == super_resolution.scores(
            hr, lr.repeat(4, 0).repeat(4, 1), 4
        )
    for method in ("bicubic", "nearest"):
        mean = (results["a"][method]["psnr"] + results["b"][method]["psnr"]) / 2
        assert results["mean"][method]["psnr"] == pytest.approx(mean)
    lines = super_resolution.format_table(results).splitlines()
    assert lines[0].split()[:4] == ["bicubic", "psnr", "bicubic", "ssim"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "mean"]
    assert len({len(line) for line in lines}) == 1
    assert f"{results['a']['nearest']['ssim']:.4f}" in lines[1]


def test_what_cannot_be_judged_is_named():
    with pytest.raises(UserError, match="no images"):
        super_resolution.compare([], {}, 4)
    with pytest.raises(UserError, match=r"tiny\.png: 43x18 px, too small"):
        super_resolution.compare([("tiny.png", noise(18, 43, 0))], {}, 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_least_image_is_just_large_enough(scale):
    least = super_resolution.least_side(scale)
    assert super_resolution.compare([("a", noise(least, least, 0))], {}, scale)["mean"]
    with pytest.raises(UserError, match=f"a: {least}x{least - 1} px, too small"):
        super_resolution.compare([("a", noise(least - 1, least, 0))], {}, scale)
