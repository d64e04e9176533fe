"""Arrays of images and labels from .npz files, validated and converted to one form."""

from pathlib import Path
from typing import NamedTuple

from common.data.sources.classes import ordered
from common.errors import DAMAGE, UserError, one_line

import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
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
    """Reads the arrays of `KEYS` that a file holds. Raises UserError if it cannot be read."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it holds a single unnamed array")
        with loaded as archive:
            return {key: archive[key] for key in KEYS if key in archive}
    except DAMAGE as error:
        raise UserError(
            f"{path}: not a readable .npz file ({one_line(error)}); replace it"
        ) from error


def validated(
    given: dict[str, np.ndarray], origin: str, class_names: list[str] | None = None
) -> Arrays:
    """Validates arrays and converts them to one form.

    Images are (N, H, W) or (N, H, W, 1 or 3), of any real type, in 0 to 255 or 0 to 1. Floats in
    [-0.05, 1.05] are taken for 0 to 1 and clipped, integers up to 1 are black and white. So images
    in 0 to 255 that have no value above 1 are misread: they cannot be told from these. Each array
    is judged by its own values, and both must have one range. Labels are whole numbers or strings
    of any values, (N,) or (N, 1), or one-hot rows (N, classes); they become 0, 1, ... in the order
    of `classes.ordered`.

    Args:
        given: arrays by the names of `KEYS`; x_train at least.
        origin: name of the arrays in errors.
        class_names: values of the labels in the order to use; default their own.

    Raises:
        UserError: they are not of this form.
    """
    if "x_train" not in given:
        raise UserError(f"{origin}: holds no array x_train; name its arrays {', '.join(KEYS)}")
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
    values, y_train = np.unique(_flat(given, "y_train", len(x_train), origin), return_inverse=True)
    names = ordered([str(value) for value in values], class_names, origin)
    label = np.array([names.index(str(value)) for value in values], np.int32)
    y_test = None
    if x_test is not None:
        y_test = _flat(given, "y_test", len(x_test), origin)
        unknown = y_test[~np.isin(y_test, values)]
        if unknown.size:
            raise UserError(f"{origin}: y_test has {unknown[0]}, which y_train lacks; fix one")
        y_test = label[np.searchsorted(values, y_test)]
    return Arrays(x_train, label[y_train], x_test, y_test, names)


def _shaped(x: np.ndarray | None, origin: str) -> np.ndarray | None:
    """Images as (N, H, W, 1 or 3)."""
    if x is None:
        return None
    shaped = x[..., None] if x.ndim == 3 else x
    if shaped.ndim != 4 or shaped.shape[3] not in (1, 3) or not shaped.size:
        raise UserError(
            f"{origin}: images {x.shape}; give (N, H, W), (N, H, W, 1) or (N, H, W, 3), N > 0"
        )
    return shaped


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
    to_one = low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT  # also false of NaN
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


def _flat(given: dict[str, np.ndarray], key: str, count: int, origin: str) -> np.ndarray:
    """Labels (N,) with their original values; for one-hot rows, the indices of the columns."""
    y = given[key]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and y.dtype.kind in "buif" and _one_hot(y):
        y = y.argmax(1)
    if y.dtype.kind == "f" and (y == np.rint(y)).all():
        y = y.astype(np.int64)
    if y.shape != (count,) or y.dtype.kind not in "buiU":
        raise UserError(
            f"{origin}: {key} is {given[key].dtype} {given[key].shape}; "
            f"give a whole number for each of the {count} images"
        )
    return y


def _one_hot(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (np.count_nonzero(y, axis=1) == 1).all())
