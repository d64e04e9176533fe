"""Arrays of images and labels from .npz files, validated and converted to one form."""

from pathlib import Path
from typing import NamedTuple

from common.data.sources import class_labels
from common.data.sources.classes import ordered
from common.errors import DAMAGE, UserError, one_line

import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
_HOW_TO_SAVE = f"save one with np.savez(FILE, x_train=..., y_train=...), arrays {', '.join(KEYS)}"
_CHUNK = 1024  # number of images converted at a time
_OVERSHOOT = 0.05  # how far interpolation takes values of [0, 1] outside
_DARK = 32  # of 255; floats below were more likely scaled to another range, such as 0 to 2 or 16


class Arrays(NamedTuple):
    """Validated arrays: images uint8 (N, H, W, 1 or 3), labels int32 (N,) or None.

    Attributes:
        class_names: original values of the labels, in order; [] without labels.
    """

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_test: np.ndarray | None
    y_test: np.ndarray | None
    class_names: list[str]


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of `KEYS` that a file holds.

    Raises:
        UserError: it cannot be read, holds none of them, or one of Python objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise UserError(f"{path}: a single array; {_HOW_TO_SAVE}")
        with loaded as archive:
            if "x_train" not in archive:
                held = ", ".join(archive.files[:10]) or "none"
                raise UserError(f"{path}: holds no array x_train but {held}; {_HOW_TO_SAVE}")
            return {key: _read_array(archive, key, path) for key in KEYS if key in archive}
    except DAMAGE as error:
        if path.is_file() and path.open("rb").read(2) != b"PK":
            raise UserError(
                f"{path}: not an .npz file, an archive of NumPy arrays; {_HOW_TO_SAVE}"
            ) from error
        raise UserError(
            f"{path}: not a readable .npz file ({one_line(error)}); replace it"
        ) from error


