"""Writes gallery.md, one row a model: its image, its command, what that gives and what it costs.

    python3 docs/gallery.py

The rows are those of the table of models in the project's README. The command is the first one with
a recipe in the results of the model's README, and the number and the cost are those of the recipe.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common import recipes  # noqa: E402

PAGE = ROOT / "docs" / "gallery.md"
HEADER = """\
# Gallery

<!-- Written by `python3 docs/gallery.py`: change the READMEs and recipes, then run it. -->

A row for each model: the command trains it, and the result is what `evaluate` prints after that.
A lower digit FID is better; [Results](results.md) says which ones can be compared. The README of a
model has all of its results, and what they fall short of.

| | model | command | result | cost |
| --- | --- | --- | --- | --- |
"""
NOT_YET = "not measured yet"
_MODEL = re.compile(r"^\| \[(?P<name>\w+)\]\(\w+/README\.md\) \| (?P<purpose>[^|\[]+) \|", re.M)
_IMAGE = re.compile(r"^!\[(?P<alt>[^\]]*)\]\((?P<file>[^)]+)\)$", re.M)
_COST = re.compile(r"^(?P<result>.*?)[,;] (?P<cost>[^,;]*\b(?:minutes|seconds|hours)\b[^,;]*)$")
_UNMEASURED = re.compile(r"^(?P<data>.*?)[,;] not measured(?: yet)?$")


class Row(NamedTuple):
    """A model in the gallery.

    Attributes:
        name: name of the model.
        purpose: what it does.
        image: Markdown of its image, or a remark that there is none.
        command: the command that trains it.
        result: what the recipe gives, and on which data.
        cost: time and machine; "" if unknown.
    """

    name: str
    purpose: str
    image: str
    command: str
    result: str
    cost: str

    def markdown(self) -> str:
        model = f"[{self.name}](../{self.name}/README.md): {self.purpose}"
        cells = self.image, model, f"`{self.command}`", self.result, self.cost
        return f"| {' | '.join(cells)} |"


def rows() -> list[Row]:
    """The models, in the order of the project's README."""
    readme = (ROOT / "README.md").read_text()
    return [row(**found.groupdict()) for found in _MODEL.finditer(readme)]


def row(name: str, purpose: str) -> Row:
    """The row of a model.

    Raises:
        ValueError: its README shows no command with a recipe.
    """
    page = (ROOT / name / "README.md").read_text()
    usage, _, results = page.partition("\n## Results\n")
    command = re.compile(rf"^python3 {name}/{name}\.py --config (\w+)[^#\n]*", re.M)
    shown = command.search(results) or command.search(usage)
    if shown is None:
        raise ValueError(f"{name}/README.md: no command with --config; add the one of its results")
    file = recipes.named(ROOT / name / f"{name}.py")[shown[1]]
    result, cost = parted(recipes.summary(file))
    without_run = re.sub(r" --run \S+", "", shown[0]).strip()
    return Row(name, purpose, image(name, page, shown[1]), without_run, result, cost)


def parted(summary: str) -> tuple[str, str]:
    """The result and the cost in the summary of a recipe."""
    summary = summary.removesuffix(".")
    if unmeasured := _UNMEASURED.match(summary):
        return f"{unmeasured['data']}: {NOT_YET}", ""
    found = _COST.match(summary)
    return (found["result"], found["cost"]) if found else (summary, "")


def image(name: str, page: str, recipe: str) -> str:
    """The image of a model's README that is called as the recipe, or else the first one."""
    images = [*_IMAGE.finditer(page)]
    if not images:
        return "no image yet"
    chosen = next((each for each in images if Path(each["file"]).stem == recipe), images[0])
    return f'<img src="../{name}/{chosen["file"]}" width="200" alt="{chosen["alt"]}">'


def text() -> str:
    """The page."""
    return HEADER + "".join(f"{each.markdown()}\n" for each in rows())


if __name__ == "__main__":
    PAGE.write_text(text())
