"""SavedModels for TensorFlow Serving: version folders, loading, image files as outputs."""

from collections.abc import Callable, Iterable
from pathlib import Path

from common import early_checks
from common.errors import UserError
from common.io.records import write_json

import tensorflow as tf

WRITE_ERRORS = (OSError, tf.errors.OpError)  # a SavedModel could not be written
CLASSIFY = "serving_classify"
EXTRA = "assets.extra"  # folder of a SavedModel for files that TensorFlow does not read


def contains(folder: Path | str) -> bool:
    """Whether there is a SavedModel in a folder; it does not need TensorFlow to tell."""
    return (Path(folder) / "saved_model.pb").is_file()


def version_folder(folder_base: Path | str, name: str, version: int) -> Path:
    """The path `<folder_base>/<name>/<version>`, where TensorFlow Serving looks for a model.

    Raises:
        UserError: the version is not a positive integer or already exists.
    """
    if type(version) is not int or version < 1:
        raise UserError(f"--version {version}: give a positive integer")
    folder = Path(folder_base) / name / str(version)
    if folder.exists():
        raise UserError(f"{folder} already exists: give another --version")
    return folder


def next_version(folder_base: Path | str, name: str) -> int:
    """One more than the highest version in `<folder_base>/<name>/`; 1 if there is none."""
    existing = (path.name for path in (Path(folder_base) / name).glob("*"))
    return 1 + max((int(version) for version in existing if version.isdigit()), default=0)


def load(folder: Path | str):
    """Loads a SavedModel. Keep the returned object alive: its signatures do not own the variables.

    Raises:
        UserError: the folder contains no SavedModel, or a damaged one.
    """
    if not contains(folder):
        raise UserError(f"{folder} contains no SavedModel: give the folder of an exported version")
    early_checks.exit_if_only_checking()
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, tf.errors.OpError) as error:
        reason = first_line(error)
        raise UserError(f"{folder} is a damaged SavedModel, export it again: {reason}") from error


def classifier_facts(signatures: Iterable[str], class_names: list[str]) -> dict[Path, dict]:
    """What names the columns of `serving_classify`, as the content of a JSON file by path.

    Args:
        signatures: names of a SavedModel's signatures; without `serving_classify` there is none.
        class_names: names of the classes.
    """
    if CLASSIFY not in signatures:
        return {}
    return {Path(EXTRA, "classifier.json"): {"class_names": class_names}}


def write_facts(folder: Path, facts: dict[Path, dict]):
    """Writes JSON files beside a SavedModel: their content by path in its folder."""
    for path, content in facts.items():
        write_json(folder / path, content)


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or the name of its type if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def encode_png(image: tf.Tensor) -> tf.Tensor:
    """Encodes float32 (H, W, 1 or 3) in [-1, 1] as a PNG file inside a graph."""
    pixels = tf.clip_by_value(tf.round((image + 1) * 127.5), 0, 255)
    return tf.io.encode_png(tf.cast(pixels, tf.uint8))


def of_each_file(convert: Callable[[tf.Tensor], tf.Tensor], files: tf.Tensor) -> tf.Tensor:
    """Converts files inside a graph, string (B,) -> string (B,), with a function of one file.

    One file at a time, since sizes differ; this also bounds the memory of a request.
    """
    converted = tf.TensorSpec((), tf.string)
    return tf.map_fn(convert, files, fn_output_signature=converted, parallel_iterations=1)
