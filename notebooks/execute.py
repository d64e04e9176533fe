"""Executes a notebook from its first cell to its last, and stores what its cells put out.

    python3 notebooks/execute.py notebooks/pix2pix.ipynb

With --check nothing is stored. The notebook's first cell reads its sizes from the environment
(ZOO_STEPS and so on); a cell that fails ends it.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
# TensorFlow greets on every start with lines that say nothing to a reader.
_GREETING = re.compile(r"^(WARNING: All log messages before absl|[IWE]\d{4} \d{2}:).*\n?", re.M)


def execute(notebook: Path, folder: Path = ROOT, timeout: int = 600, **environment: str):
    """The notebook with the output of its cells.

    Args:
        notebook: its file.
        folder: where it runs.
        timeout: seconds for a cell.
        environment: variables of the kernel's environment, beside those of this process.

    Raises:
        CellExecutionError: a cell has failed.
    """
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,  # of a progress bar only its end is left
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | environment)
    for cell in content.cells:
        cell.metadata.pop("execution", None)  # when it ran
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _GREETING.sub("", output["text"].replace("\r\n", "\n"))
        if "outputs" in cell:
            cell["outputs"] = [o for o in cell["outputs"] if o.get("text", "is there") != ""]
    return content


if __name__ == "__main__":
    check = sys.argv[1:2] == ["--check"]
    for name in sys.argv[1 + check :]:
        executed = execute(Path(name))
        if not check:
            nbformat.write(executed, name)
        print(f"{name}: {len(executed.cells)} cells, executed")
