"""Labels in arrays, of whatever kind they are saved: as names of classes."""

from common.errors import UserError

import numpy as np


def named(y: np.ndarray, count: int, origin: str) -> tuple[list[str], np.ndarray]:
    """The names of the classes in an array of labels, and each label as an index of them.

    Args:
        y: whole numbers (also as floats), booleans, strings, or bytes in UTF-8, (N,), (N, 1) or
            (1, N); or one-hot rows (N, classes), whose names are the numbers of the columns.
        count: number of images, N.
        origin: name of the array in errors.

    Returns:
        Names, and indices int (N,).

    Raises:
        UserError: the array is none of these.
    """
    flat = _flat(y, count, origin)
    if flat.dtype.kind == "f":
        invalid = ~np.isfinite(flat) | (flat != np.rint(flat))
        if invalid.any():
            raise UserError(
                f"{origin}: holds {flat[invalid][0]}; give a whole number or a name for the class "
                "of each image"
            )
    elif flat.dtype.kind not in "buiUS":
        raise UserError(
            f"{origin}: of type {y.dtype}, which names no classes; give whole numbers or strings, "
            "as with astype(str)"
        )
    values, indices = np.unique(flat, return_inverse=True)
    try:
        return [_name(value) for value in values.tolist()], indices
    except UnicodeDecodeError as error:
        raise UserError(f"{origin}: bytes that are not UTF-8; give strings") from error


def _flat(y: np.ndarray, count: int, origin: str) -> np.ndarray:
    """Labels (N,); for one-hot rows, the indices of the columns."""
    if y.size == count and max(y.shape, default=1) == count:
        return y.reshape(count)
    if y.ndim == 2 and len(y) == count and y.dtype.kind in "buif":
        wrong = ((y != 0) & (y != 1)).any(axis=1) | (np.count_nonzero(y, axis=1) != 1)
        if not wrong.any():
            return y.argmax(axis=1)
        raise UserError(
            f"{origin}: row {np.flatnonzero(wrong)[0]} of {y.shape} is not one-hot (a single 1, "
            "else 0); give one class for each image, as with argmax(axis=1)"
        )
    raise UserError(
        f"{origin}: shape {y.shape} for {count} images; give one label for each, or one-hot rows"
    )


def _name(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value) if isinstance(value, float) else value)
