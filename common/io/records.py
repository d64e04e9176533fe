"""The images that a command is given, and the files that it writes."""

import csv
import math
from pathlib import Path

from common.io.atomic import atomic_file

import numpy as np


def write_rows(path: Path, head: tuple[str, ...], rows: list[tuple[str, ...]]):
    """Writes a CSV file.

    Raises:
        UserError: it cannot be written.
    """
    # surrogateescape: the name of a file need not be valid text.
    options = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with atomic_file(path) as part, open(part, "w", **options) as file:
        csv.writer(file).writerows([head, *rows])


def keep_rows(path: Path, step: int):
    """Drops the rows after `step`: a run that was killed had gone beyond its checkpoint."""
    if not path.exists():
        return
    head, *rows = _whole_lines(path) or [""]
    with atomic_file(path) as part:
        part.write_text(head + "".join(row for row in rows if int(row.split(",")[0]) <= step))


def _whole_lines(path: Path) -> list[str]:
    """Without the last one, if a kill has torn it."""
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def append_row(path: Path, row: dict):
    """Adds a row to a CSV file, which it begins with a head."""
    new = not (path.exists() and path.stat().st_size)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of such a file, by name: float64 (rows,) each; none if it is not there."""
    rows = list(csv.DictReader(_whole_lines(path))) if path.exists() else []
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]} if rows else {}


def finite(content):
    """The same with None for what JSON has no number for: NaN and the infinities."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
