"""Image files of any size: their scale, and super-resolution in bands with transparency."""

from itertools import pairwise
from types import SimpleNamespace

from common.images import bicubic, image_file
from common.images.tiling import Upscaler
from common.inference.image_to_image import (
    Translator,
    compiled,
    input_side,
    resized,
    upscaler_of,
    with_alpha,
    write_enlarged,
)
from tests.helpers.image_files import noise

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("sides", "side", "expected"),
    [
        ((256, 256), 64, (64, 64)),
        ((300, 400), 64, (64, 85)),
        ((400, 300), 64, (85, 64)),
        ((1, 30), 16, (16, 480)),
        ((64, 100), 64, (64, 100)),
        ((7, 61), None, (7, 61)),
    ],
)
def test_resized_keeps_the_aspect_ratio(sides, side, expected):
    image = noise(*sides, 0)
    made = resized(image, side)
    assert made.shape == (*expected, 3)
    np.testing.assert_array_equal(made, image_file.resize(image, *expected))


@pytest.mark.parametrize(
    ("size", "trained", "side", "said"),
    [
        (None, 64, 64, "at 64 pixels (shorter side), as in training; --size original keeps theirs"),
        (None, None, None, "at their own size"),
        ("original", 64, None, ""),
        (100, 64, 100, ""),
    ],
)
def test_images_have_the_scale_of_training_by_default(capsys, size, trained, side, said):
    assert input_side(size, Translator(lambda x: x, 1, 3, trained)) == side
    printed = capsys.readouterr().out
    assert said in printed and len(printed.splitlines()) == bool(said)


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


def test_a_network_is_traced_once_for_images_of_all_sizes():
    traces = []

    def network(x, training):
        traces.append(x.shape)
        return 2 * x - 1

    network.input_shape = (None, None, None, 3)
    model = SimpleNamespace(sampler=network, scale=1, halo=1)
    for call in (compiled(network), upscaler_of(model).call):
        del traces[:]
        for side in (8, 9, 10, 11, 12):
            x = np.full((1, side, side + 1, 3), 0.5, np.float32)
            assert call(x).shape == x.shape
        assert len(traces) == 1
