"""A file or folder appears complete or not at all, whatever interrupts writing it."""

import errno
import os

from common.errors import UserError
from common.io.atomic import atomic_file, atomic_folder

import pytest

NO_SPACE = OSError(errno.ENOSPC, "No space left")


@pytest.mark.parametrize("fsync", [False, True])
def test_a_file_appears_in_a_new_folder(tmp_path, fsync):
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path, fsync) as part:
        part.write_text("complete")
        assert not path.exists()
    assert path.read_text() == "complete" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (NO_SPACE, UserError, r"a\.txt: cannot be written \(No space left\); make room or name"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (ValueError("no text"), ValueError, "no text"),
    ],
)
def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, failure, raised, message):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(raised, match=message), atomic_file(path) as part:
        part.write_text("ha")
        raise failure
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_message_ends_with_the_remedy(tmp_path):
    with (
        pytest.raises(
            UserError, match=r"a\.txt: cannot be written \(No space left\); free some space$"
        ),
        atomic_file(tmp_path / "a.txt", remedy="free some space"),
    ):
        raise NO_SPACE


def test_fsync_comes_before_the_rename(tmp_path, monkeypatch):
    called = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=function: called.append(n) or f(*a))
    with atomic_file(tmp_path / "a.txt", fsync=True) as part:
        part.write_text("complete")
    assert called == ["fsync", "replace"]


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
def test_a_parent_that_cannot_be_created(tmp_path, atomic):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"file/a: cannot be written"),
        atomic(tmp_path / "file" / "a"),
    ):
        pytest.fail("there is nowhere to write")


def test_a_folder_appears_with_all_of_its_content(tmp_path):
    folder = tmp_path / "new" / "1"
    with atomic_folder(folder) as part:
        part.mkdir()
        (part / "a.txt").write_text("complete")
        assert not folder.exists()
    assert (folder / "a.txt").read_text() == "complete"
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (NO_SPACE, UserError, r"1: cannot be written \(No space left\); make room or name"),
        (LookupError("no kernel"), UserError, r"1: cannot be written \(no kernel\)"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (ValueError("no text"), ValueError, "no text"),
    ],
)
def test_a_failure_leaves_no_folder(tmp_path, failure, raised, message):
    with (
        pytest.raises(raised, match=message),
        atomic_folder(tmp_path / "1", (OSError, LookupError)) as part,
    ):
        part.mkdir()
        (part / "a.txt").touch()
        raise failure
    assert not list(tmp_path.iterdir())
