"""The notebook: what is stored is whole, and it runs from its first cell to its last."""

import json
import re

from common.zoo import ROOT
from notebooks.execute import execute

import nbformat
import pytest

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMALL = {"ZOO_IMAGE_SIZE": "32", "ZOO_WIDTH": "4", "ZOO_STEPS": "2"}


def outputs(notebook):
    """What is printed, and how many pictures there are."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in found if output.output_type == "error"]
    shown = [output for output in found if "image/png" in output.get("data", {})]
    return "".join(output.get("text", "") for output in found), len(shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_is_stored(path):
    assert path.stat().st_size < 1_000_000
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    said, pictures = outputs(stored)
    assert "exported to" in said and pictures >= 3
    assert not re.search(r"/(root|home|tmp|work|usr|opt)/", json.dumps(stored))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs(path, tmp_path):
    for name in ("pix2pix", "common"):  # as in a clone
        (tmp_path / name).symlink_to(ROOT / name)
    said, pictures = outputs(execute(path, tmp_path, **SMALL))
    assert "exported to" in said and "1 pictures translated" in said and pictures >= 3
    (run,) = (tmp_path / "runs" / "notebook").glob("2*")
    for made in ("samples/training.webp", "translated/index.html", "served/pix2pix/1"):
        assert (run / made).exists()
