"""Named datasets: from disk, by download, and one clear line if neither is possible."""

import gzip
import hashlib
import io
import pickle
import tarfile
import threading
import time
from pathlib import Path

from common.data.sources import named_arrays as module
from common.data.sources.named_arrays import NAMED, named_arrays
from common.errors import UserError

import keras
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
DIGITS = {
    "x_train": RANDOM.integers(0, 256, (6, 28, 28)).astype(np.uint8),
    "y_train": np.arange(6, dtype=np.uint8),
    "x_test": RANDOM.integers(0, 256, (4, 28, 28)).astype(np.uint8),
    "y_test": np.arange(4, dtype=np.uint8),
}


@pytest.fixture
def network(monkeypatch):
    """Files by URL, and the calls of Keras' `get_file`."""
    files, calls = {}, []

    def get_file(name, url, cache_subdir, file_hash):
        calls.append((url, file_hash))
        if url not in files:
            raise Exception(f"URL fetch failure on {url}: None -- [Errno -2] Name not known")
        path = Path(cache_subdir) / name
        path.write_bytes(files[url])
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    return files, calls


def npz(arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, expected[key])


@pytest.mark.parametrize("name", NAMED)
def test_a_file_on_disk_is_read_without_a_network(tmp_path, network, name):
    (tmp_path / f"{name}.npz").write_bytes(npz(DIGITS))
    assert_equal(named_arrays(name, tmp_path), DIGITS)
    assert network[1] == []


@pytest.mark.parametrize("name", [name for name, download in NAMED.items() if download])
def test_without_a_network_one_line_names_the_missing_file(tmp_path, network, name):
    with pytest.raises(UserError) as caught:
        named_arrays(name, tmp_path / "data")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"--dataset {name}: {tmp_path / 'data' / name}.npz does not exist, and ")
    assert "could not be downloaded (None -- [Errno -2] Name not known)" in line
    assert "--data_dir" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_dataset_without_a_download(tmp_path, network):
    with pytest.raises(UserError, match=rf"^--dataset usps: {tmp_path}/usps.npz does not exist"):
        named_arrays("usps", tmp_path)
    assert network[1] == []


def test_mnist_is_downloaded_once_and_verified(tmp_path, network):
    files, calls = network
    (url,) = NAMED["mnist"].files.values()
    files[url] = npz(DIGITS)
    for _ in range(2):
        assert_equal(named_arrays("mnist", tmp_path / "new"), DIGITS)
    assert calls == [(url, NAMED["mnist"].sha256)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mnist.npz"]


def test_fashion_mnist_is_four_files_in_the_folder_of_keras(tmp_path, network):
    files, _ = network
    for url, array, header in zip(
        NAMED["fashion_mnist"].files.values(), DIGITS.values(), (16, 8, 16, 8), strict=True
    ):
        files[url] = gzip.compress(bytes(header) + array.tobytes())
    assert_equal(named_arrays("fashion_mnist", tmp_path), DIGITS)
    labels = tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz"
    assert labels.exists()
    files.clear()
    assert_equal(named_arrays("fashion_mnist", tmp_path), DIGITS)
    labels.write_bytes(labels.read_bytes()[:20])
    with pytest.raises(UserError, match=rf"fashion_mnist: damaged .*; remove .*{labels}"):
        named_arrays("fashion_mnist", tmp_path)


@pytest.fixture
def cifar(monkeypatch):
    """An archive in the format of CIFAR-10, and its arrays."""
    pixels = RANDOM.integers(0, 256, (6, 4, 3, 32, 32)).astype(np.uint8)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for number in range(6):
            batch = {b"data": pixels[number].reshape(4, -1), b"labels": [number, 1, 2, 3]}
            data = pickle.dumps(batch)
            name = f"data_batch_{number}" if number else "test_batch"
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    monkeypatch.setattr(module, "CIFAR_SHA256", sha256)
    images = pixels.transpose(0, 1, 3, 4, 2)
    return content.getvalue(), {
        "x_train": images[1:].reshape(-1, 32, 32, 3),
        "y_train": np.array([[number, 1, 2, 3] for number in range(1, 6)]).ravel(),
        "x_test": images[0],
        "y_test": np.array([0, 1, 2, 3]),
    }


def test_cifar10_is_an_archive_of_batches(tmp_path, network, cifar):
    content, expected = cifar
    network[0][module.CIFAR_URL] = content
    assert_equal(named_arrays("cifar10", tmp_path), expected)


def test_pickles_of_another_archive_are_not_loaded(tmp_path, network, cifar):
    (place,) = NAMED["cifar10"].files
    (tmp_path / place).write_bytes(cifar[0] + b"more")
    with pytest.raises(UserError, match=rf"^{tmp_path / place}: not the archive of .*; remove it"):
        named_arrays("cifar10", tmp_path)


def test_a_stalled_download_times_out(tmp_path, monkeypatch):
    end = threading.Event()
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: end.wait(60))
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    before = time.monotonic()
    with pytest.raises(UserError, match="could not be downloaded"):
        named_arrays("mnist", tmp_path)
    assert time.monotonic() - before < 10
    assert list(tmp_path.iterdir()) == []
    end.set()


def test_a_slow_download_does_not_time_out(tmp_path, monkeypatch):
    content = npz(DIGITS)

    def get_file(name, url, cache_subdir, file_hash):
        path = Path(cache_subdir) / name
        with path.open("wb", buffering=0) as file:
            for first in range(0, len(content), len(content) // 7):
                file.write(content[first : first + len(content) // 7])
                time.sleep(0.2)
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(module, "PATIENCE", 0.7)
    assert_equal(named_arrays("mnist", tmp_path), DIGITS)


def test_a_folder_that_cannot_be_created_is_named(tmp_path, network):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"mnist: .*file/mnist.npz does not exist.*file"):
        named_arrays("mnist", tmp_path / "file")
