"""An image file is enlarged in bands, with its transparency."""

from itertools import pairwise

from common.images import bicubic, image_file
from common.images.tiling import Upscaler
from common.inference.upscaling import with_alpha, write_enlarged
from tests.helpers.image_files import noise

import numpy as np


def test_the_network_sees_no_more_than_a_tile_of_a_large_image(tmp_path):
    """What it holds is bounded by the tile, and a band is as high as one."""
    seen = []

    def call(x):
        seen.append(x.shape)
        return x.repeat(2, 1).repeat(2, 2)

    image_file.write(tmp_path / "in.png", noise(200, 100, 0))
    write_enlarged(Upscaler(call, 2, 4), tmp_path / "in.png", tmp_path / "out.png", 32)
    assert set(seen) == {(1, 32, 32, 3)}
    expected = noise(200, 100, 0).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(image_file.read(tmp_path / "out.png"), expected)


def test_transparency_is_as_if_there_were_no_bands():
    alpha, borders = noise(30, 13, 1, channels=1), (0, 1, 9, 30)
    bands = [
        (first, stop, np.full((2 * (stop - first), 26, 3), stop, np.uint8))
        for first, stop in pairwise(borders)
    ]
    made = np.concatenate([band for _, _, band in with_alpha(bands, alpha, 2)])
    np.testing.assert_array_equal(made[..., 3:], bicubic.enlarge(alpha, 2))
    np.testing.assert_array_equal(made[..., :3], np.concatenate([band for _, _, band in bands]))
