"""Archives are downloaded once and completely, whatever interrupts it; errors are one line."""

import errno
import http.server
import tarfile
import threading
from pathlib import Path

from common.errors import UserError
from common.io import archives
from common.io.archives import fetch_archive
from tests.helpers.archives import Handler, check_facades, tar_of, zip_of

import pytest
import requests
import urllib3


@pytest.mark.parametrize(
    ("name", "body"),
    [("f.tar.gz", tar_of()), ("f.tgz", tar_of()), ("f.zip", zip_of())],
)
def test_fetch_unpacks_the_inner_folder_once(server, tmp_path, name, body):
    server.files[f"/{name}"] = body
    folder = tmp_path / "data" / "faces"
    for _ in range(2):
        assert fetch_archive(f"{server.url}/{name}", folder, "faces") == folder
        check_facades(folder)
    assert len(server.requests) == 1


def test_files_without_a_top_folder_or_beside_it(server, tmp_path):
    server.files["/a.zip"] = zip_of({"1.jpg": b"1", "2.jpg": b"2"})
    folder = fetch_archive(f"{server.url}/a.zip", tmp_path / "a", "a")
    assert sorted(path.name for path in folder.iterdir()) == ["1.jpg", "2.jpg"]
    server.files["/b.zip"] = zip_of({"b/1.jpg": b"1", "__MACOSX/b/._1.jpg": b"?"})
    folder = fetch_archive(f"{server.url}/b.zip", tmp_path / "b", "b")
    assert [path.name for path in folder.iterdir()] == ["1.jpg"]


def test_an_empty_folder_is_not_complete(server, tmp_path):
    server.files["/f.zip"] = zip_of()
    (tmp_path / "f").mkdir()
    check_facades(fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "f"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_lost_connection_is_resumed(server, tmp_path, ranges):
    server.files["/f.tar.gz"] = tar_of()
    server.ranges, server.break_at = ranges, 40_000
    url, folder = f"{server.url}/f.tar.gz", tmp_path / "f"
    with pytest.raises(UserError, match="run again") as caught:
        fetch_archive(url, folder, "facades")
    assert url in str(caught.value) and str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not folder.exists()
    server.break_at = None
    check_facades(fetch_archive(url, folder, "facades"))
    assert server.requests[1][1] is not None, "the second call asks for the rest"


def test_an_interrupted_download_is_resumed(server, tmp_path, monkeypatch):
    server.files["/f.tar.gz"] = tar_of()
    url, folder = f"{server.url}/f.tar.gz", tmp_path / "f"
    stream = urllib3.HTTPResponse.stream

    def interrupted(self, amt, decode_content=None):
        yield next(stream(self, 10_000, decode_content))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(urllib3.HTTPResponse, "stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_archive(url, folder, "facades")
    assert not folder.exists()
    check_facades(fetch_archive(url, folder, "facades"))
    assert server.requests[1] == ("/f.tar.gz", "bytes=10000-")


def test_interrupted_unpacking_restarts_from_the_archive(server, tmp_path, monkeypatch):
    server.files["/f.tar.gz"] = tar_of()
    url, folder = f"{server.url}/f.tar.gz", tmp_path / "f"
    check = archives._check_member

    def interrupted(name, plain):
        check(name, plain)
        if name.endswith("2.jpg"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archives, "_check_member", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_archive(url, folder, "facades")
    assert not folder.exists()
    check_facades(fetch_archive(url, folder, "facades"))
    assert len(server.requests) == 1, "the archive was complete"


def test_a_part_as_long_as_the_file_is_downloaded_again(server, tmp_path):
    server.files["/f.tar.gz"] = tar_of()
    part = tmp_path / ".f.part" / "f.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * len(server.files["/f.tar.gz"]))
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "f"))


def test_an_archive_labelled_as_gzip_encoded(server, tmp_path):
    server.files["/f.tar.gz"] = tar_of()
    server.headers["Content-Encoding"] = "gzip"
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "f"))


def test_concurrent_calls_download_once(server, tmp_path):
    server.files["/f.tar.gz"] = tar_of()
    failures = []

    def fetch():
        try:
            fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "f")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    check_facades(tmp_path / "f")
    assert len(server.requests) == 1


def test_the_lock_may_be_removed_by_another_run(server, tmp_path, monkeypatch):
    server.files["/f.zip"] = zip_of()
    make, made = Path.mkdir, []

    def removed(self, *args, **options):
        make(self, *args, **options)
        if self.name == ".f.part":
            made.append(self)
            if len(made) == 1:
                self.rmdir()  # as the run does that has just finished

    monkeypatch.setattr(Path, "mkdir", removed)
    check_facades(fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "f"))
    assert len(made) == 2


def test_http_error_names_url_and_remedy(server, tmp_path):
    url = f"{server.url}/gone.tar.gz"
    with pytest.raises(UserError, match="404 Not Found") as caught:
        fetch_archive(url, tmp_path / "f", "facades")
    for part in ("facades", url, str(tmp_path / "f"), "by hand", "--dataset"):
        assert part in str(caught.value)


def test_connection_refused(server, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
        url = f"http://127.0.0.1:{other.server_port}/f.zip"
    with pytest.raises(UserError, match="no connection") as caught:
        fetch_archive(url, tmp_path / "f", "facades")
    assert "\n" not in str(caught.value) and url in str(caught.value)


def test_no_answer(server, tmp_path, monkeypatch):
    def silent(*args, **options):
        assert options["timeout"] > 0
        raise requests.ReadTimeout

    monkeypatch.setattr(requests, "get", silent)
    with pytest.raises(UserError, match="no answer within"):
        fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "facades")


def test_no_space_while_unpacking_keeps_the_archive(server, tmp_path, monkeypatch):
    server.files["/f.tar.gz"] = tar_of()
    url, folder = f"{server.url}/f.tar.gz", tmp_path / "f"

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "copyfileobj", full)
        with pytest.raises(UserError, match=r"No space left.*--data_dir"):
            fetch_archive(url, folder, "facades")
    assert not folder.exists()
    check_facades(fetch_archive(url, folder, "facades"))
    assert len(server.requests) == 1


def test_no_permission(server, tmp_path, monkeypatch):
    def refused(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(UserError, match=r"\.f\.part cannot be written \(Permission denied\)"):
        fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "facades")


def test_other_kinds_of_file_are_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"\.tar\.gz"):
        fetch_archive("http://127.0.0.1/f.rar", tmp_path / "f", "facades")


def test_a_folder_with_content_is_not_downloaded(tmp_path):
    (tmp_path / "1.jpg").touch()
    assert fetch_archive("http://127.0.0.1:1/f.zip", tmp_path, "f") == tmp_path
