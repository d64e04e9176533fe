"""Named labelled datasets: read from disk, or downloaded."""

import gzip
import hashlib
import pickle
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from common.data.sources.npz import KEYS, read_npz
from common.errors import DAMAGE, UserError, one_line
from common.io.keras_cache import NotDownloaded, get_file

import numpy as np

PATIENCE = 20.0  # seconds without a byte
GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


class Download(NamedTuple):
    """A dataset to download.

    Attributes:
        files: URLs by path under the data folder; the paths are those of `keras.datasets`.
        read: function that reads the arrays of these files.
        sha256: hash of the file, if there is only one.
    """

    files: dict[str, str]
    read: Callable[[list[Path]], dict[str, np.ndarray]]
    sha256: str | None = None


def named_arrays(name: str, folder: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a dataset of `NAMED`: `folder`/`name`.npz, or downloaded to `folder`.

    Raises:
        UserError: it is neither on disk nor downloadable, or it is damaged. An interrupted
            download leaves nothing behind.
    """
    npz, download = folder / f"{name}.npz", NAMED[name]
    if npz.exists():
        return read_npz(npz)
    if download is None:
        raise UserError(
            f"--dataset {name}: {npz} does not exist, and there is no download; put a file with "
            f"the arrays {', '.join(KEYS)} there, or name its folder with --data_dir"
        )
    paths = []
    for place, url in download.files.items():
        paths.append(folder / place)
        try:
            if not paths[-1].exists():
                _fetch(url, paths[-1], download.sha256)
        except (NotDownloaded, OSError) as error:
            raise UserError(
                f"--dataset {name}: {npz} does not exist, and {url} could not be downloaded "
                f"({one_line(error)}); check the network, put {npz.name} there, or name its "
                "folder with --data_dir"
            ) from error
    try:
        return download.read(paths)
    except DAMAGE as error:
        where = ", ".join(map(str, paths))
        raise UserError(f"--dataset {name}: damaged ({one_line(error)}); remove {where}") from error


def _fetch(url: str, path: Path, sha256: str | None):
    """Downloads to `path` atomically.

    A network can hang in more places than a socket's timeout covers, such as one address of a host
    after another, so another thread downloads and this one watches the file grow.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as part:
        result: list[str | NotDownloaded] = []

        def work():
            try:
                result.append(get_file(path.name, url, part, sha256))
            except NotDownloaded as error:
                result.append(error)

        thread = Thread(target=work, daemon=True)
        thread.start()
        size = 0
        while thread.is_alive():
            thread.join(PATIENCE)
            before, size = size, _size(part)
            if thread.is_alive() and size == before:
                raise TimeoutError(f"no answer within {PATIENCE:.0f} s")
        if isinstance(result[0], NotDownloaded):
            raise result[0]
        Path(result[0]).replace(path)


def _size(folder: str) -> int:
    """Total size of the files in a folder, in bytes."""
    size = 0
    for file in Path(folder).iterdir():
        with suppress(FileNotFoundError):  # removed meanwhile
            size += file.stat().st_size
    return size


def _idx(paths: list[Path]) -> dict[str, np.ndarray]:
    """Reads MNIST's format: images after a header of 16 bytes, labels after one of 8 bytes."""
    x_train, y_train, x_test, y_test = (gzip.decompress(path.read_bytes()) for path in paths)
    return {
        "x_train": np.frombuffer(x_train, np.uint8, offset=16).reshape(-1, 28, 28),
        "y_train": np.frombuffer(y_train, np.uint8, offset=8),
        "x_test": np.frombuffer(x_test, np.uint8, offset=16).reshape(-1, 28, 28),
        "y_test": np.frombuffer(y_test, np.uint8, offset=8),
    }


def _cifar(paths: list[Path]) -> dict[str, np.ndarray]:
    """Reads CIFAR's batches, which are pickles: only after the hash has shown them harmless."""
    (path,) = paths
    if hashlib.sha256(path.read_bytes()).hexdigest() != CIFAR_SHA256:
        raise UserError(f"{path}: not the archive of {CIFAR_URL}; remove it and run again")
    batches = {}
    with tarfile.open(path) as archive:
        for number in (1, 2, 3, 4, 5, 0):
            name = f"data_batch_{number}" if number else "test_batch"
            content = archive.extractfile(f"cifar-10-batches-py/{name}").read()
            batches[number] = pickle.loads(content, encoding="bytes")
    test = batches.pop(0)
    x_train = np.concatenate([batch[b"data"] for batch in batches.values()])
    y_train = np.concatenate([batch[b"labels"] for batch in batches.values()])
    x_train, x_test = (
        np.ascontiguousarray(x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        for x in (x_train, test[b"data"])
    )
    arrays = x_train, y_train, x_test, np.array(test[b"labels"])
    return dict(zip(KEYS, arrays, strict=True))


NAMED: dict[str, Download | None] = {
    "mnist": Download(
        {"mnist.npz": f"{GOOGLE}/mnist.npz"},
        lambda paths: read_npz(paths[0]),
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "fashion_mnist": Download(
        {
            f"fashion-mnist/{file}-ubyte.gz": f"{GOOGLE}/{file}-ubyte.gz"
            for file in (
                *("train-images-idx3", "train-labels-idx1"),
                *("t10k-images-idx3", "t10k-labels-idx1"),
            )
        },
        _idx,
    ),
    "cifar10": Download({"cifar-10-batches-py-target_archive": CIFAR_URL}, _cifar, CIFAR_SHA256),
    "usps": None,
}
CLASS_NAMES = {
    "fashion_mnist": "T-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot",
    "cifar10": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
}
