"""What every SavedModel for TensorFlow Serving has, whatever its signatures: versions, warm-up."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError

import tensorflow as tf

EXTRA = "assets.extra"  # the folder of a SavedModel for what TensorFlow itself does not read


def version_folder(folder_base: Path | str, name: str, version: int) -> Path:
    """`<folder_base>/<name>/<version>`, where TensorFlow Serving looks for a model.

    Raises:
        UserError: the version is not a positive integer, or is there already.
    """
    if type(version) is not int or version < 1:
        raise UserError(f"--version {version}: give a positive integer")
    folder = Path(folder_base) / name / str(version)
    if folder.exists():
        raise UserError(f"{folder} exists already: give another --version")
    return folder


def next_version(folder_base: Path | str, name: str) -> int:
    """The version after the highest one in `<folder_base>/<name>/`; 1 if there is none."""
    there = (path.name for path in (Path(folder_base) / name).glob("*"))
    return 1 + max((int(version) for version in there if version.isdigit()), default=0)


@contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """Gives a path to write a SavedModel to, which is renamed to `folder` in the end.

    So a server that watches the folder above never loads half of a model, and nothing is left
    where writing fails.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, hence on the same disk; the server passes over names that are
        # not integers. A level deeper, because only its owner may read a TemporaryDirectory.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            whole = Path(scratch) / "model"
            yield whole
            whole.rename(folder)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{folder} cannot be written: {first_line(error)}") from error


def load(folder: Path | str):
    """What `tf.saved_model.load` gives; it owns the variables, its signatures alone do not.

    Raises:
        UserError: the folder holds no SavedModel, or a damaged one.
    """
    if not tf.saved_model.contains_saved_model(str(folder)):
        raise UserError(f"{folder} holds no SavedModel: give the folder of an exported version")
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, tf.errors.OpError) as error:
        reason = first_line(error)
        raise UserError(f"{folder} is a damaged SavedModel, export it again: {reason}") from error


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its type's name if there is no message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Turn a file's bytes into uint8 (H, W, 3), inside a graph.

    Alpha is dropped, grey becomes colour, an animation gives its first frame. The orientation in
    EXIF data is not looked at.
    """
    # Asked for a number of channels, the decoders of BMP and GIF refuse what has another.
    pixels = tf.io.decode_image(encoded, channels=0, expand_animations=False)
    colours = tf.where(tf.shape(pixels)[-1] >= 3, [0, 1, 2], [0, 0, 0])
    return tf.ensure_shape(tf.gather(pixels, colours, axis=-1), (None, None, 3))


def encode_png(image: tf.Tensor) -> tf.Tensor:
    """Turn float32 (H, W, 1 or 3) in [-1, 1] into the bytes of a PNG file, inside a graph."""
    pixels = tf.clip_by_value(tf.round((image + 1) * 127.5), 0, 255)
    return tf.io.encode_png(tf.cast(pixels, tf.uint8))
