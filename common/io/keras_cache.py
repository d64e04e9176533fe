"""Weights that Keras publishes: fetched apart from building the network that takes them.

So a failed download can be told from any other failure, and said in one line.
"""

import socket
from contextlib import suppress

from common.data.home import keras_home
from common.data.keras_files import NotDownloaded, get_file
from common.errors import UserError

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
        return get_file(name, url, path.parent, md5)
    except NotDownloaded as error:
        with suppress(OSError):  # a whole file with a wrong checksum
            path.unlink()
        raise UserError(
            f"{purpose} needs {path}, which could not be downloaded: "
            f"put the file of {url} there ({error})"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
