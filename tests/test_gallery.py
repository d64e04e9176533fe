"""The gallery: it is what its script writes, and its numbers are those of the models' READMEs."""

import re

from common import registry
from docs import gallery
from tests.helpers.shown_commands import parse

import pytest

ROWS = {row.name: row for row in gallery.rows()}
NUMBER = re.compile(r"\d+\.\d+")


def test_the_page_is_what_the_script_writes():
    assert gallery.PAGE.read_text() == gallery.text(), "run python3 docs/gallery.py"
    assert gallery.text().count("\n| ") == len(ROWS) + 2  # the header has two lines


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_model_has_a_row_that_agrees_with_its_readme(name):
    row = ROWS[name]
    parse(row.command.split()[1:])
    for file in re.findall(r'src="\.\./([^"]+)"', row.image):
        assert (registry.ROOT / file).is_file()
    assert bool(row.cost) != (gallery.NOT_YET in row.result)
    known = NUMBER.findall((registry.ROOT / name / "README.md").read_text())
    for number in NUMBER.findall(row.result):
        digits = len(number.partition(".")[2])
        assert any(f"{float(each):.{digits}f}" == number for each in known), number


@pytest.mark.parametrize(
    ("summary", "parts"),
    [
        ("MNIST: FID 3, bad; 16 minutes on a GPU.", ("MNIST: FID 3, bad", "16 minutes on a GPU")),
        (
            "Faces: L1 0.2, 5 seconds on two idle cores.",
            ("Faces: L1 0.2", "5 seconds on two idle cores"),
        ),
        ("MNIST: digit FID 43.66.", ("MNIST: digit FID 43.66", "")),
        ("MNIST, width 8; not measured yet.", ("MNIST, width 8: not measured yet", "")),
    ],
)
def test_a_summary_has_a_result_and_a_cost(summary, parts):
    assert gallery.parted(summary) == parts
