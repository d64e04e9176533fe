"""Image files at the doors: uint8 (height, width, channels) in NumPy, whatever the file holds."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError, reason_of
from common.io.atomic import atomic_file

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")

# The formats behind SUFFIXES, and no others: Pillow would hand some (EPS) to outside programs.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANES = 258, 262, 284


class BadImage(UserError):
    """An image that cannot be read: missing, no image, truncated, damaged or too large."""


def read(source: str | Path | bytes, channels: int = 3) -> np.ndarray:
    """Decode an image, upright as its EXIF orientation says; of an animation the first frame.

    Transparency is composited on white, the paper that images without a background lie on.
    CMYK is converted by formula: colour profiles are not looked at. 16 bit grey is scaled to 8 bits
    (rounded; Pillow itself cuts the low byte of 16 bit RGB off). 32 bit grey says nowhere what
    white is: values up to 1 (floats), up to 255 or up to 65535 (integers) are taken for that
    range, and anything else is refused rather than guessed.

    Args:
        source: a file's path, or its content.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).

    Returns:
        uint8 (height, width, channels), own memory.

    Raises:
        BadImage: the file is missing, no image of the known formats, truncated, damaged, too
            large (Pillow's bound on decompression bombs) or in a form that Pillow misreads.
    """
    with _said_in_one_line(source):
        image = _upright(source)
        if image.has_transparency_data:
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image.convert("RGBA"))
        pixels = np.array(image.convert(_MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_layers(source: str | Path | bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode an image as `read` does, but with its own channels, and its transparency apart.

    Returns:
        The image, uint8 (height, width, 1) if the file is grey and (height, width, 3) if it has
        colours; and its alpha, uint8 (height, width, 1), or None if it has none. Where alpha is 0
        the colours are what the file holds there, if anything.

    Raises:
        BadImage: as `read`.
    """
    with _said_in_one_line(source):
        image = _upright(source)
        grey = image.mode in ("1", "L", "LA", "La")
        alpha = None
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.array(image.getchannel("A"))[..., None]
        pixels = np.array(image.convert("RGB").convert(_MODES[1 if grey else 3]))
    return pixels.reshape(*pixels.shape[:2], 1 if grey else 3), alpha


@contextmanager
def _said_in_one_line(source: str | Path | bytes) -> Iterator[None]:
    """Turns whatever reading an image raises into a BadImage that names it."""
    name = f"an image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{name}: not an image of a known format ({', '.join(_FORMATS)}); replace or remove it"
        ) from error
    # A damaged file can make one of Pillow's decoders raise nearly anything: OSError, SyntaxError,
    # struct.error, TypeError, KeyError, its own DecompressionBombError, a bare Exception, ...
    except Exception as error:
        remedy = "check the path" if getattr(error, "strerror", None) else "replace or remove it"
        raise BadImage(f"{name}: {reason_of(error)}; {remedy}") from error


def _upright(source: str | Path | bytes) -> Image.Image:
    """Opens an image and turns it as its EXIF orientation says; of 8 bits a channel."""
    with Image.open(
        io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS
    ) as image:
        _refuse_misread(image)
        # Pillow 10 opens 16 bit PNG as 32 bit integers ("I")
        white = 65535 if image.format == "PNG" else None
        upright = ImageOps.exif_transpose(image)
    return _to_eight_bits(upright, white) if upright.mode.startswith(("I", "F")) else upright


def write(path: str | Path, image: np.ndarray) -> None:
    """Write uint8 (height, width, 1 or 3) in the format that the suffix names.

    Missing folders are made. The file appears whole or not at all: it is written to a hidden name
    beside it, then renamed. Raises UserError for an unknown suffix or if it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: unknown image suffix; use one of {' '.join(SUFFIXES)}")
    content = encode(image, path.suffix.lower())
    with atomic_file(path) as part:
        part.write_bytes(content)


def encode(image: np.ndarray, suffix: str = ".png") -> bytes:
    """uint8 (height, width, 1 or 3) -> the content of a file of the format that `suffix` names."""
    check(image)
    if image.shape[-1] == 1:
        image = image[..., 0]  # imageio takes grey as (height, width)
    # quality: for JPEG and WebP, whose default of 75 shows; the other formats ignore it
    return imageio.imwrite("<bytes>", image, extension=suffix, plugin="pillow", quality=95)


def to_unit(image: np.ndarray) -> np.ndarray:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape."""
    return image.astype(np.float32) / 127.5 - 1.0


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1], any shape -> uint8, rounded and clipped; the inverse of `to_unit`."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def mirrored(image: np.ndarray) -> np.ndarray:
    """(H, W, C) with left and right exchanged, own memory."""
    # To copy image[:, ::-1] pixel by pixel takes six times as long.
    return np.stack([image[:, ::-1, c] for c in range(image.shape[-1])], axis=-1)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic (a = -0.5), antialiased when shrinking: uint8 (H, W, C) -> (height, width, C)."""
    check(image)
    channels = image.shape[-1]
    full_size = Image.fromarray(image if channels == 3 else image[..., 0])
    resized = np.array(full_size.resize((width, height), Image.Resampling.BICUBIC))
    return resized.reshape(height, width, channels)


def square(image: np.ndarray, side: int) -> np.ndarray:
    """The square around an image's centre, resized: uint8 (H, W, C) -> (side, side, C), a copy."""
    height, width = image.shape[:2]
    length = min(height, width)
    top, left = (height - length) // 2, (width - length) // 2
    cut = image[top : top + length, left : left + length].copy()
    return cut if length == side else resize(cut, side, side)


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> (H, W, channels); RGB becomes grey by ITU-R 601 luma."""
    check(image)
    if image.shape[-1] == channels:
        return image
    other = Image.fromarray(image if channels == 1 else image[..., 0])
    return np.array(other.convert(_MODES[channels])).reshape(*image.shape[:2], channels)


def _refuse_misread(image: Image.Image) -> None:
    """Raise ValueError for deep TIFFs that Pillow (10.1 to 13.0) decodes wrongly and silently."""
    tags = getattr(image, "tag_v2", {})
    if max(tags.get(_TIFF_BITS, (8,))) <= 8:
        return
    if tags.get(_TIFF_PLANES) == 2:
        raise ValueError("a TIFF of more than 8 bits in separate colour planes is not supported")
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        raise ValueError("a TIFF of more than 8 bits where 0 is white is not supported")


def _to_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    """Grey of 16 bits, 32 bit integers or floats -> mode L: Pillow's own `convert` clips at 255.

    white: the value that stands for white; None looks at the mode and at the largest value.
    """
    wide = np.asarray(image)
    low, high = wide.min(), wide.max()
    if white is None:
        deep, shallow = (255, 1) if image.mode == "F" else (65535, 255)
        white = shallow if image.mode in ("I", "F") and high <= shallow else deep
    if not (low >= 0 and high <= white):  # also true of NaN
        raise ValueError(f"grey values {low} to {high} lie outside 0 to {white}: convert to 8 bits")
    grey = np.rint(wide * (255.0 / white)).astype(np.uint8)
    if "transparency" in image.info:  # PNG: the one grey value that is transparent
        grey[wide == image.info["transparency"]] = 255
    return Image.fromarray(grey)


def check(image: np.ndarray) -> None:
    """Raises ValueError unless an image is uint8 (height, width, 1 or 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in _MODES:
        raise ValueError(
            f"an image is uint8 (height, width, 1 or 3), not {image.dtype} {image.shape}"
        )
