"""Weights that Keras publishes: fetched apart from building the network that takes them.

So a failed download can be told from any other failure, and said in one line.
"""

import socket
from contextlib import suppress

from common.data.home import keras_home
from common.errors import UserError

import keras

DOWNLOAD_TIMEOUT = 20.0  # seconds without a byte


def weights_file(name: str, url: str, md5: str, purpose: str) -> str:
    """The path of the file of that name in Keras' folder for models, downloaded if it is not there.

    Args:
        name: of the file.
        url: where it is published.
        md5: its checksum.
        purpose: what needs it; the message begins with that.

    Raises:
        UserError: it is not on disk and cannot be downloaded; nothing stays behind.
    """
    path = keras_home() / "models" / name
    # Keras downloads without a timeout: behind a firewall that drops packets it would hang.
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        return keras.utils.get_file(name, url, cache_subdir=str(path.parent), file_hash=md5)
    except Exception as error:  # Keras raises a bare Exception for a URL that fails
        # Keras removes what a broken download left, but not a whole file with a wrong checksum.
        with suppress(OSError):
            path.unlink()
        reason = " ".join(str(error).split()).removeprefix(f"URL fetch failure on {url}: ")
        raise UserError(
            f"{purpose} needs {path}, which could not be downloaded: "
            f"put the file of {url} there ({reason})"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
