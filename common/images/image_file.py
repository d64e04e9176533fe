"""Image file I/O, and the basic operations on images: uint8 (height, width, channels) in NumPy."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError, reason_of
from common.io.atomic import atomic_file

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".bmp", ".gif", ".tif", ".tiff", ".webp"),
)
# Suffixes of image files that are not read, for telling how many files of a folder were ignored.
OTHER_SUFFIXES = (
    *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jxl", ".apng"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".psd", ".xcf", ".svg", ".eps", ".ico"),
    *(".exr", ".hdr", ".pcx", ".dds", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw"),
)

# Only the formats of SUFFIXES: Pillow would pass some others (EPS) to external programs.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANES = 258, 262, 284


class BadImage(UserError):
    """An image cannot be read: it is missing, not an image, truncated, damaged or too large."""


def read(source: str | Path | bytes, channels: int = 3) -> np.ndarray:
    """Reads an image, rotated to its EXIF orientation; the first frame of an animation.

    Transparency is composited on white. CMYK is converted by formula, without colour profiles.
    16-bit grayscale is scaled to 8 bits and rounded (of 16-bit RGB, Pillow drops the low byte).
    The range of 32-bit grayscale is not stored in the file: maxima up to 1 (floats), 255 or 65535
    (integers) are taken for that range, and other values are refused.

    Args:
        source: path of a file, or its content.
        channels: 3 for RGB, 1 for grayscale (ITU-R 601 luma).

    Returns:
        uint8 (height, width, channels), own memory.

    Raises:
        BadImage: the file is missing, not an image of a known format, truncated, damaged, too
            large (Pillow's limit for decompression bombs) or in a form that Pillow misreads.
    """
    with _as_bad_image(source):
        image = _upright(source)
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        pixels = np.array(image.convert(_MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_layers(source: str | Path | bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads an image like `read`, but with its own channels and a separate alpha channel.

    Returns:
        The image, uint8 (height, width, 1) if the file is grayscale and (height, width, 3) if it
        has colours; and its alpha, uint8 (height, width, 1), or None. Where alpha is 0 the colours
        are those of the file.

    Raises:
        BadImage: as `read`.
    """
    with _as_bad_image(source):
        image = _upright(source)
        grayscale = image.mode in ("1", "L", "LA", "La")
        alpha = None
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.array(image.getchannel("A"))[..., None]
        pixels = np.array(image.convert("RGB").convert(_MODES[1 if grayscale else 3]))
    return pixels.reshape(*pixels.shape[:2], 1 if grayscale else 3), alpha


@contextmanager
def _as_bad_image(source: str | Path | bytes) -> Iterator[None]:
    """Turns any exception into a BadImage that names the image, in one line."""
    name = f"an image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{name}: not an image of a known format ({', '.join(_FORMATS)}); replace or remove it"
        ) from error
    # With damaged files, Pillow's decoders raise nearly anything: OSError, SyntaxError, TypeError,
    # KeyError, struct.error, its own DecompressionBombError, a bare Exception, ...
    except Exception as error:
        remedy = "check the path" if getattr(error, "strerror", None) else "replace or remove it"
        raise BadImage(f"{name}: {reason_of(error)}; {remedy}") from error


def _upright(source: str | Path | bytes) -> Image.Image:
    """Opens an image, rotates it to its EXIF orientation and converts it to 8 bits per channel."""
    with Image.open(
        io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS
    ) as image:
        _refuse_misread(image)
        # Pillow 10 opens 16-bit PNG as 32-bit integers ("I")
        white = 65535 if image.format == "PNG" else None
        upright = ImageOps.exif_transpose(image)
    return _to_eight_bits(upright, white) if upright.mode.startswith(("I", "F")) else upright


