"""Image files in memory, some of them built by hand: kinds that Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def content(image, kind, **options):
    """The content of an image file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples, depth, colour, transparent=b"", before=b"", after=b""):
    """A PNG file by hand.

    Args:
        samples: (height, width[, channels]), uint8 or big-endian uint16.
        depth: bits per sample; samples of 1, 2 and 4 bits are packed.
        colour: PNG's colour type.
        transparent: content of a tRNS chunk.
        before, after: chunks ahead of the pixels and behind them.
    """
    height, width = samples.shape[:2]
    if depth < 8:
        bits = np.unpackbits(samples[..., None], axis=-1)[..., -depth:]
        samples = np.packbits(bits.reshape(height, -1), axis=-1)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), before]
    chunks += [png_chunk(b"tRNS", transparent)] if transparent else []
    chunks += [png_chunk(b"IDAT", zlib.compress(rows)), after, png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def exif(orientation, order="<", kind=3):
    """EXIF data with a camera maker and an orientation.

    Args:
        orientation: value of the tag.
        order: "<" for little-endian, ">" for big-endian.
        kind: type of the value; 3, a 16-bit integer, in valid data.
    """
    maker = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0")
    turned = struct.pack(f"{order}HHIHH", 0x0112, kind, 1, orientation, 0)
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, 2)
    return header + maker + turned + bytes(4)


def jpeg_segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def with_exif(jpeg, data):
    """A JPEG file with EXIF data ahead of everything else, as cameras write it."""
    return with_segments(jpeg, jpeg_segment(0xE1, b"Exif\0\0" + data))


def with_segments(jpeg, segments):
    return jpeg[:2] + segments + jpeg[2:]


def random_smooth(height, width, seed, channels=3):
    """A smooth random image of Pillow's, mode L, LA, RGB or RGBA: codecs change it little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), np.uint8)
    image = Image.fromarray(coarse[..., 0] if channels == 1 else coarse)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def hostile_png_chunks():
    """Damaged or oversized metadata of a PNG file, by name: chunks that stand anywhere."""
    bomb = zlib.compress(bytes(2_000_000))  # beyond Pillow's limit of 1 MiB
    return {
        "zTXt_bomb": png_chunk(b"zTXt", b"Comment\0\0" + bomb),
        "iTXt_bomb": png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        "iTXt_not_utf8": png_chunk(b"iTXt", b"Comment\0\0\0\0\0\xff\xfe"),
        "tEXt_of_a_reserved_key": png_chunk(b"tEXt", b"transparency\0x"),
        "profile_bomb": png_chunk(b"iCCP", b"x\0\0" + bomb),
        "short_resolution": png_chunk(b"pHYs", b"ab"),
        "wrong_checksum": png_chunk(b"tEXt", b"a\0b")[:-1] + b"x",
        "exif_offset_beyond_the_end": png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        "short_exif": png_chunk(b"eXIf", b"M"),
    }


def hostile_jpeg_segments():
    """Damaged metadata of a JPEG file, by name: segments that stand ahead of the pixels."""
    data = {
        "empty": b"",
        "one_byte": b"M",
        "offset_beyond_the_end": b"MM\0*\xff\xff\xff\xff",
        "too_many_entries": b"II*\0\x08\0\0\0\xff\xff",
        "unknown_byte_order": b"XX" + exif(6)[2:],
        "orientation_of_another_type": exif(6, kind=4),
        "orientation_0": exif(0),
        "orientation_9": exif(9, ">"),
    }
    segments = {name: jpeg_segment(0xE1, b"Exif\0\0" + value) for name, value in data.items()}
    return segments | {
        "short_adobe": jpeg_segment(0xEE, b"Adobe"),
        "short_jfif": jpeg_segment(0xE0, b"JFIF\0"),
        "broken_multi_picture": jpeg_segment(0xE2, b"MPF\0MM\0*\xff\xff\xff\xff1234"),
        "broken_photoshop": jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed\0\0\0\0\0\1a"),
        "comment": jpeg_segment(0xFE, b"\xff\xd8\xff"),
    }
