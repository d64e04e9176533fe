"""Bands in, a PNG file out, as other programs read it."""

from common.data import png_rows
from common.errors import UserError

import numpy as np
import png
import pytest
from PIL import Image


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_what_is_written_in_bands_is_read_whole(tmp_path, channels, mode):
    picture = np.random.default_rng(0).integers(0, 256, (17, 13, channels), np.uint8)
    path = tmp_path / "new" / "x.png"
    png_rows.write(path, 17, 13, channels, iter((picture[:5], picture[5:6], picture[6:])))
    with Image.open(path) as image:
        image.load()
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image).reshape(picture.shape), picture)
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


@pytest.mark.parametrize("shape", [(3, 4, 3), (5, 4, 3), (4, 5, 3), (4, 4, 1)])
def test_rows_that_do_not_fit_leave_no_file(tmp_path, shape):
    with pytest.raises(png.ProtocolError):
        png_rows.write(tmp_path / "x.png", 4, 4, 3, [np.zeros(shape, np.uint8)])
    assert not list(tmp_path.iterdir())


def test_what_fails_on_the_way_leaves_no_file(tmp_path):
    def bands():
        yield np.zeros((2, 4, 3), np.uint8)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        png_rows.write(tmp_path / "x.png", 4, 4, 3, bands())
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/x\.png: cannot be written"):
        png_rows.write(tmp_path / "file" / "x.png", 4, 4, 3, [])
