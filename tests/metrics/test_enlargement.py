"""The protocol of super-resolution papers, against plain NumPy and what BT.601 says."""

from common.data import bicubic
from common.errors import UserError
from common.metrics import enlargement

import numpy as np
import pytest
from conftest import noise


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
    assert enlargement.luma(np.full((2, 3, 3), colour, np.uint8)).tolist() == [[[level]] * 3] * 2


def test_a_grey_picture_is_its_own_luma():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(enlargement.luma(grey), grey)


def test_psnr_of_luma_without_the_border():
    original = noise(40, 44, 0)
    enlarged = noise(40, 44, 1)
    y, y_hat = (
        np.floor(16 + p @ (np.array([65.481, 128.553, 24.966]) / 255) + 0.5)[4:-4, 4:-4]
        for p in (original, enlarged)
    )
    expected = 10 * np.log10(255**2 / np.mean((y - y_hat) ** 2))
    assert enlargement.scores(original, enlarged, 4)["psnr"] == pytest.approx(expected)
    framed = enlarged.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 0
    assert enlargement.scores(original, framed, 4) == enlargement.scores(original, enlarged, 4)


def test_equal_pictures_and_blurred_ones():
    original = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    same = enlargement.scores(original, original, 4)
    assert same["psnr"] == np.inf and same["ssim"] == pytest.approx(1) and same["sharpness"] == 1
    blurred = bicubic.enlarge(bicubic.shrink(original, 2), 2)
    scores = enlargement.scores(original, blurred, 2)
    assert scores["sharpness"] < 0.5 and scores["ssim"] < 0.9


def test_every_method_enlarges_the_same_small_picture():
    seen = []

    def nearest(lr):
        seen.append(lr)
        return lr.repeat(4, 0).repeat(4, 1)

    shown = [("a", noise(43, 41, 0)), ("b", noise(40, 40, 1, channels=1))]
    results = enlargement.compare(shown, {"nearest": nearest}, 4)
    for (name, picture), lr in zip(shown, seen, strict=True):
        hr = picture[:40, :40]
        np.testing.assert_array_equal(lr, bicubic.shrink(hr, 4))
        assert results[name]["bicubic"] == enlargement.scores(hr, bicubic.enlarge(lr, 4), 4)
        assert results[name]["nearest"] == enlargement.scores(hr, lr.repeat(4, 0).repeat(4, 1), 4)
    for method in ("bicubic", "nearest"):
        mean = (results["a"][method]["psnr"] + results["b"][method]["psnr"]) / 2
        assert results["mean"][method]["psnr"] == pytest.approx(mean)
    lines = enlargement.format_table(results).splitlines()
    assert lines[0].split()[:4] == ["bicubic", "psnr", "bicubic", "ssim"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "mean"]
    assert len({len(line) for line in lines}) == 1
    assert f"{results['a']['nearest']['ssim']:.4f}" in lines[1]


def test_what_cannot_be_judged_is_named():
    with pytest.raises(UserError, match="no pictures"):
        enlargement.compare([], {}, 4)
    with pytest.raises(UserError, match=r"tiny\.png: 43x18 px, too small"):
        enlargement.compare([("tiny.png", noise(18, 43, 0))], {}, 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_least_picture_is_just_large_enough(scale):
    least = enlargement.least_side(scale)
    assert enlargement.compare([("a", noise(least, least, 0))], {}, scale)["mean"]
    with pytest.raises(UserError, match=f"a: {least}x{least - 1} px, too small"):
        enlargement.compare([("a", noise(least - 1, least, 0))], {}, scale)
