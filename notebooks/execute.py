"""Executes notebooks and stores the outputs of their cells.

    python3 notebooks/execute.py notebooks/pix2pix.ipynb

With --check nothing is stored. The first cell of a notebook reads its sizes from the environment
(ZOO_STEPS and so on). Execution stops at the first cell that fails.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
# Log lines of TensorFlow at startup, which are of no use to a reader.
_STARTUP_LOG = re.compile(r"^(WARNING: All log messages before absl|[IWE]\d{4} \d{2}:).*\n?", re.M)


def execute(notebook: Path, folder: Path = ROOT, timeout: int = 600, **environment: str):
    """Returns a notebook with the outputs of its cells.

    Args:
        notebook: file of the notebook.
        folder: working directory of the kernel.
        timeout: maximum seconds per cell.
        environment: environment variables of the kernel, in addition to those of this process.

    Raises:
        CellExecutionError: a cell failed.
    """
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,  # keeps the last state of a progress bar only
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | environment)
    for cell in content.cells:
        cell.metadata.pop("execution", None)  # timestamps
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _STARTUP_LOG.sub("", output["text"].replace("\r\n", "\n"))
        if "outputs" in cell:
            cell["outputs"] = [o for o in cell["outputs"] if o.get("text", "no text") != ""]
    return content


if __name__ == "__main__":
    check = sys.argv[1:2] == ["--check"]
    for name in sys.argv[1 + check :]:
        executed = execute(Path(name))
        if not check:
            nbformat.write(executed, name)
        print(f"{name}: {len(executed.cells)} cells, executed")
