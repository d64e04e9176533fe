"""The order of classes, which gives them their labels."""

import re
from collections.abc import Iterable

from common.errors import UserError
from common.images.listing import natural_order


def ordered(names: Iterable[str], wanted: list[str] | None, origin: str) -> list[str]:
    """Returns the names of classes in the order of their labels.

    Args:
        names: names that the data have.
        wanted: the same names in the order to use, such as that of an earlier run; default by
            size if all are numbers, else in natural order (`a2` before `a10`).
        origin: name of the data in errors.

    Raises:
        UserError: `wanted` has other names.
    """
    names = sorted(names, key=natural_order)
    if wanted is not None:
        if sorted(wanted) != sorted(names):
            raise UserError(
                f"--dataset {origin}: has {_listed(names)}, not {_listed(wanted)} as in "
                "--class_names or the run"
            )
        return list(wanted)
    if all(re.fullmatch(r"-?\d+(\.\d+)?", name, re.ASCII) for name in names):
        return sorted(names, key=float)
    return names


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"the classes {shown}" if names else "no classes"
