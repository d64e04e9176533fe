"""Help without TensorFlow: the same text, and TensorFlow is not imported for it."""

import subprocess
import sys

from common import cli, help_stubs, registry

import pytest


@pytest.mark.parametrize("name", registry.NAMES)
def test_help_is_that_of_the_real_libraries(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    verb = cli.VERBS[registry.NAMES.index(name) % len(cli.VERBS)]
    script = registry.ROOT / name / f"{name}.py"
    command = [sys.executable, "-X", "importtime", script, verb, "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    # TensorFlow's own modules are imported by the hundred; a stand-in has none.
    assert "tensorflow.python" not in process.stderr

    with pytest.raises(SystemExit):
        cli.main(*registry.classes(name), [verb, "--help"])
    assert process.stdout == capsys.readouterr().out


@pytest.mark.parametrize(
    "command, alone",
    [
        (["/zoo/pix2pix/pix2pix.py", "--help"], True),
        (["dcgan/dcgan.py", "predict", "-h"], True),
        (["dcgan/dcgan.py", "predict", "RUN"], False),
        (["/usr/bin/pytest", "--help"], False),
        (["benchmarks/step.py", "--help"], False),
        (["-c"], False),
    ],
)
def test_only_a_models_script_that_is_asked_for_help_gets_stand_ins(command, alone):
    assert help_stubs.asked_for_help(command) == alone


def test_a_stand_in_has_every_name_subclasses_and_decorates():
    keras = help_stubs.Standins().find_spec("keras")
    module = help_stubs.Standins().create_module(keras)

    class Model(module.models.Model):
        """Kept."""

    @module.saving.register(package="zoo")
    def function():
        return 1

    assert Model.__doc__ == "Kept."
    assert function() == 1
    assert help_stubs.Standins().find_spec("numpy") is None
