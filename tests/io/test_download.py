"""Downloads of single files: resumed, checked, and with errors of one line."""

import hashlib

from common.errors import UserError
from common.io.download import fetch_file

import numpy as np
import pytest

BODY = np.random.default_rng(0).bytes(70_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


def test_a_file_is_downloaded_once(server, tmp_path):
    server.files["/a.npz"] = BODY
    file = tmp_path / "models" / "a.npz"
    for sha256 in (None, SHA256, SHA256):
        assert fetch_file(f"{server.url}/a.npz", file, sha256).read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_lost_connection_is_resumed(server, tmp_path, ranges):
    server.files["/a.npz"] = BODY
    server.ranges, server.break_at = ranges, 40_000
    url, file = f"{server.url}/a.npz", tmp_path / "a.npz"
    with pytest.raises(UserError, match="run again") as caught:
        fetch_file(url, file, SHA256)
    assert url in str(caught.value) and "\n" not in str(caught.value)
    assert not file.exists() and (tmp_path / "a.npz.part").stat().st_size == 40_000
    server.break_at = None
    assert fetch_file(url, file, SHA256).read_bytes() == BODY
    assert server.requests[1] == ("/a.npz", "bytes=40000-")
    assert not (tmp_path / "a.npz.part").exists()


def test_a_file_with_another_digest_is_removed(server, tmp_path):
    server.files["/a.npz"] = BODY
    file = tmp_path / "a.npz"
    with pytest.raises(UserError, match=f"SHA-256 {SHA256}, not {'0' * 64}"):
        fetch_file(f"{server.url}/a.npz", file, "0" * 64)
    assert not file.exists()


def test_a_file_that_is_there_with_another_digest_is_downloaded_again(server, tmp_path):
    server.files["/a.npz"] = BODY
    file = tmp_path / "a.npz"
    file.write_bytes(b"an earlier one")
    assert fetch_file(f"{server.url}/a.npz", file, SHA256).read_bytes() == BODY


def test_errors_name_url_and_reason(server, tmp_path):
    with pytest.raises(UserError, match=r"/gone\.npz: downloading failed \(404 Not Found\)"):
        fetch_file(f"{server.url}/gone.npz", tmp_path / "a.npz")
    server.files["/a.npz"] = BODY
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        fetch_file(f"{server.url}/a.npz", tmp_path / "file" / "a.npz")
