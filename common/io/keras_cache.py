"""Keras' cache folder, and downloads by Keras whose failures are told from other errors."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from common.errors import UserError, one_line

DOWNLOAD_TIMEOUT = 20.0  # seconds without a byte


class NotDownloaded(Exception):
    """A file could not be downloaded; the message says why, in one line."""


def keras_home() -> Path:
    """The folder of Keras' cache: KERAS_HOME, by default ~/.keras. It need not exist."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def datasets_folder(data_dir: str | None) -> Path:
    """The folder of named datasets: `data_dir`, by default `datasets` in Keras' cache."""
    return Path(data_dir or keras_home() / "datasets").expanduser()


def get_file(name: str, url: str, folder: str | Path, file_hash: str | None) -> str:
    """Returns the path of `folder`/`name`, downloaded if it is missing or its hash differs.

    Args:
        name: name of the file.
        url: where it is published.
        folder: absolute path; created if it does not exist.
        file_hash: MD5 or SHA256, in hexadecimal digits; None for no check.

    Raises:
        NotDownloaded: an interrupted download leaves nothing behind, but a complete file with
            another hash stays.
    """
    import keras  # here, because everything else in this package does without it

    try:
        return keras.utils.get_file(name, url, cache_subdir=str(folder), file_hash=file_hash)
    # Keras raises a bare Exception for a URL that fails, so no narrower class catches it. Others
    # are ValueError, for the hash, and whatever sockets, http.client and the disk raise.
    except Exception as error:
        reason = one_line(error).removeprefix(f"URL fetch failure on {url}: ")
        raise NotDownloaded(reason) from error


def weights_file(name: str, url: str, md5: str, purpose: str) -> str:
    """Returns the path of a weights file in Keras' cache, downloaded if it is missing.

    It is fetched before the network is built, so that a failed download can be told from any
    other failure.

    Args:
        name: name of the file.
        url: where it is published.
        md5: its checksum.
        purpose: what needs it; the error message begins with that.

    Raises:
        UserError: it is not on disk and cannot be downloaded; nothing is left behind.
    """
    path = keras_home() / "models" / name
    # Keras downloads without a timeout: behind a firewall that drops packets it would hang.
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        return get_file(name, url, path.parent, md5)
    except NotDownloaded as error:
        with suppress(OSError):  # a complete file with a wrong checksum
            path.unlink()
        raise UserError(
            f"{purpose} needs {path}, which could not be downloaded: "
            f"put the file of {url} there ({error})"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
