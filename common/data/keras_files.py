"""Single files, downloaded by Keras, whose failures become one exception."""

from pathlib import Path

from common.errors import one_line

import keras


class NotDownloaded(Exception):
    """A file that could not be downloaded; the message says why, in one line."""


def get_file(name: str, url: str, folder: str | Path, file_hash: str | None) -> str:
    """The path of `folder`/`name`: downloaded if it is not there, or is not the file of that hash.

    Args:
        name: of the file.
        url: where it is published.
        folder: absolute; it is made if it is not there.
        file_hash: MD5 or SHA256, in hexadecimal digits; None: not checked.

    Raises:
        NotDownloaded: of a download that broke off nothing stays behind, but a whole file of
            another hash does.
    """
    try:
        return keras.utils.get_file(name, url, cache_subdir=str(folder), file_hash=file_hash)
    # Keras raises a bare Exception for a URL that fails, so no narrower class takes it. The others
    # are ValueError, for the hash, and what sockets, http.client and the disk raise.
    except Exception as error:
        reason = one_line(error).removeprefix(f"URL fetch failure on {url}: ")
        raise NotDownloaded(reason) from error
