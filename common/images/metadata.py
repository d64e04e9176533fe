"""Metadata of image files: removed before the pixels are decoded, except the EXIF orientation.

Decoders parse metadata that has no influence on the pixels, and raise for what is damaged or too
large in it: an EXIF block with bad offsets, a colour profile, a compressed comment. Here it is
skipped by its length alone, so its content can do no harm.
"""

import io
import struct
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3


def separate(file: BinaryIO) -> tuple[BinaryIO, bytes]:
    """Splits an image file into its pixels and its EXIF data.

    Args:
        file: image file of any format, at its beginning.

    Returns:
        A PNG or JPEG file without metadata, or `file` itself if it has another format; and the
        EXIF data of the PNG or JPEG file, empty if it has none. A damaged file stays damaged.
    """
    magic = file.read(len(_PNG))
    file.seek(0)
    if magic == _PNG:
        return _separate_png(file.read())
    if magic.startswith(_JPEG):
        return _separate_jpeg(file.read())
    return file, b""


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, that EXIF data state; 1 if they state none or are damaged."""
    exif = exif.removeprefix(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    except struct.error:  # an offset beyond the end
        pass
    return 1


def _separate_png(data: bytes) -> tuple[BinaryIO, bytes]:
    """Keeps the chunks that the pixels depend on: the critical ones and tRNS."""
    kept, exif, at = [_PNG], b"", len(_PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        following = at + 12 + length  # length, name, content, checksum
        ancillary = name.isalpha() and name[:1].islower()
        if not ancillary or name == b"tRNS":
            kept.append(data[at:following])
        elif name == b"eXIf" and not exif:
            exif = data[at + 8 : at + 8 + length]
        if name == b"IEND":
            break
        at = following
    return io.BytesIO(b"".join(kept)), exif


def _separate_jpeg(data: bytes) -> tuple[BinaryIO, bytes]:
    """Drops the application segments and comments ahead of the pixels.

    The two application segments that say how the colours are coded are kept.
    """
    kept, exif, at, kept_to = [], b"", 2, 0
    while 0 <= at <= len(data) - 4:
        marker, length = struct.unpack_from(">xBH", data, at)
        if data[at] != 0xFF or not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xD8:
            at = data.find(b"\xff", at + 1)  # padding, or a marker without a segment
            continue
        if marker in (0xD9, 0xDA):  # end of image, start of scan
            break
        body = data[at + 4 : at + 2 + length]
        following = at + 2 + max(length, 2)
        codes_colours = (marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 14) or (
            marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12
        )
        if (0xE0 <= marker <= 0xEF or marker == 0xFE) and not codes_colours:
            kept.append(data[kept_to:at])
            kept_to = following
        if marker == 0xE1 and body.startswith(_EXIF) and not exif:
            exif = body
        at = following
    return io.BytesIO(b"".join([*kept, data[kept_to:]])), exif
