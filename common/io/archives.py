"""Downloads and unpacks archives: a folder that exists is complete, whatever interrupted it."""

import errno
import gzip
import shutil
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO
from urllib.parse import urlsplit

from common.errors import DAMAGE, UserError
from common.io import locks
from common.io.download import ERRORS, download, reason
from common.io.progress import tqdm_options

from tqdm import tqdm

_CHUNK = 1 << 20  # bytes
_TAR, _ZIP = (".tar.gz", ".tgz"), (".zip",)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
_LITTER = ("__MACOSX", ".DS_Store")  # added beside the top folder by macOS


def fetch_archive(url: str, folder: str | Path, label: str) -> Path:
    """Downloads and unpacks an archive to a folder, unless the folder has any content.

    The folder appears by one rename after the last byte is unpacked and verified. Until then
    everything is beside it in `.NAME.part/`: an interrupted download is resumed (HTTP Range; a
    server without it sends everything again), and interrupted unpacking restarts from the archive.
    Other processes that want the same folder wait for the first. If the archive has a single top
    folder, `folder` gets the content of that folder.

    Args:
        url: URL of a .tar.gz, .tgz or .zip file, http or https.
        folder: destination; its parents are created.
        label: name of the dataset, for the progress bar and messages.

    Returns:
        `folder`, absolute.

    Raises:
        UserError: there is no network, an HTTP error, no space or no permission, or the archive is
            damaged or has members that are links, devices or outside the folder.
        ValueError: the URL is not that of such an archive.
    """
    folder = Path(folder).expanduser().absolute()
    if not _file_name(url).lower().endswith(_TAR + _ZIP):
        raise ValueError(f"{url}: not a {', '.join(_TAR + _ZIP)} file")
    by_hand = (
        f"or download {url} by hand and unpack it to {folder}, "
        "or give your own folder with --dataset"
    )
    try:
        if not _is_complete(folder):
            _fetch(url, folder, label)
    except ERRORS as error:
        raise UserError(
            f"{label}: downloading {url} failed ({reason(error)}); "
            f"check the network and run again, {by_hand}"
        ) from error
    except _BadArchive as error:
        raise UserError(
            f"{label}: the archive from {url} is bad ({error}) and was removed; "
            f"run again, {by_hand}"
        ) from error
    except OSError as error:
        raise UserError(
            f"{label}: {error.filename or folder} cannot be written ({reason(error)}); "
            "make room, or name another --data_dir"
        ) from error
    return folder


class _BadArchive(Exception):
    """An archive is damaged or must not be unpacked."""


def _file_name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name


def _is_complete(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _fetch(url: str, folder: Path, label: str) -> None:
    """Downloads, unpacks and renames; continues where an earlier attempt was interrupted."""
    work = folder.with_name(f".{folder.name}.part")
    with _open_lock(work) as lock:
        if not locks.take(lock, wait=False):
            print(f"{label}: waiting for another run that is downloading it")
            locks.take(lock, wait=True)
        if not _is_complete(folder):
            _fetch_locked(url, folder, work, label)
    shutil.rmtree(work, ignore_errors=True)  # also where this run has made it again


def _fetch_locked(url: str, folder: Path, work: Path, label: str) -> None:
    """Downloads to `work`, unpacks and renames to `folder`; the lock is held."""
    archive = work / _file_name(url)
    if not archive.exists():
        download(url, archive, label)
    try:
        content = _unpack(archive, work / "content", label)
    except _BadArchive:
        # The lock file stays: without it, a waiting run and a new one would both continue.
        archive.unlink()
        shutil.rmtree(work / "content")
        raise
    if folder.exists():
        folder.rmdir()  # empty; not every system can rename onto it
    content.rename(folder)


def _open_lock(work: Path) -> IO[str]:
    """Opens the lock file in a folder, which another run may remove when it has finished."""
    while True:
        work.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # removed in between
            return (work / "lock").open("w")


def _unpack(archive: Path, target: Path, label: str) -> Path:
    """Unpacks into a new folder `target`; returns it, or its only folder.

    Raises:
        _BadArchive: the archive is damaged or unsafe.
        OSError: writing fails.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    size = archive.stat().st_size
    try:
        with (
            archive.open("rb") as raw,
            tqdm.wrapattr(
                raw, "read", total=size, desc=f"unpacking {label}", **tqdm_options()
            ) as file,
        ):
            if archive.name.lower().endswith(_ZIP):
                _unpack_zip(file, target)
            else:
                _unpack_tar(file, target)
    except DAMAGE as error:  # including OSError
        if getattr(error, "errno", None) in _DISK_ERRORS:
            raise
        raise _BadArchive(reason(error)) from error
    entries = [entry for entry in target.iterdir() if entry.name not in _LITTER]
    content = entries[0] if len(entries) == 1 and entries[0].is_dir() else target
    if not _is_complete(content):
        raise _BadArchive("it is empty")
    return content


def _unpack_tar(file: IO[bytes], target: Path) -> None:
    # Debian 12's Python (3.11.2) has no filters and depends on `_check_member` alone.
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with gzip.GzipFile(fileobj=file) as unzipped:
        with tarfile.open(fileobj=unzipped, mode="r:") as tar:
            for member in tar:
                _check_member(member.name, member.isfile() or member.isdir())
                tar.extract(member, target, **safe)
        # tarfile takes a damaged header for the end; gzip's checksum is at the real end
        while unzipped.read(_CHUNK):
            pass


def _unpack_zip(file: IO[bytes], target: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            _check_member(member.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        archive.extractall(target)  # checks each member's CRC


def _check_member(name: str, plain: bool) -> None:
    """Refuses members that could be written outside the folder.

    All links are refused, since no dataset needs them, and tarfile's data filter lets some escape
    in a Python without the fix of CVE-2025-4517.
    """
    if not plain:
        raise _BadArchive(f"member {name!r} is a link or a device")
    windows = PureWindowsPath(name)  # splits at / and \, knows drives
    if windows.anchor or ".." in windows.parts:
        raise _BadArchive(f"member {name!r} is outside the folder")
