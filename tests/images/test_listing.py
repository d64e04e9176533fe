"""Images of a folder in one order on every machine, under names that tell them apart."""

from pathlib import Path

from common.errors import UserError
from common.images import listing

import pytest


def test_find_sorts_naturally_and_skips_the_rest(tmp_path):
    for name in ("10.png", "9.JPG", "a2.tiff", "a10.webp", ".hidden.png", "notes.txt", "01.gif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in listing.find(str(tmp_path))]
    assert names == ["01.gif", "9.JPG", "10.png", "a2.tiff", "a10.webp"]


def test_find_names_the_folder(tmp_path):
    with pytest.raises(UserError, match="missing"):
        listing.find(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        listing.find(tmp_path / "file")
    with pytest.raises(UserError, match="no images"):
        listing.find(tmp_path)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("", ""),
        ("/x/a.png /x/b.png", "a.png b.png"),
        ("/x/a.png /x/y/a.png /z/b.png", "x/a.png x/y/a.png b.png"),
        ("/x/y/a.png /x/z/a.png", "y/a.png z/a.png"),
        ("/x/y/v/a.png /x/z/v/a.png texture.png", "/x/y/v/a.png /x/z/v/a.png texture.png"),
    ],
)
def test_distinct_names(paths, names):
    assert listing.distinct_names([*map(Path, paths.split())]) == names.split()
