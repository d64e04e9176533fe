"""Commands of the READMEs: all are parsed, those of the project's README run at a tiny size."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from common import cli, registry
from common.data.sources import paired
from common.errors import UserError
from common.evaluation import inception
from common.images import image_file
from common.reports import result_page
from common.tasks import base as task_module
from common.tasks import generation
from tests.helpers.image_files import noise, write_pairs
from tests.helpers.shown_commands import blocks, commands, parse, parser

import numpy as np
import pytest
import tensorflow as tf

README = (registry.ROOT / "README.md").read_text()
PAGES = sorted(
    path for path in registry.ROOT.glob("*/README.md") if path.parent.name in registry.NAMES
)
SHELL = "\n".join(blocks(README, "bash"))


@pytest.mark.parametrize("page", [registry.ROOT / "README.md", *PAGES], ids=lambda p: p.parent.name)
def test_the_commands_of_a_readme_are_known(page):
    found = commands("\n".join(blocks(page.read_text(), "bash")))
    assert len(found) > 4
    for command in found:
        script = command[0]
        if script == "-m":  # pytest
            assert (registry.ROOT / command[2]).is_file()
        elif script.startswith("benchmarks/"):
            file = registry.ROOT / script
            for option in re.findall(r"--(\w+)", " ".join(command)):
                assert re.search(rf"^    {option}:", file.read_text(), re.M), f"{script} --{option}"
        else:
            parse(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name)
def test_a_readme_cites_its_paper(page):
    text = page.read_text()
    assert re.search(r"^```bibtex\n@\w+\{\w+,$", text, re.M) and "arxiv.org/abs/" in text


def test_a_command_that_cannot_be_is_found():
    for line in ("--size 3", "predict RUN", "export RUN --version new", "strain"):
        with pytest.raises(UserError):
            parse(["pix2pix/pix2pix.py", *line.split()])


@pytest.mark.parametrize("name", registry.NAMES)
def test_help_ends_with_examples_that_are_known(name):
    for verb in cli.VERBS:
        help_text = parser(name, verb).format_help()
        _, found = help_text.split(f"\n{cli.EXAMPLES}\n")
        examples = commands(found)
        assert examples and len(examples) == len(found.strip().splitlines())
        for example in examples:
            parse(example)
            assert example[0] == f"{name}/{name}.py"
        if "RUN [INPUTS ...]" in " ".join(help_text.split()):
            of_inputs = help_text.split("  INPUTS ")[1].split("options:")[0]
            assert "(required)" not in of_inputs


# The commands of the project's README, run.


class ReferenceSet:
    """Stub for the real one, whose reference classifier would have to be trained."""

    def __init__(self, data, count, split="test"):
        pass

    def measure(self, shown, labels=None):
        return {"fid": float(shown.mean())}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory that has what the README's commands name, and small named sets."""
    place = tmp_path_factory.mktemp("new user")
    write_pairs(place / "MY_PAIRS" / "train", 6, side=40)
    for split in ("train", "val", "test"):
        write_pairs(place / "data" / "facades" / split, 4, side=40)
    for split in ("trainA", "trainB", "testA", "testB"):
        write_images(place / "data" / "horse2zebra" / split, 4)
    folders = "MY_IMAGES PHOTOS MORE_PHOTOS Set5 Set14 IMAGE_OR_FOLDER..."
    for folder in (*folders.split(), "MY_CLASS_FOLDERS/a", "MY_CLASS_FOLDERS/b"):
        write_images(place / folder, 6)
    for name in ("in.png", "ZEBRA.png"):
        image_file.write(place / name, noise(40, 50, 1))
    x = np.stack([noise(28, 28, number, 1)[..., 0] for number in range(40)])
    y = np.arange(40) % 10
    np.savez(place / "data" / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return place


def write_images(folder, count):
    for number in range(count):
        image_file.write(folder / f"{number}.png", noise(48, 44, [number, len(folder.name)]))


@pytest.fixture
def run(place, monkeypatch):
    """run(command) -> runs it in `place` at a tiny size; RUN is the model's first run."""

    def missing():
        raise UserError("the weights cannot be downloaded")

    def call(command):
        script, *rest = command
        name = script.split("/")[0]
        entry = registry.entry(name)
        if "RUN" in rest:
            made = sorted(place.glob(f"runs/{name}/*/config.json"), key=lambda p: p.stat().st_mtime)
            rest = [str(made[0].parent) if word == "RUN" else word for word in rest]
        if rest and rest[0] in cli.VERBS:
            rest += ["--count", "10"] if "--count" in rest else []
        elif "--resume" in rest:
            rest += ["--steps", "3"]
        else:
            small = registry.small_options(*entry)
            rest += f"{small} --steps 2 --jit off --data_dir data".split()
            rest += (
                ["--evaluate_every", "1", "--evaluate_count", "4"] if "--keep_best" in rest else []
            )
        cli.main(*entry, arguments=rest)

    monkeypatch.chdir(place)
    monkeypatch.setattr(generation.generated_images, "ReferenceSet", ReferenceSet)
    monkeypatch.setattr(inception, "keras_inception", missing)
    return call


@pytest.fixture
def eager():
    """Nothing is traced, which would take longer than the few steps here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


# Not here: benchmarks, what takes several processes (tests/distributed), and what needs further
# requirements (tests/serving/test_formats.py, tests/demo).
OF_MODELS = [
    command
    for command in commands(SHELL)
    if not command[0].startswith("benchmarks/")
    and not {"multi_worker", "onnx", "demo"} & {*command}
]


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run")
@pytest.mark.parametrize("name", sorted({command[0].split("/")[0] for command in OF_MODELS}))
def test_the_commands_run(name, run, eager, place, monkeypatch):
    monkeypatch.setattr(task_module.Task, "export_trained", lambda *_: "nowhere")
    shutil.rmtree(place / "DIR", ignore_errors=True)
    of_model = [c for c in OF_MODELS if c[0].startswith(name) and "runs/first" not in c]
    assert of_model
    for command in of_model:
        run(command)
        if "--output" in command and "export" not in command:
            assert (place / command[command.index("--output") + 1] / result_page.NAME).is_file()
        if "evaluate" in command:
            assert list(place.glob(f"runs/{name}/*/evaluation/index.html"))


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run")
def test_the_first_commands_and_what_is_served(run, eager, place, monkeypatch):
    """The first commands of all; then what the README does with the export."""
    monkeypatch.setattr(paired, "EMBEDDED_COUNTS", {"train": 6, "val": 2, "test": 2})
    for command in OF_MODELS:
        if "runs/first" in command:
            run(command)
    assert list(place.glob("runs/first/samples/*.png"))
    for named in ("runs/first/evaluation/index.html", "translated/index.html"):
        assert named in README and (place / named).is_file()
    for python in blocks(README, "python"):  # `load`, then the SavedModel alone
        (place / "out.png").unlink(missing_ok=True)
        exec(compile(python, "README.md", "exec"), {})
        assert image_file.read(place / "out.png").shape == (40, 50, 3)

    (serving,) = (block for block in blocks(README, "bash") if "docker" in block)
    answer = {"predictions": [{"b64": base64.b64encode(b"what the server made").decode()}]}
    (place / "answer.json").write_text(json.dumps(answer))
    stubs = """docker() { printf '%s\\n' "$@" > docker.txt; }
curl() { cat > request.json; cat answer.json; }
python3() { "$PYTHON" "$@"; }
"""
    script = ["bash", "-euo", "pipefail", "-c", stubs + serving]
    subprocess.run(script, check=True, env=os.environ | {"PYTHON": sys.executable})
    mount = re.search(r"source=([^,]+),target=/models/(\w+)", (place / "docker.txt").read_text())
    assert Path(mount[1], "1", "saved_model.pb").is_file() and mount[2] == "pix2pix"
    request = json.loads((place / "request.json").read_text())
    (instance,) = request["instances"]
    assert base64.b64decode(instance["b64"]) == (place / "in.png").read_bytes()
    assert request["signature_name"] == "serving_bytes"
    assert (place / "out.png").read_bytes() == b"what the server made"