def _read_array(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    """An array of an .npz file. Raises UserError if it holds Python objects."""
    try:
        return archive[key]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        convert = "astype(str)" if key.startswith("y") else "astype('uint8')"
        raise UserError(
            f"{path}: {key} is an array of Python objects, which are not read, because they may "
            f"run code; save it as {key}={key}.{convert}, or with np.stack if it is a list of rows"
        ) from error


def validated(
    given: dict[str, np.ndarray], origin: str, class_names: list[str] | None = None
) -> Arrays:
    """Validates arrays and converts them to one form.

    Images are (N, H, W) or (N, H, W, 1 or 3), of any real type, in 0 to 255 or 0 to 1. Floats in
    [-0.05, 1.05] are taken for 0 to 1 and clipped, integers up to 1 are black and white. So images
    in 0 to 255 that have no value above 1 are misread: they cannot be told from these. Each array
    is judged by its own values, and both must have one range. Labels are whole numbers (also as
    floats), booleans, strings or bytes in UTF-8 of any values, (N,), (N, 1) or (1, N), or one-hot
    rows (N, classes); they become 0, 1, ... in the order of `classes.ordered`.

    Args:
        given: arrays by the names of `KEYS`; x_train at least.
        origin: name of the arrays in errors.
        class_names: values of the labels in the order to use; default their own.

    Raises:
        UserError: they are not of this form.
    """
    for split in ("train", "test"):
        if f"y_{split}" in given and f"x_{split}" not in given:
            raise UserError(f"{origin}: y_{split} without x_{split}; add it or leave both out")
    if "x_test" in given and ("y_train" in given) != ("y_test" in given):
        raise UserError(f"{origin}: has only one of y_train and y_test; add the other")
    x_train, x_test = (_shaped(given.get(f"x_{split}"), origin) for split in ("train", "test"))
    if x_test is not None and x_test.shape[3] != x_train.shape[3]:
        raise UserError(f"{origin}: x_train and x_test differ in channels; make them equal")
    images = {"x_train": x_train} | ({} if x_test is None else {"x_test": x_test})
    white = _white(images, origin)
    x_train, x_test = (None if x is None else _to_uint8(x, white) for x in (x_train, x_test))
    if "y_train" not in given:
        return Arrays(x_train, None, x_test, None, [])
    known, y_train = class_labels.named(given["y_train"], len(x_train), f"{origin}: y_train")
    names = ordered(known, class_names, origin)
    numbers = {name: number for number, name in enumerate(names)}
    y_train = np.array([numbers[name] for name in known], np.int32)[y_train]
    y_test = None
    if x_test is not None:
        tested, y_test = class_labels.named(given["y_test"], len(x_test), f"{origin}: y_test")
        for name in tested:
            if name not in numbers:
                raise UserError(f"{origin}: y_test has {name}, which y_train lacks; fix one")
        y_test = np.array([numbers[name] for name in tested], np.int32)[y_test]
    return Arrays(x_train, y_train, x_test, y_test, names)


def _shaped(x: np.ndarray | None, origin: str) -> np.ndarray | None:
    """Images as (N, H, W, 1 or 3)."""
    if x is None:
        return None
    shaped = x[..., None] if x.ndim == 3 else x
    if shaped.ndim != 4 or shaped.shape[3] not in (1, 3) or not shaped.size:
        raise UserError(
            f"{origin}: images {x.shape}; give (N, H, W), (N, H, W, 1) or (N, H, W, 3), N > 0"
            + _way_to_shape(x.shape)
        )
    return shaped


def _way_to_shape(shape: tuple[int, ...]) -> str:
    """How to get images of a valid shape from those of another one that is usual."""
    if len(shape) == 4 and shape[1] in (1, 3):
        return ", as with x.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[3] == 4:
        return ", as with x[..., :3], which drops transparency"
    if len(shape) == 2 and shape[1] in (side := [n * n for n in range(2, 1025)]):
        return f", as with x.reshape(-1, {2 + side.index(shape[1])}, {2 + side.index(shape[1])})"
    return ""


def _white(images: dict[str, np.ndarray], origin: str) -> int:
    """The value of white in all of the arrays, 1 or 255. Raises UserError if they differ."""
    ranges = {name: _range(x, name, origin) for name, x in images.items()}
    whites = {name: 1 if high <= 1 + _OVERSHOOT else 255 for name, (_, high) in ranges.items()}
    unclear = [name for name, (_, high) in ranges.items() if high <= 0]  # black in any range
    if len({white for name, white in whites.items() if name not in unclear}) > 1:
        listed = " and ".join(f"{name} has {low} to {high}" for name, (low, high) in ranges.items())
        raise UserError(f"{origin}: {listed}; give both in 0 to 255, or both in 0 to 1")
    return max(whites.values())


def _range(x: np.ndarray, name: str, origin: str) -> tuple[float, float]:
    """Smallest and largest value of images. Raises UserError if they fit neither range."""
    if x.dtype.kind not in "buif":
        raise UserError(f"{origin}: {name}: images of type {x.dtype}; give uint8 or floats")
    low, high = x.min(), x.max()
    if np.isnan(low):
        raise UserError(
            f"{origin}: {name}: holds NaN; replace them by numbers, or remove the images"
        )
    to_one = low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT
    to_255 = low >= 0 and (_DARK if x.dtype.kind == "f" else 0) <= high <= 255
    if not (to_one or to_255):
        raise UserError(
            f"{origin}: {name}: values {low} to {high}; give images in 0 to 255, or 0 to 1"
            + (" (or as uint8, if they are that dark)" if 1 < high < _DARK and low >= 0 else "")
        )
    return low, high


def _to_uint8(x: np.ndarray, white: int) -> np.ndarray:
    if x.dtype == np.uint8 and white == 255:
        return x
    converted = np.empty(x.shape, np.uint8)
    for first in range(0, len(x), _CHUNK):
        part = np.s_[first : first + _CHUNK]
        converted[part] = np.clip(np.rint(x[part] * (255 / white)), 0, 255)
    return converted
