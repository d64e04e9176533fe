"""The guide to adding a model: its example, as it stands there, is a model of the zoo."""

import importlib.util
import re
import sys

from common import cli
from common.images import image_file
from common.registry import ROOT, small_options
from common.tasks.generation import Generation
from common.training.run_folder import Run

import pytest

GUIDE = ROOT / "docs" / "adding_a_model.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The class in the guide's code, from a file at the place that the guide names."""
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    file = tmp_path_factory.mktemp("tree") / "geometric_gan" / "geometric_gan.py"
    file.parent.mkdir()
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("geometric_gan", file)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "geometric_gan", module)
        patch.setattr("sys.path", sys.path[:])
        spec.loader.exec_module(module)
        yield module.GeometricGAN


def test_the_example_trains_and_draws(example, tmp_path):
    run = tmp_path / "run"
    options = f"--dataset embedded {small_options(example, Generation)} --jit off --run {run}"
    cli.main(example, Generation, arguments=f"{options} --steps 2".split())
    assert Run(run).config()["model"] == "geometric_gan" and Run(run).step() == 2
    assert (run / "export" / "geometric_gan" / "1" / "saved_model.pb").is_file()
    line = f"predict {run} --output {tmp_path / 'o'} --count 2"
    cli.main(example, Generation, arguments=line.split())
    assert image_file.read(tmp_path / "o" / "0001.png").shape == (16, 16, 3)


def test_what_the_guide_names_is_there():
    text = GUIDE.read_text()
    named = set(
        re.findall(
            r"`((?:common|tests|benchmarks|wgan|aae|gan|began|cgan|acgan|dcgan|pix2pix|cyclegan|srgan)/[\w/]+\.py)`",
            text,
        )
    )
    assert len(named) > 8
    for path in named - {"tests/geometric_gan/test_geometric_gan.py"}:
        assert (ROOT / path).is_file(), path
    for task, path in re.findall(r"^\| `(\w+)` \| `([\w/.]+)`", text, re.M):
        assert f"class {task}(" in (ROOT / path).read_text()
