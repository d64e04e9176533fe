"""PNG files written in bands are read by other programs."""

from common.errors import UserError
from common.images import png_writer

import numpy as np
import png
import pytest
from PIL import Image


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_an_image_written_in_bands_is_read_back(tmp_path, channels, mode):
    image = np.random.default_rng(0).integers(0, 256, (17, 13, channels), np.uint8)
    path = tmp_path / "new" / "x.png"
    png_writer.write(path, 17, 13, channels, iter((image[:5], image[5:6], image[6:])))
    with Image.open(path) as stored:
        stored.load()
        assert stored.mode == mode
        np.testing.assert_array_equal(np.asarray(stored).reshape(image.shape), image)
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


@pytest.mark.parametrize("shape", [(3, 4, 3), (5, 4, 3), (4, 5, 3), (4, 4, 1)])
def test_rows_that_do_not_fit_leave_no_file(tmp_path, shape):
    with pytest.raises(png.ProtocolError):
        png_writer.write(tmp_path / "x.png", 4, 4, 3, [np.zeros(shape, np.uint8)])
    assert not list(tmp_path.iterdir())


def test_a_failure_between_bands_leaves_no_file(tmp_path):
    def bands():
        yield np.zeros((2, 4, 3), np.uint8)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        png_writer.write(tmp_path / "x.png", 4, 4, 3, bands())
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/x\.png: cannot be written"):
        png_writer.write(tmp_path / "file" / "x.png", 4, 4, 3, [])
