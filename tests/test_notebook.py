"""The notebooks: stored outputs are complete, and cells are executed in order."""

import json
import re

from common.registry import ROOT
from notebooks.execute import execute

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def outputs(notebook):
    """The printed text, and the number of images."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in found if output.output_type == "error"]
    images = [output for output in found if "image/png" in output.get("data", {})]
    return "".join(output.get("text", "") for output in found), len(images)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_stored_outputs_are_complete(path):
    assert path.stat().st_size < 1_000_000
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    text, images = outputs(stored)
    assert "exported to" in text and images >= 3
    assert not re.search(r"/(root|home|tmp|work|usr|opt)/", json.dumps(stored))


def test_every_cell_is_executed_and_a_failure_stops_execution(tmp_path):
    """Of synthetic notebooks; CI executes the real ones after the tests."""

    def executed(*sources):
        notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, sources)])
        nbformat.write(notebook, tmp_path / "x.ipynb")
        return execute(tmp_path / "x.ipynb", tmp_path, SIZE="32")

    notebook = executed(
        "import os; print(os.environ['SIZE'], os.getcwd())",
        "print('I0000 00:00:1795 1 x.cc:1] hello'); print('10%\\r20%')",
    )
    (first,), (second,) = (cell.outputs for cell in notebook.cells)
    assert first.text == f"32 {tmp_path}\n" and second.text == "20%\n"
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        executed("1 / 0", "print()")


def test_ci_executes_every_notebook():
    (line,) = re.findall(r"^.*notebooks/execute\.py.*$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert "--check notebooks/*.ipynb" in line
    settings = set(re.findall(r"ZOO_\w+", line))
    for path in NOTEBOOKS:
        first = next(c for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        assert set(re.findall(r"ZOO_\w+", first.source)) == settings
