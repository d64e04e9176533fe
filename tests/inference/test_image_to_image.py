"""Super-resolution of image files in bands, with their transparency."""

from itertools import pairwise

from common.images import bicubic, image_file
from common.images.tiling import Upscaler
from common.inference.image_to_image import with_alpha, write_enlarged
from tests.helpers.image_files import noise

import numpy as np


def test_a_large_image_goes_through_the_network_in_tiles(tmp_path):
    """Its input is bounded by the tile, and a band is as high as one."""
    seen = []

    def call(x):
        seen.append(x.shape)
        return x.repeat(2, 1).repeat(2, 2)

    image_file.write(tmp_path / "in.png", noise(200, 100, 0))
    write_enlarged(Upscaler(call, 2, 4), 32, tmp_path / "in.png", tmp_path / "out.png")
    assert set(seen) == {(1, 32, 32, 3)}
    expected = noise(200, 100, 0).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(image_file.read(tmp_path / "out.png"), expected)


def test_transparency_does_not_depend_on_the_bands():
    alpha, borders = noise(30, 13, 1, channels=1), (0, 1, 9, 30)
    bands = [
        (first, stop, np.full((2 * (stop - first), 26, 3), stop, np.uint8))
        for first, stop in pairwise(borders)
    ]
    made = np.concatenate([band for _, _, band in with_alpha(bands, alpha, 2)])
    np.testing.assert_array_equal(made[..., 3:], bicubic.enlarge(alpha, 2))
    np.testing.assert_array_equal(made[..., :3], np.concatenate([band for _, _, band in bands]))
