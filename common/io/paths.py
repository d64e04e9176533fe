"""Paths as a user writes them."""

import os
import re
from pathlib import Path


def expanded(value):
    """The value of an option, with the home folder for ~ where a path begins with it.

    Args:
        value: a text, which may be a list of paths separated by commas, or a list of texts; any
            other value stays as it is.
    """
    if isinstance(value, list):
        return [expanded(each) for each in value]
    if not isinstance(value, str) or "~" not in value:
        return value
    return ",".join(os.path.expanduser(part) for part in re.split(r",\s*(?=~)", value))


def full_path(path: str) -> str:
    """A path that means the same in another working directory, where a run may be resumed."""
    return str(Path(path).expanduser().resolve())
