"""The protocol of super-resolution papers against plain NumPy and the values of BT.601."""

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


def test_a_one_channel_image_is_its_own_luma():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(super_resolution.luma(grey), grey)


def test_psnr_is_on_luma_and_ignores_the_border():
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


def test_scores_of_equal_and_blurred_images():
    original = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    same = super_resolution.scores(original, original, 4)
    assert same["psnr"] == np.inf and same["ssim"] == pytest.approx(1) and same["sharpness"] == 1
    blurred = bicubic.enlarge(bicubic.shrink(original, 2), 2)
    scores = super_resolution.scores(original, blurred, 2)
    assert scores["sharpness"] < 0.5 and scores["ssim"] < 0.9


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_is_computed_on_luma_and_rounded_once(channels):
    """Dense matrices in double precision, for an image with over- and undershoot."""
    image = noise(32, 48, 3, channels=channels) // 128 * 255
    y = super_resolution.luma(image)[..., 0]
    down = [bicubic.weights(side, side // 4).toarray() for side in y.shape]
    up = [bicubic.weights(side // 4, side).toarray() for side in y.shape]
    exact = up[0] @ (down[0] @ y @ down[1].T) @ up[1].T
    y_hat = super_resolution.bicubic_luma(y[..., None], 4)
    assert y_hat.shape == (32, 48, 1) and np.array_equal(y_hat, np.rint(y_hat))
    assert np.abs(y_hat[..., 0] - exact.clip(16, 235)).max() <= 0.5 + 1e-4
    expected = 10 * np.log10(255**2 / np.mean((y - y_hat[..., 0])[4:-4, 4:-4] ** 2))
    assert super_resolution.bicubic_scores(image, 4)["psnr"] == pytest.approx(expected)


def test_bicubic_luma_stays_in_its_range():
    """An edge between black and white, where interpolation overshoots."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 14:] = 255
    y_hat = super_resolution.bicubic_luma(super_resolution.luma(image), 2)
    assert (y_hat.min(), y_hat.max()) == (16, 235)


def test_all_methods_enlarge_the_same_image():
    seen = []

    def nearest(lr):
        seen.append(lr)
        return lr.repeat(4, 0).repeat(4, 1)

    shown = [("a", noise(43, 41, 0)), ("b", noise(40, 40, 1, channels=1))]
    results = super_resolution.compare(shown, {"nearest": nearest}, 4)
    for (name, image), lr in zip(shown, seen, strict=True):
        hr = image[:40, :40]
        np.testing.assert_array_equal(lr, bicubic.shrink(hr, 4))
        assert results[name]["bicubic"] == super_resolution.bicubic_scores(hr, 4)
        assert results[name]["nearest"] == super_resolution.scores(
            hr, lr.repeat(4, 0).repeat(4, 1), 4
        )
    for method in ("bicubic", "nearest"):
        mean = (results["a"][method]["psnr"] + results["b"][method]["psnr"]) / 2
        assert results["mean"][method]["psnr"] == pytest.approx(mean)
    lines = super_resolution.format_table(results).splitlines()
    assert lines[0].split()[:6] == ["bicubic", "psnr", "↑", "bicubic", "ssim", "↑"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "mean"]
    assert len({len(line) for line in lines}) == 1
    assert f"{results['a']['nearest']['ssim']:.4f}" in lines[1]


def test_images_that_cannot_be_evaluated_are_named():
    with pytest.raises(UserError, match="no images"):
        super_resolution.compare([], {}, 4)
    with pytest.raises(UserError, match=r"tiny\.png: 43x18 px, too small"):
        super_resolution.compare([("tiny.png", noise(18, 43, 0))], {}, 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_min_side_is_just_large_enough(scale):
    side = super_resolution.min_side(scale)
    assert super_resolution.compare([("a", noise(side, side, 0))], {}, scale)["mean"]
    with pytest.raises(UserError, match=f"a: {side}x{side - 1} px, too small"):
        super_resolution.compare([("a", noise(side - 1, side, 0))], {}, scale)
