"""File locks between processes, released when the file is closed or the process ends."""

import os
from pathlib import Path
from typing import IO

from common.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None


def take(file: IO | int, wait: bool) -> bool:
    """Takes the exclusive lock of an open file.

    Args:
        file: an open file or its descriptor; closing it releases the lock.
        wait: whether to wait until another process releases it.

    Returns:
        Whether the lock was taken; False if another process holds it and `wait` is false.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FolderLock:
    """An exclusive lock of a folder, held until `release`.

    Args:
        folder: created if it does not exist.

    Attributes:
        taken: False if another process holds the lock.

    Raises:
        UserError: the folder cannot be created.
    """

    def __init__(self, folder: Path):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be created ({error.strerror}); name another folder"
            ) from error
        self.file = os.open(folder, os.O_RDONLY) if fcntl else None
        self.taken = self.file is None or take(self.file, wait=False)

    def release(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None
