"""Downloads of files that are resumed after an interruption, with progress."""

import hashlib
from pathlib import Path

from common import early_checks
from common.errors import UserError, reason_of
from common.io import locks
from common.io.progress import tqdm_options

import requests
import urllib3
from tqdm import tqdm

TIMEOUT = 30  # seconds without a byte
ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
_CHUNK = 1 << 20  # bytes


def fetch_file(url: str, file: Path, sha256: str | None = None) -> Path:
    """Returns `file`, downloaded if it is missing or has another digest.

    Other processes that want the same file wait for the first.

    Args:
        url: URL of the file, http or https.
        file: destination; its parents are created.
        sha256: SHA-256 of the file, in hexadecimal digits; None for no check.

    Raises:
        UserError: there is no network, an HTTP error, no space or no permission; the part that was
            received is kept. Or the file has another digest; then it is removed.
    """
    early_checks.exit_if_only_checking()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_name(f".{file.name}.lock").open("w") as lock:
            locks.take(lock, wait=True)
            if not file.exists() or sha256 not in (None, sha256_of(file)):
                download(url, file, file.name)
            if sha256 not in (None, found := sha256_of(file)):
                file.unlink()
                raise UserError(
                    f"{url}: the file has the SHA-256 {found}, not {sha256}, and was removed; "
                    "check the URL and the digest"
                )
    except ERRORS as error:
        raise UserError(
            f"{url}: downloading failed ({reason(error)}); check the URL and the network and run "
            "again, or download it by hand and name the file"
        ) from error
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({reason_of(error)}); make room") from error
    return file


def download(url: str, file: Path, label: str) -> None:
    """Downloads to `file` atomically; resumes an interrupted download.

    Until it is complete the file is beside it as `NAME.part`. A server without HTTP Range sends
    everything again.

    Args:
        url: URL, http or https.
        file: destination, in a folder that exists.
        label: name for the progress bar.

    Raises:
        ERRORS: there is no network, an HTTP error or a lost connection; see `reason`.
        OSError: the file cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    received = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if received:
        headers["Range"] = f"bytes={received}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.range_not_satisfiable and received:
            part.unlink()  # as long as the file or longer, so it is not a part of it
            return download(url, file, label)
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            received = 0
        length = response.headers.get("Content-Length")
        total = received + int(length) if length else None
        with (
            part.open("ab" if received else "wb") as target,
            # disable=None: no bar if stderr is not a terminal
            tqdm(
                desc=label,
                total=total,
                initial=received,
                unit="B",
                unit_scale=True,
                **tqdm_options(),
            ) as bar,
        ):
            # raw: some servers label a .tar.gz as gzip-encoded, which requests would decompress
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                target.write(chunk)
                bar.update(len(chunk))
    # urllib3 1 takes an early close of the connection for the end of the file
    if total is not None and part.stat().st_size < total:
        raise urllib3.exceptions.ProtocolError
    part.replace(file)


def reason(error: Exception) -> str:
    """The reason why a download failed, in one short line."""
    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, requests.ConnectionError):
        return f"no connection: {type(error).__name__}"  # its message has several lines
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the connection was lost; the part that was received is kept"
    return reason_of(error)


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(file, "rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
