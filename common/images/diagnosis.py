"""Why a file cannot be read as an image, told from its first bytes: Pillow's errors do not say."""

import io
import re
from contextlib import suppress

from common.errors import reason_of

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

HEAD = 2**16  # bytes of a file that are looked at
_FORMATS = {  # those that are read, by the bytes that a file begins with
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_OTHER_IMAGES = {
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"%!PS": "PostScript",
    b"%PDF": "PDF",
    b"DDS ": "DDS",
    b"\0\0\1\0": "ICO",
    b"v/1\1": "OpenEXR",
    b"#?RADIANCE": "Radiance",
    b"gimp xcf": "GIMP",
    **{f"P{number}".encode() + space: "PNM" for number in range(1, 8) for space in (b"\n", b" ")},
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF"}
_CONVERT = "convert it to PNG or JPEG"
_TIFF_KINDS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex", 6: "complex"}
_JPEG_KINDS = {0xC3: "lossless", 0xC7: "lossless", 0xCB: "lossless", 0xCF: "lossless"}


class Unsupported(ValueError):
    """An image of a kind that is not read; the message says which."""


def diagnosis(head: bytes, error: Exception) -> str:
    """What is wrong with a file that could not be read, and the remedy, separated by a semicolon.

    Args:
        head: its first `HEAD` bytes, b"" if it has none or is not there.
        error: what reading it raised.
    """
    if getattr(error, "strerror", None):  # the system's: no such file, no permission
        return f"{reason_of(error)}; check the path"
    if isinstance(error, Unsupported):
        return f"{error}; convert it to an 8-bit PNG"
    if isinstance(error, Image.DecompressionBombError):
        pixels, limit = (int(number) for number in re.findall(r"\d+", str(error))[:2])
        return f"{pixels} pixels are more than the {limit} that are read; scale it down"
    kind = _read_format(head)
    if kind is None:
        return _other_content(head)
    if re.search("truncated|unexpected end", str(error), re.IGNORECASE):
        return f"a {kind} file that is truncated, as by an interrupted copy; replace it"
    rare = _rare_kind(kind, head, error)
    if rare:
        return f"a {kind} file that is damaged, or of a rare kind ({rare}); " + (
            "convert it to an 8-bit PNG, or replace it"
        )
    return f"a {kind} file that is damaged; replace it"


def _read_format(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _FORMATS.items() if head.startswith(magic)), None)


def _other_content(head: bytes) -> str:
    """What a file is that has none of the formats that are read."""
    if not head:
        return "not an image: the file is empty; replace it"
    kind = next((kind for magic, kind in _OTHER_IMAGES.items() if head.startswith(magic)), None)
    if head[4:8] == b"ftyp":
        kind = _BRANDS.get(head[8:12], "HEIF or video")
    text = head[:2000].lstrip().lower()
    if b"<svg" in text:
        kind = "SVG"
    if kind is not None:
        return f"not an image of a format that is read, but {kind}; {_CONVERT}"
    if text.startswith((b"<!doctype html", b"<html")):
        return "not an image but a web page, as of a failed download; replace it"
    if text.startswith(b"version https://git-lfs"):
        return "not an image but a pointer of Git LFS to one; run git lfs pull"
    if head.startswith(b"\0\5\x16\7"):
        return "not an image but metadata of macOS; remove it"
    known = ", ".join(dict.fromkeys([*_FORMATS.values(), "WebP"]))
    return f"not an image of a known format ({known}); replace it"


def _rare_kind(kind: str, head: bytes, error: Exception) -> str | None:
    """How an image is stored, of a format that allows more kinds than are read."""
    if kind == "TIFF":
        return _tiff_kind(head)
    if kind == "JPEG":
        return _jpeg_kind(head)
    return str(error) if kind == "BMP" and str(error).startswith("Unsupported") else None


def _tiff_kind(head: bytes) -> str | None:
    """Such as `5 channels of 8-bit integers, compression 1`."""
    with suppress(Exception):  # it may be damaged
        file = io.BytesIO(head)
        tags = ImageFileDirectory_v2(file.read(16 if head[2:3] == b"+" else 8))
        file.seek(tags.next)
        tags.load(file)
        channels, bits = tags.get(277, 1), tags.get(258, (1,))[0]
        numbers = _TIFF_KINDS.get(tags.get(339, (1,))[0], "numbers")
        plural = "s" if channels > 1 else ""
        return f"{channels} channel{plural} of {bits}-bit {numbers}, compression {tags.get(259, 1)}"
    return None


def _jpeg_kind(head: bytes) -> str | None:
    """`lossless` or, of other than 8 bits, `12-bit`; None for the usual kind."""
    at = 2
    while at + 5 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = head[at + 4]
            return _JPEG_KINDS.get(marker) or (f"{bits}-bit" if bits != 8 else None)
        at += 2 + length
    return None
