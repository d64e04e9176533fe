"""The notebooks: stored outputs are complete, and cells are executed in order."""

import json
import re
import shlex
import zipfile
from pathlib import Path
from types import SimpleNamespace

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
    settings, read = set(re.findall(r"ZOO_\w+", line)), set()
    for path in NOTEBOOKS:
        first = next(c for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        read |= set(re.findall(r"ZOO_\w+", first.source))
    assert read == settings


def run_cell(text: str, **names) -> dict:
    """Executes the cell of the pix2pix notebook with this text, and returns its names."""
    cells = nbformat.read(ROOT / "notebooks" / "pix2pix.ipynb", 4).cells
    (source,) = (c.source for c in cells if c.cell_type == "code" and text in c.source)
    names |= {"Path": Path, "shlex": shlex, "zipfile": zipfile, "quoted": "RUN"}
    exec(source, names)
    return names


def colab(*uploaded: str) -> SimpleNamespace:
    return SimpleNamespace(upload=lambda: dict.fromkeys(uploaded, b""))


@pytest.mark.parametrize("folder", ["", "my pairs/"])
def test_uploaded_pairs_become_the_dataset(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("my pairs.zip", "w") as archive:
        for name in ("A/1.png", "B/1.png"):
            archive.writestr(folder + name, "")
    kept = run_cell("archives =", files=colab("my pairs.zip"), DATASET="embedded")
    assert (Path(kept["DATASET"]) / "A" / "1.png").exists()


@pytest.mark.parametrize("files", [None, colab()], ids=["not in Colab", "cancelled"])
def test_without_an_upload_the_defaults_are_used(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_cell("archives =", files=files, DATASET="embedded")["DATASET"] == "embedded"
    commands, shown = [], []
    run_cell(
        "chosen =",
        files=files,
        run=commands.append,
        display=shown.append,
        Image=SimpleNamespace,
        image_file=SimpleNamespace(write=lambda *_: None, read=str, encode=str),
        IMAGE_SIZE=32,
        RUN="RUN",
    )
    assert "predict RUN runs/notebook/label_map.png" in commands[0] and len(shown) == 2


def test_a_run_that_exists_is_resumed(tmp_path):
    commands = []
    names = {"DATASET": "embedded", "IMAGE_SIZE": 64, "WIDTH": 8, "STEPS": 9}
    for _ in range(2):
        run_cell('"--resume"', run=commands.append, RUN=tmp_path, **names)
        (tmp_path / "config.json").touch()
    assert "--dataset embedded" in commands[0] and "--resume" not in commands[0]
    assert "--resume" in commands[1] and "--dataset" not in commands[1]


def test_a_failed_command_stops_the_notebook():
    shell = SimpleNamespace(system=lambda command: None, user_ns={"_exit_code": 3})
    here = SimpleNamespace(getcwd=str, environ={"PATH": ""}, pathsep=":", chdir=lambda _: None)
    found = {"os": here, "sys": SimpleNamespace(path=[], executable="python3")}
    names = run_cell("def run(command)", get_ipython=lambda: shell, REPOSITORY="", **found)
    with pytest.raises(RuntimeError, match="exit status 3: git clone"):
        names["run"]("git clone")
