"""Archives of a few files, and a server that they are downloaded from."""

import http.server
import io
import re
import tarfile
import zipfile

import numpy as np

# Noise does not compress, so the archives are long enough to be interrupted.
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
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name], "files beside it"
