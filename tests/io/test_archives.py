"""Archives from a server on this machine: whole, interrupted, damaged, hostile."""

import errno
import http.server
import io
import re
import tarfile
import threading
import zipfile
from pathlib import Path

from common.errors import UserError
from common.io import archives
from common.io.archives import fetch_archive

import numpy as np
import pytest
import requests
import urllib3

# noise: it must not shrink, so that the archives are long enough to break off in the middle
FILES = {
    "facades/train/1.jpg": np.random.default_rng(0).bytes(70_000),
    "facades/train/2.jpg": b"second",
    "facades/val/1.jpg": b"third",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[start : server.break_at])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.requests, server.headers = {}, [], {}
    server.ranges, server.break_at = True, None
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def tar_of(files=FILES, extra=()):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
        for member in extra:
            tar.addfile(member)
    return stream.getvalue()


def zip_of(files=FILES):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return stream.getvalue()


def member(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def check_facades(folder):
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == {name.removeprefix("facades/"): body for name, body in FILES.items()}
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name], "litter beside it"


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


def test_files_without_a_top_folder_and_litter(server, tmp_path):
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
def test_goes_on_after_the_connection_broke(server, tmp_path, ranges):
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


def test_goes_on_after_ctrl_c_in_the_body(server, tmp_path, monkeypatch):
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


def test_goes_on_after_ctrl_c_in_the_unpacking(server, tmp_path, monkeypatch):
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
    assert len(server.requests) == 1, "the archive was whole"


def test_a_part_as_long_as_the_file_starts_again(server, tmp_path):
    server.files["/f.tar.gz"] = tar_of()
    part = tmp_path / ".f.part" / "f.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * len(server.files["/f.tar.gz"]))
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "f"))


def test_archive_labelled_as_gzip_encoded(server, tmp_path):
    server.files["/f.tar.gz"] = tar_of()
    server.headers["Content-Encoding"] = "gzip"
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "f"))


def test_two_at_once_fetch_it_once(server, tmp_path):
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


BAD_TARS = {
    "../evil": member("facades/../../evil", tarfile.REGTYPE),
    "/tmp/evil": member("/tmp/evil", tarfile.REGTYPE),
    "C:": member("C:\\evil", tarfile.REGTYPE),
    "out": member("facades/out", tarfile.SYMTYPE, "../../.."),
    "hard": member("facades/hard", tarfile.LNKTYPE, "/etc/passwd"),
    "dev": member("facades/dev", tarfile.CHRTYPE),
    "fifo": member("facades/fifo", tarfile.FIFOTYPE),
}


@pytest.fixture(params=[True, False], ids=["filters", "no filters"])
def pythons(request, monkeypatch):
    """A Python with tarfile's filters, and one without, such as Debian 12's."""
    if not request.param:
        monkeypatch.delattr(tarfile, "data_filter")


def test_a_python_without_filters_unpacks_too(server, tmp_path, pythons):
    server.files["/f.tar.gz"] = tar_of()
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "facades"))


@pytest.mark.parametrize("named", BAD_TARS)
def test_hostile_tar_is_refused_whole(server, tmp_path, pythons, named):
    server.files["/f.tar.gz"] = tar_of(extra=[BAD_TARS[named]])
    folder = tmp_path / "deep" / "f"
    with pytest.raises(UserError, match=re.escape(BAD_TARS[named].name.replace("\\", "\\\\"))):
        fetch_archive(f"{server.url}/f.tar.gz", folder, "facades")
    check_nothing_left(folder)
    assert list(tmp_path.iterdir()) == [folder.parent]


def check_nothing_left(folder):
    assert not folder.exists()
    left = [path.name for path in folder.parent.rglob("*") if path.is_file()]
    assert left == ["lock"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/..\\..\\evil"])
def test_hostile_zip_is_refused_whole(server, tmp_path, name):
    server.files["/f.zip"] = zip_of({**FILES, name: b"evil"})
    with pytest.raises(UserError, match=r"evil.*outside"):
        fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "facades")
    check_nothing_left(tmp_path / "f")


def test_zip_with_a_link_is_refused(server, tmp_path):
    link = zipfile.ZipInfo("facades/link")
    link.external_attr = 0o120777 << 16
    server.files["/f.zip"] = zip_of({link: b"/etc/passwd"})
    with pytest.raises(UserError, match=r"facades/link.*is a link"):
        fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "facades")


def flipped(body, at):
    body = bytearray(body)
    body[at] ^= 0xFF
    return bytes(body)


def without_headers_after_the_first():
    """A tar whose second header is garbage, in a whole gzip stream with a wrong checksum."""
    plain = bytearray(archives.gzip.decompress(tar_of()))
    second = 512 + 512 * -(-70_000 // 512)
    plain[second : second + 512] = b"?" * 512
    return flipped(archives.gzip.compress(bytes(plain)), -5)


def dated(mtime):
    """A tar with a member of a date that no file can have."""
    late = member("facades/late", tarfile.REGTYPE)
    late.mtime = mtime
    return tar_of(extra=[late])


def marked(body, place, value):
    """A zip whose headers, here and in its directory, have a byte changed after the version."""
    assert body.count(b"\x14\0\0\0\0\0") == 2 * len(FILES)
    mark = bytearray(b"\x14\0\0\0\0\0")
    mark[place] = value
    return body.replace(b"\x14\0\0\0\0\0", bytes(mark))


BAD_ARCHIVES = {
    "cut.tar.gz": tar_of()[:-40_000],
    "cut_at_the_end.tar.gz": tar_of()[:-4],
    "flipped.tar.gz": flipped(tar_of(), 30_000),
    "header.tar.gz": without_headers_after_the_first(),
    "page.tar.gz": b"<html>log in</html>",
    "nothing.tar.gz": b"\0",
    "empty.tar.gz": tar_of({}),
    "cut.zip": zip_of()[:-40],
    "flipped.zip": flipped(zip_of(), 30_000),
    "page.zip": b"<html>log in</html>",
    "encrypted.zip": marked(zip_of(), 2, 1),
    "compression.zip": marked(zip_of(), 4, 99),
    "date.tar.gz": dated(2**70),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_damaged_archive_is_removed(server, tmp_path, name):
    server.files[f"/{name}"] = BAD_ARCHIVES[name]
    folder = tmp_path / "f"
    with pytest.raises(UserError, match=r"is bad.*was removed") as caught:
        fetch_archive(f"{server.url}/{name}", folder, "facades")
    assert "\n" not in str(caught.value)
    check_nothing_left(folder)
    server.files[f"/{name}"] = zip_of() if name.endswith("zip") else tar_of()
    check_facades(fetch_archive(f"{server.url}/{name}", folder, "facades"))


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


def test_other_kinds_of_file_are_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match=r"\.tar\.gz"):
        fetch_archive("http://127.0.0.1/f.rar", tmp_path / "f", "facades")


def test_by_hand_is_as_good(tmp_path):
    (tmp_path / "1.jpg").touch()
    assert fetch_archive("http://127.0.0.1:1/f.zip", tmp_path, "f") == tmp_path
