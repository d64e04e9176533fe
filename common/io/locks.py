"""Locks between processes: they end with the file that holds them, so with the process."""

import os
from pathlib import Path
from typing import IO

from common.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: nothing there keeps two processes from one place
    fcntl = None


def take(file: IO | int, wait: bool) -> bool:
    """Takes the lock of an open file.

    Args:
        file: or its descriptor; to close it gives the lock back.
        wait: until another process gives it back.

    Returns:
        Whether it was taken; False if another one has it, and `wait` is off.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FolderLock:
    """The lock of a folder, from when it is made until `release`.

    Args:
        folder: made if it is not there.

    Attributes:
        taken: False if another process holds the folder.

    Raises:
        UserError: it cannot be made.
    """

    def __init__(self, folder: Path):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be made ({error.strerror}); name another folder"
            ) from error
        self.file = os.open(folder, os.O_RDONLY) if fcntl else None
        self.taken = self.file is None or take(self.file, wait=False)

    def release(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None
