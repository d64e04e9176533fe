"""Arrays of images and labels from .npz files, validated and converted to one form."""

from pathlib import Path
from typing import NamedTuple

from common.errors import DAMAGE, UserError, one_line

import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
_CHUNK = 1024  # number of images converted at a time


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


def validated(given: dict[str, np.ndarray], origin: str) -> Arrays:
    """Validates arrays and converts them to one form.

    Images are (N, H, W) or (N, H, W, 1 or 3), of any real type. If the largest value is 1 or
    less, 1 is white; otherwise 255 is. Labels are whole numbers or strings of any values, (N,) or
    (N, 1), or one-hot rows (N, classes); they become 0, 1, ... in the order of their values.

    Args:
        given: arrays by the names of `KEYS`; x_train at least.
        origin: name of the arrays in errors.

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
    white = _white([x for x in (x_train, x_test) if x is not None], origin)
    x_train, x_test = (None if x is None else _to_uint8(x, white) for x in (x_train, x_test))
    if "y_train" not in given:
        return Arrays(x_train, None, x_test, None, [])
    values, y_train = np.unique(_flat(given, "y_train", len(x_train), origin), return_inverse=True)
    y_test = None
    if x_test is not None:
        y_test = _flat(given, "y_test", len(x_test), origin)
        unknown = y_test[~np.isin(y_test, values)]
        if unknown.size:
            raise UserError(f"{origin}: y_test has {unknown[0]}, which y_train lacks; fix one")
        y_test = np.searchsorted(values, y_test).astype(np.int32)
    return Arrays(x_train, y_train.astype(np.int32), x_test, y_test, [str(v) for v in values])


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


def _white(arrays: list[np.ndarray], origin: str) -> int:
    """The value of white."""
    if any(x.dtype.kind not in "buif" for x in arrays):
        raise UserError(f"{origin}: images of type {arrays[0].dtype}; give uint8 or floats")
    low, high = min(x.min() for x in arrays), max(x.max() for x in arrays)
    if not (low >= 0 and high <= 255):  # also true of NaN
        raise UserError(f"{origin}: values {low} to {high}; give images in 0 to 255, or 0 to 1")
    return 1 if high <= 1 else 255


def _to_uint8(x: np.ndarray, white: int) -> np.ndarray:
    if x.dtype == np.uint8 and white == 255:
        return x
    converted = np.empty(x.shape, np.uint8)
    for first in range(0, len(x), _CHUNK):
        part = np.s_[first : first + _CHUNK]
        converted[part] = np.rint(x[part] * (255 / white))
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
