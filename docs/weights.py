"""Writes the table in weights.md: the trained weights that come with the project.

    python3 docs/weights.py

A row is what a file says of itself, and its size and digest. The number is that of the run's
evaluation, or of the recipe where this is no digit FID.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import recipes  # noqa: E402
from common.io import weights_file  # noqa: E402
from common.io.download import sha256_of  # noqa: E402
from docs.gallery import parted  # noqa: E402

PAGE = ROOT / "docs" / "weights.md"
HEADER = """\
| weights | networks | measured | bytes | SHA-256 |
| --- | --- | --- | --- | --- |
"""
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of the table -->)", re.S)


def files() -> list[Path]:
    """The weights files of all models."""
    return sorted(ROOT.glob(f"*/weights/*{weights_file.SUFFIX}"))


def measured(file: Path) -> str:
    """The result of the run, with its number of samples and seed."""
    model, about = file.parent.parent, weights_file.read(file).about
    evaluation = about["measured"]
    row = evaluation.get("results", {}).get("rows", {}).get("model", {})
    if "fid" in row:
        result = f"digit FID {row['fid']:.2f}"
    else:
        result, _ = parted(recipes.summary(model / "recipes" / f"{file.stem}.yaml"))
    if "count" not in evaluation:
        return result
    return f"{result}; {evaluation['count']:,} samples, seed {evaluation['seed']}"


def row(file: Path) -> str:
    """The row of a file."""
    model = file.parent.parent.name
    networks = ", ".join(f"`{name}`" for name in weights_file.read(file).networks)
    cells = (
        f"[{model}](../{model}/README.md#results)`/{file.stem}`",
        *(networks, measured(file), f"{file.stat().st_size:,}", f"`{sha256_of(file)[:12]}`"),
    )
    return f"| {' | '.join(cells)} |\n"


def text() -> str:
    """The page, with the table as it is to be."""
    table = HEADER + "".join(map(row, files()))
    return _TABLE.sub(lambda _: table, PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(text())
