"""Archives that are damaged or hostile are refused, and nothing of them is left."""

import re
import tarfile
import zipfile

from common.errors import UserError
from common.io import archives
from common.io.archives import fetch_archive
from tests.helpers.archives import FILES, check_facades, member, tar_of, zip_of

import pytest

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
    """A Python with the filters of tarfile, and one without, such as that of Debian 12."""
    if not request.param:
        monkeypatch.delattr(tarfile, "data_filter")


def test_a_python_without_filters_unpacks_too(server, tmp_path, pythons):
    server.files["/f.tar.gz"] = tar_of()
    check_facades(fetch_archive(f"{server.url}/f.tar.gz", tmp_path / "f", "facades"))


@pytest.mark.parametrize("named", BAD_TARS)
def test_a_hostile_tar_is_refused_completely(server, tmp_path, pythons, named):
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
def test_a_hostile_zip_is_refused_completely(server, tmp_path, name):
    server.files["/f.zip"] = zip_of({**FILES, name: b"evil"})
    with pytest.raises(UserError, match=r"evil.*outside"):
        fetch_archive(f"{server.url}/f.zip", tmp_path / "f", "facades")
    check_nothing_left(tmp_path / "f")


def test_a_zip_with_a_link_is_refused(server, tmp_path):
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
    """A tar whose second header is garbage, in a complete gzip stream with a wrong checksum."""
    plain = bytearray(archives.gzip.decompress(tar_of()))
    second = 512 + 512 * -(-70_000 // 512)
    plain[second : second + 512] = b"?" * 512
    return flipped(archives.gzip.compress(bytes(plain)), -5)


def dated(mtime):
    """A tar with a member whose date no file can have."""
    late = member("facades/late", tarfile.REGTYPE)
    late.mtime = mtime
    return tar_of(extra=[late])


def marked(body, place, value):
    """A zip with a byte changed after the version in all headers, local and central."""
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
def test_a_damaged_archive_is_removed(server, tmp_path, name):
    server.files[f"/{name}"] = BAD_ARCHIVES[name]
    folder = tmp_path / "f"
    with pytest.raises(UserError, match=r"is bad.*was removed") as caught:
        fetch_archive(f"{server.url}/{name}", folder, "facades")
    assert "\n" not in str(caught.value)
    check_nothing_left(folder)
    server.files[f"/{name}"] = zip_of() if name.endswith("zip") else tar_of()
    check_facades(fetch_archive(f"{server.url}/{name}", folder, "facades"))
