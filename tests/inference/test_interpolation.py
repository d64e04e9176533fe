"""Interpolated noise against geometry, and animations as Pillow reads them."""

import io

from common.errors import UserError
from common.inference import interpolation
from common.nn.latent import Latent

import numpy as np
import pytest
from PIL import Image, ImageSequence


def test_normal_noise_is_interpolated_along_an_arc():
    a, b = np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]])
    angles = np.linspace(0, np.pi / 2, 5)
    expected = 3 * np.stack([np.cos(angles), np.sin(angles)], -1)
    np.testing.assert_allclose(interpolation.between(a, b, 5, "normal")[0], expected, atol=1e-6)
    straight = np.linspace(0, 3, 5)
    expected = np.stack([straight[::-1], straight], -1)
    np.testing.assert_allclose(interpolation.between(a, b, 5, "uniform")[0], expected, atol=1e-6)
    z = Latent(100).of_seed(0, 6).numpy()
    way = interpolation.between(z[:3], z[3:], 7, "normal")
    assert way.shape == (3, 7, 100) and way.dtype == np.float32
    np.testing.assert_allclose(way[:, 0], z[:3], atol=1e-5)
    np.testing.assert_allclose(way[:, -1], z[3:], atol=1e-5)
    norms = np.linalg.norm(way, axis=-1)
    assert norms.min() > 0.9 * norms[:, [0, -1]].min()  # 0.7 along a straight line


@pytest.mark.parametrize("end", [1.0, 2.0, -1.0])
def test_parallel_vectors_are_interpolated_along_a_line(end):
    a = np.array([[1.0, 2.0, 0.0]])
    way = interpolation.between(a, end * a, 3, "normal")[0]
    np.testing.assert_allclose(way, [a[0], (1 + end) / 2 * a[0], end * a[0]], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_has_its_frames(tmp_path, channels):
    frames = [np.full((4, 5, channels), 60 * number, np.uint8) for number in range(4)]
    frames[2][1:, 2] = 255
    interpolation.write_gif(tmp_path / "x.gif", frames)
    assert [path.name for path in tmp_path.iterdir()] == ["x.gif"]
    with Image.open(io.BytesIO((tmp_path / "x.gif").read_bytes())) as gif:
        assert gif.n_frames == 4 and gif.info["loop"] == 0
        for shown, frame in zip(ImageSequence.Iterator(gif), frames, strict=True):
            pixels = np.asarray(shown.convert("RGB")).astype(int)
            assert np.abs(pixels - frame).max() <= 2  # GIF has a palette


def test_an_animation_that_cannot_be_written(tmp_path):
    (tmp_path / "x.gif").mkdir()
    with pytest.raises(UserError, match=r"x\.gif: cannot be written"):
        interpolation.write_gif(tmp_path / "x.gif", [np.zeros((4, 5, 1), np.uint8)])
    assert [path.name for path in tmp_path.iterdir()] == ["x.gif"]
