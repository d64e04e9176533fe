"""Rows in, a PNG file out, as other programs read it."""

from common.data import png
from common.errors import UserError

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_what_is_written_in_bands_is_read_whole(tmp_path, channels, mode):
    picture = np.random.default_rng(0).integers(0, 256, (17, 13, channels), np.uint8)
    path = tmp_path / "new" / "x.png"
    with png.writing(path, 17, 13, channels) as write:
        for rows in (picture[:5], picture[5:6], picture[6:]):
            write(rows)
    with Image.open(path) as image:
        image.load()
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image).reshape(picture.shape), picture)
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


@pytest.mark.parametrize("shapes", [[(3, 4, 3)], [(5, 4, 3)], [(4, 5, 3)], [(4, 4, 1)]])
def test_rows_that_do_not_fit_leave_no_file(tmp_path, shapes):
    with (
        pytest.raises(ValueError, match="rows"),
        png.writing(tmp_path / "x.png", 4, 4, 3) as write,
    ):
        for shape in shapes:
            write(np.zeros(shape, np.uint8))
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"file/x\.png: cannot be written"),
        png.writing(tmp_path / "file" / "x.png", 4, 4, 3),
    ):
        pass
