"""CSV and JSON files of a run."""

import csv
import json
import math
from pathlib import Path

from common.errors import UserError
from common.io.atomic import atomic_file

import numpy as np


def write_rows(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]):
    """Writes a CSV file.

    Raises:
        UserError: it cannot be written.
    """
    # surrogateescape: the name of a file need not be valid text.
    options = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with atomic_file(path) as part, open(part, "w", **options) as file:
        csv.writer(file).writerows([header, *rows])


def append_row(path: Path, row: dict):
    """Appends a row to a CSV file; a new file starts with a header."""
    new = not (path.exists() and path.stat().st_size)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def drop_rows_after(path: Path, step: int):
    """Drops the rows of later steps than `step`, which the first column holds.

    A run that was killed may have got further than its last checkpoint.
    """
    if not path.exists():
        return
    header, *rows = _complete_lines(path) or [""]
    with atomic_file(path) as part:
        part.write_text(header + "".join(row for row in rows if int(row.split(",")[0]) <= step))


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Returns the columns of a CSV file by name, float64 (rows,) each; {} if there is no file."""
    rows = list(csv.DictReader(_complete_lines(path))) if path.exists() else []
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]} if rows else {}


def _complete_lines(path: Path) -> list[str]:
    """The lines of a file without the last one if a kill has truncated it."""
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def write_json(path: Path, content: dict | list):
    """Writes a JSON file atomically; NaN and infinities become null.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_file(path) as part:
        part.write_text(json.dumps(nan_to_none(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict:
    """Returns the content of a file by `write_json`; {} if there is no file.

    Raises:
        UserError: it cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it") from error


def nan_to_none(content):
    """Replaces NaN and infinities, for which JSON has no number, by None in nested containers."""
    if isinstance(content, dict):
        return {key: nan_to_none(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [nan_to_none(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