def write(path: str | Path, image: np.ndarray) -> None:
    """Writes uint8 (height, width, 1 or 3) atomically, in the format of the suffix.

    Missing folders are created.

    Raises:
        UserError: the suffix is unknown, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: unknown image suffix; use one of {' '.join(SUFFIXES)}")
    content = encode(image, path.suffix.lower())
    with atomic_file(path) as part:
        part.write_bytes(content)


def encode(image: np.ndarray, suffix: str = ".png") -> bytes:
    """Encodes uint8 (height, width, 1 or 3) in the format of a suffix."""
    check(image)
    if image.shape[-1] == 1:
        image = image[..., 0]  # imageio takes grayscale as (height, width)
    # quality: for JPEG and WebP, whose default of 75 has visible artefacts; others ignore it
    return imageio.imwrite("<bytes>", image, extension=suffix, plugin="pillow", quality=95)


def to_unit(image: np.ndarray) -> np.ndarray:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape."""
    return image.astype(np.float32) / 127.5 - 1.0


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1], any shape -> uint8, rounded and clipped; the inverse of `to_unit`."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def mirrored(image: np.ndarray) -> np.ndarray:
    """Mirrors (H, W, C) horizontally, own memory."""
    # Six times as fast as copying image[:, ::-1].
    return np.stack([image[:, ::-1, c] for c in range(image.shape[-1])], axis=-1)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic resizing (a = -0.5), antialiased: uint8 (H, W, C) -> (height, width, C)."""
    check(image)
    channels = image.shape[-1]
    full_size = Image.fromarray(image if channels == 3 else image[..., 0])
    resized = np.array(full_size.resize((width, height), Image.Resampling.BICUBIC))
    return resized.reshape(height, width, channels)


def square(image: np.ndarray, side: int) -> np.ndarray:
    """Center-crops to a square and resizes: uint8 (H, W, C) -> (side, side, C), a copy."""
    height, width = image.shape[:2]
    length = min(height, width)
    top, left = (height - length) // 2, (width - length) // 2
    crop = image[top : top + length, left : left + length].copy()
    return crop if length == side else resize(crop, side, side)


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> (H, W, channels); RGB becomes grayscale by ITU-R 601 luma."""
    check(image)
    if image.shape[-1] == channels:
        return image
    converted = Image.fromarray(image if channels == 1 else image[..., 0])
    return np.array(converted.convert(_MODES[channels])).reshape(*image.shape[:2], channels)


def _refuse_misread(image: Image.Image) -> None:
    """Raises ValueError for deep TIFFs that Pillow (10.1 to 13.0) silently decodes wrongly."""
    tags = getattr(image, "tag_v2", {})
    if max(tags.get(_TIFF_BITS, (8,))) <= 8:
        return
    if tags.get(_TIFF_PLANES) == 2:
        raise ValueError("a TIFF of more than 8 bits in separate colour planes is not supported")
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        raise ValueError("a TIFF of more than 8 bits where 0 is white is not supported")


def _to_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    """Grayscale of 16 bits, 32-bit integers or floats -> mode L; Pillow's `convert` clips at 255.

    Args:
        image: grayscale image.
        white: the value of white; None infers it from the mode and the largest value.
    """
    wide = np.asarray(image)
    low, high = wide.min(), wide.max()
    if white is None:
        deep, shallow = (255, 1) if image.mode == "F" else (65535, 255)
        white = shallow if image.mode in ("I", "F") and high <= shallow else deep
    if not (low >= 0 and high <= white):  # also true of NaN
        raise ValueError(
            f"grayscale values {low} to {high} are outside 0 to {white}: convert to 8 bits"
        )
    pixels = np.rint(wide * (255.0 / white)).astype(np.uint8)
    if "transparency" in image.info:  # PNG: the value that is transparent
        pixels[wide == image.info["transparency"]] = 255
    return Image.fromarray(pixels)


def check(image: np.ndarray) -> None:
    """Raises ValueError unless an image is uint8 (height, width, 1 or 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in _MODES:
        raise ValueError(
            f"an image is uint8 (height, width, 1 or 3), not {image.dtype} {image.shape}"
        )
