"""Help texts without importing TensorFlow: the same as with it."""

import subprocess
import sys

from common import cli, help_stubs, registry

import pytest


@pytest.mark.parametrize("name", registry.NAMES)
def test_help_is_the_same_with_and_without_stubs(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    verb = cli.VERBS[registry.NAMES.index(name) % len(cli.VERBS)]
    script = registry.ROOT / name / f"{name}.py"
    command = [sys.executable, "-X", "importtime", script, verb, "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    # TensorFlow itself imports hundreds of modules; a stub imports none.
    assert "tensorflow.python" not in process.stderr

    with pytest.raises(SystemExit):
        cli.main(*registry.entry(name), arguments=[verb, "--help"])
    assert process.stdout == capsys.readouterr().out


@pytest.mark.parametrize(
    "command, help_only",
    [
        (["/zoo/pix2pix/pix2pix.py", "--help"], True),
        (["dcgan/dcgan.py", "predict", "-h"], True),
        (["dcgan/dcgan.py", "predict", "RUN"], False),
        (["/usr/bin/pytest", "--help"], False),
        (["benchmarks/step.py", "--help"], False),
        (["-c"], False),
    ],
)
def test_only_a_models_script_with_a_help_option_gets_stubs(command, help_only):
    assert help_stubs.only_help_is_asked_for(command) == help_only


def test_a_stub_has_every_name_and_can_be_subclassed_and_decorate():
    finder = help_stubs.StubFinder()
    module = finder.create_module(finder.find_spec("keras"))

    class Model(module.models.Model):
        """Kept."""

    @module.saving.register(package="zoo")
    def function():
        return 1

    assert Model.__doc__ == "Kept."
    assert function() == 1
    assert finder.find_spec("numpy") is None
