"""Atomic writes: a file or folder appears complete under its name, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError, reason_of

REMEDY = "make room or name another folder"


@contextmanager
def atomic_file(path: Path, fsync: bool = False, remedy: str = REMEDY) -> Iterator[Path]:
    """Yields a temporary path to write a file to, and renames it to `path` at the end.

    If anything goes wrong, a file that was at `path` before is unchanged, and the temporary one is
    removed.

    Args:
        path: its folder is created if it does not exist.
        fsync: whether to flush the content to disk before the rename, so that it survives a power
            failure as well as a kill.
        remedy: what the user can do if writing fails, the end of the message.

    Raises:
        UserError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if fsync:
                with open(part, "rb+") as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:  # Ctrl-C too
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({reason_of(error)}); {remedy}") from error


@contextmanager
def atomic_folder(
    folder: Path, errors: type[Exception] | tuple[type[Exception], ...] = OSError
) -> Iterator[Path]:
    """Yields a temporary path to create a folder at, and renames it to `folder` at the end.

    If anything goes wrong, nothing is left behind.

    Args:
        folder: must not exist; its parents are created.
        errors: exceptions that mean that writing failed.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, hence on the same disk. A level deeper: only its owner may
        # read a TemporaryDirectory.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            part = Path(scratch) / folder.name
            yield part
            os.rename(part, folder)
    except errors as error:
        raise UserError(f"{folder}: cannot be written ({reason_of(error)}); {REMEDY}") from error
