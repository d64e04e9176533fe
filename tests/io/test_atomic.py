"""A file appears whole or not at all, whatever comes between."""

import errno

from common.errors import UserError
from common.io.atomic import appearing_whole

import pytest


def test_a_file_appears_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with appearing_whole(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "failure, told, said",
    [
        (OSError(errno.ENOSPC, "No space left"), UserError, r"a\.txt: .*\(No space left\); make"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (ValueError("no text"), ValueError, "no text"),
    ],
)
def test_the_old_file_stays_and_nothing_of_the_new_one(tmp_path, failure, told, said):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(told, match=said), appearing_whole(path) as part:
        part.write_text("ha")
        raise failure
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"file/a\.txt: cannot be written"),
        appearing_whole(tmp_path / "file" / "a.txt"),
    ):
        pytest.fail("there is nowhere to write")
