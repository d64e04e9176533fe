"""Image file I/O: images are uint8 (height, width, channels) in NumPy, whatever the file holds."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError
from common.images import metadata
from common.images.diagnosis import HEAD, Unsupported, diagnosis
from common.io.atomic import atomic_file

import imageio.v3 as imageio
import numpy as np
from PIL import Image

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

# The formats of SUFFIXES, and no others: Pillow would pass some (EPS) to external programs.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_ORIENTATION, _TIFF_PLANES = 258, 262, 274, 284
_UPRIGHT = {  # EXIF orientation -> transposition of the stored pixels
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(UserError):
    """An image that cannot be used: missing, not an image, damaged, too large, of a wrong size."""


def read(source: str | Path | bytes, channels: int = 3) -> np.ndarray:
    """Decodes an image, upright according to its EXIF orientation; the first frame of an animation.

    Transparent images are composited on white. CMYK is converted by formula; colour profiles are
    ignored, and so is all other metadata, even if it is damaged. 16-bit grey is scaled to 8 bits
    and rounded (Pillow itself drops the low byte of 16-bit RGB). 32-bit grey does not define which
    value is white: values up to 1 (floats), up to 255 or up to 65535 (integers) are taken for that
    range, and anything else is refused rather than guessed.

    Args:
        source: path of a file, or its content.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).

    Returns:
        uint8 (height, width, channels), which owns its memory.

    Raises:
        BadImage: the file is missing, not an image of a known format, truncated, damaged, too
            large (Pillow's limit against decompression bombs) or of a kind that Pillow misreads.
    """
    with _errors_in_one_line(source):
        image = _upright(source)
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        pixels = np.array(image.convert(_MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image in pixels as stored in its file, without decoding it.

    Raises:
        BadImage: as `read`, as far as the file's first bytes tell.
    """
    with _errors_in_one_line(path), Image.open(path, formats=_FORMATS) as image:
        return image.height, image.width


def read_layers(source: str | Path | bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes an image as `read` does, but with its own channels and with separate transparency.

    Returns:
        The image, uint8 (height, width, 1) if the file is grey (it has one colour channel, or all
        the colours that it uses from its palette are grey), else (height, width, 3); and its
        alpha, uint8 (height, width, 1), or None if it has none. Where alpha is 0 the colours are
        those stored in the file, if any.

    Raises:
        BadImage: as `read`.
    """
    with _errors_in_one_line(source):
        image = _upright(source)
        grey = image.mode in ("1", "L", "LA", "La")
        may_be_grey = image.mode == "P"
        alpha = None
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.array(image.getchannel("A"))[..., None]
        pixels = np.array(image.convert("RGB"))
    if grey or (may_be_grey and (pixels == pixels[..., :1]).all()):
        pixels = pixels[..., :1].copy()
    return pixels, alpha


@contextmanager
def _errors_in_one_line(source: str | Path | bytes) -> Iterator[None]:
    """Turns any error of reading an image into a BadImage that names the image."""
    name = f"an image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        yield
    # A damaged file can make one of Pillow's decoders raise nearly anything: OSError, SyntaxError,
    # struct.error, TypeError, KeyError, its own DecompressionBombError, a bare Exception, ...
    except Exception as error:
        raise BadImage(f"{name}: {diagnosis(_head(source), error)}") from error


def _head(source: str | Path | bytes) -> bytes:
    """The first bytes of an image; none if it cannot be opened."""
    if isinstance(source, bytes):
        return source[:HEAD]
    try:
        with open(source, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _upright(source: str | Path | bytes) -> Image.Image:
    """Decodes an image to 8 bits per channel, upright according to its EXIF orientation."""
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        pixels, exif = metadata.separate(file)
        with Image.open(pixels, formats=_FORMATS) as image:
            _refuse_misread(image)
            # Pillow 10 opens 16-bit PNG as 32-bit integers ("I")
            white = 65535 if image.format == "PNG" else None
            raw_mode = image.tile[0][3] if image.tile else None
            if image.format == "PNG":
                _scale_transparent_grey(image, raw_mode)
            if image.format == "TIFF":
                _ignore_tiff_metadata(image)
            image.load()
            stated = metadata.orientation(exif or image.info.get("exif", b""))
            upright = image.transpose(_UPRIGHT[stated]) if stated in _UPRIGHT else image.copy()
    if raw_mode == "LA;16B":  # Pillow opens 16-bit grey with alpha as RGBA
        return upright.convert("LA")
    return _to_eight_bits(upright, white) if upright.mode.startswith(("I", "F")) else upright


def _scale_transparent_grey(image: Image.Image, raw_mode: str | None):
    """Scales the transparent grey value of a PNG of 2 or 4 bits, as Pillow scales its pixels."""
    levels = {"L;2": 4, "L;4": 16}.get(raw_mode)
    if levels and image.info.get("transparency", levels) < levels:
        image.info["transparency"] *= 255 // (levels - 1)


def _ignore_tiff_metadata(image: Image.Image):
    """Limits the metadata that Pillow reads to turn a TIFF upright to its orientation."""
    exif = Image.Exif()
    exif[_TIFF_ORIENTATION] = image.tag_v2.get(_TIFF_ORIENTATION, 1)
    image.getexif = lambda: exif


def write(path: str | Path, image: np.ndarray) -> None:
    """Writes uint8 (height, width, 1 or 3) in the format that the suffix names.

    Missing folders are created. The file is written atomically: under a hidden name in the same
    folder, then renamed. Raises UserError for an unknown suffix or if it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: unknown image suffix; use one of {' '.join(SUFFIXES)}")
    content = encode(image, path.suffix.lower())
    with atomic_file(path) as part:
        part.write_bytes(content)


def encode(image: np.ndarray, suffix: str = ".png") -> bytes:
    """Encodes uint8 (height, width, 1 or 3) in the format that `suffix` names."""
    check(image)
    if image.shape[-1] == 1:
        image = image[..., 0]  # imageio takes grey as (height, width)
    # quality: for JPEG and WebP, whose default of 75 is visible; the other formats ignore it
    return imageio.imwrite("<bytes>", image, extension=suffix, plugin="pillow", quality=95)


def to_unit(image: np.ndarray) -> np.ndarray:
    """uint8 in 0..255 -> float32 in [-1, 1], any shape."""
    return image.astype(np.float32) / 127.5 - 1.0


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1], any shape -> uint8, rounded and clipped; the inverse of `to_unit`."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def mirrored(image: np.ndarray) -> np.ndarray:
    """Mirrors (H, W, C) left to right, into memory of its own."""
    # Copying image[:, ::-1] pixel by pixel takes six times as long.
    return np.stack([image[:, ::-1, c] for c in range(image.shape[-1])], axis=-1)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes uint8 (H, W, C) to (height, width, C): bicubic (a = -0.5), antialiased.

    Raises:
        UserError: that is larger than any image.
    """
    check(image)
    if height * width >= 2**31:
        raise UserError(f"{width}x{height} pixels are too many for an image; give a smaller size")
    channels = image.shape[-1]
    full_size = Image.fromarray(image if channels == 3 else image[..., 0])
    resized = np.array(full_size.resize((width, height), Image.Resampling.BICUBIC))
    return resized.reshape(height, width, channels)


def square(image: np.ndarray, side: int) -> np.ndarray:
    """Crops the central square and resizes it: uint8 (H, W, C) -> (side, side, C), a copy."""
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
    """Raises Unsupported for TIFFs of over 8 bits that Pillow (10.1 to 13.0) silently misreads."""
    tags = getattr(image, "tag_v2", {})
    if max(tags.get(_TIFF_BITS, (8,))) <= 8:
        return
    if tags.get(_TIFF_PLANES) == 2:
        raise Unsupported("a TIFF of more than 8 bits in separate colour planes is not supported")
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        raise Unsupported("a TIFF of more than 8 bits where 0 is white is not supported")


def _to_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    """Converts 16-bit, 32-bit integer or float grey to 8 bits; Pillow's `convert` clips at 255.

    Args:
        image: mode I, I;16 or F.
        white: value of white; None infers it from the mode and the largest value.

    Returns:
        Mode L, or LA if one grey value is transparent.
    """
    wide = np.asarray(image)
    low, high = wide.min(), wide.max()
    if white is None:
        deep, shallow = (255, 1) if image.mode == "F" else (65535, 255)
        white = shallow if image.mode in ("I", "F") and high <= shallow else deep
    if not (low >= 0 and high <= white):  # also true of NaN
        raise Unsupported(f"grey values {low} to {high} are outside 0 to {white}")
    grey = Image.fromarray(np.rint(wide * (255.0 / white)).astype(np.uint8))
    if "transparency" in image.info:  # PNG: the one grey value that is transparent
        grey.putalpha(Image.fromarray(np.uint8(255) * (wide != image.info["transparency"])))
    return grey


def check(image: np.ndarray) -> None:
    """Raises ValueError unless an image is uint8 (height, width, 1 or 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in _MODES:
        raise ValueError(
            f"an image is uint8 (height, width, 1 or 3), not {image.dtype} {image.shape}"
        )
