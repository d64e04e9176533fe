"""Recipes: --config by name, from a YAML file and from a run's config.json."""

import json
from pathlib import Path

from common import cli, recipes, registry
from common.signatures import parameters
from common.tasks.domain_adaptation import DomainAdaptation
from common.tasks.generation import Generation
from common.tasks.inpainting import InPainting
from common.tasks.text_to_image import TextToImage
from dcgan.dcgan import DCGAN
from tests.helpers.shown_commands import parse

import pytest

RECIPES = [
    (name, file)
    for name in registry.NAMES
    for file in recipes.named(registry.file_of(name)).values()
]
DCGAN_FILE = registry.file_of("dcgan")


def options_of(line, model="dcgan"):
    return parse([f"{model}/{model}.py", *line.split()])


@pytest.fixture
def train(run_cli):
    """Calls the command line of dcgan."""
    _model, task, *_capabilities = registry.entry("dcgan")
    return lambda line: run_cli(line, DCGAN, task)


def assert_refused(result, *said):
    assert result.status == 2 and result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    for part in said:
        assert str(part) in line


def test_a_recipe_by_name_gives_way_to_the_command_line():
    options = options_of("--config mnist --steps 5 --width 4")
    given = {"dataset": "mnist", "steps": 5, "width": 4, "dense_units": 512, "ema": 0.999}
    assert {name: options[name] for name in given} == given
    assert options_of("--steps 5 --width 4 --config mnist") == options
    assert "config" not in options


@pytest.mark.parametrize(
    "text, found",
    [
        ("steps: 7\nl2: 1e-5", {"steps": 7, "l2": 1e-5}),
        ("# only a comment\njit: off\nouter_bias: no", {"jit": "off", "outer_bias": False}),
        ("dataset: 2020\ndense_units: null", {"dataset": "2020", "dense_units": None}),
        ("dataset: a/b\ndata_dir: ~/c d", {"dataset": "a/b", "data_dir": str(Path.home() / "c d")}),
        ('{"steps": 3, "ema": 0.5}', {"steps": 3, "ema": 0.5}),
    ],
)
def test_a_yaml_file_reads_as_a_command_line_does(tmp_path, text, found):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    options = options_of(f"--config {file}")
    assert {name: options[name] for name in found} == found


def test_the_config_of_a_run_gives_its_options(tmp_path):
    stored = options_of("--config mnist --l2 1e-5 --run first --seed 3")
    decided = {"classes": 10, "class_names": ["0", "1"]}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model": "dcgan", "options": stored | decided}))
    stored |= {"class_names": ["0", "1"]}
    assert options_of(f"--config {file}") == stored | {"run": None}
    assert options_of(f"--config {file} --run second --seed 4") == stored | {
        "run": "second",
        "seed": 4,
    }


@pytest.mark.parametrize(
    "text, said",
    [
        ("widht: 3", "widht"),
        ("width: many", "width"),
        ("width: 2.5", "width"),
        ("jit: maybe", "jit"),
        ("steps: [1, 2]", "steps"),
        ("a: {b: 3}", "a"),
        ("run: here", "--run"),
        ("resume: true", "--resume"),
        ("config: mnist", "--config"),
        ("just text", "option: value"),
        ("", "option: value"),
        ("a: b: c", "not a YAML file"),
        ('{"model": "wgan", "options": {}}', "wgan"),
        ('{"model": "dcgan", "options": {"widht": 3}}', "widht"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(train, tmp_path, text, said):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    assert_refused(train(f"--config {file}"), file, said)


def test_a_file_that_is_no_text_is_named(train, tmp_path):
    file = tmp_path / "my.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert_refused(train(f"--config {file}"), file, "cannot be read")


def test_an_unknown_recipe_is_refused_with_a_list(train, tmp_path):
    for config in ("mnits", f"{tmp_path}/none.yaml", str(tmp_path)):
        assert_refused(train(f"--config {config}"), config, ", ".join(recipes.named(DCGAN_FILE)))


def test_the_help_of_train_lists_the_recipes():
    task = registry.task_of("dcgan")
    text = cli.train_parser(DCGAN, task, "python3 dcgan/dcgan.py").format_help()
    listed = text.split("\nrecipes:\n")[1].split("\n\nexamples:\n")[0].splitlines()
    expected = recipes.named(DCGAN_FILE).items()
    assert [line.split(maxsplit=1) for line in listed] == [
        [name, recipes.summary(file)] for name, file in expected
    ]


@pytest.mark.parametrize("name, file", RECIPES, ids=lambda value: getattr(value, "stem", value))
def test_a_recipe_can_be_used_and_says_what_it_gives(name, file):
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# ") and recipes.summary(file).endswith(".")
    assert options_of(f"--config {file.stem}", name)["dataset"] or file.stem == "paper"
    comment = [line for line in lines if line.startswith("#")]
    assert lines[: len(comment)] == comment  # it stands on top
    assert all(len(line) <= 100 for line in lines)


PLAIN = [name for name, file in RECIPES if file.stem == recipes.PLAIN]


def test_all_models_of_digits_have_a_plain_recipe():
    digits = (Generation, InPainting, DomainAdaptation, TextToImage)
    tasks = {name: registry.task_of(name) for name in registry.NAMES}
    assert {name for name, task in tasks.items() if isinstance(task, digits)} == {*PLAIN}


@pytest.mark.parametrize("name", PLAIN)
def test_the_plain_command_is_the_measured_run(name, capsys):
    measured = options_of("--config mnist", name)
    assert capsys.readouterr().out == ""
    # Without a name for the dataset, generated digits may take its place.
    assert options_of("", name) == measured | {"dataset": None}
    assert capsys.readouterr().out.startswith("recipe mnist: ")
    assert options_of(f"--dataset {measured['dataset']}", name) == measured
    assert options_of("--seed 5 --steps 3", name) == measured | {
        "dataset": None,
        "seed": 5,
        "steps": 3,
    }


@pytest.mark.parametrize("name", PLAIN)
def test_other_data_are_trained_on_with_the_models_defaults(name, capsys):
    model = registry.entry(name)[0]
    options = options_of("--dataset MY_IMAGES", name)
    assert capsys.readouterr().out == ""
    assert options | model.defaults == options
    ends = [options["steps"]] if options["steps"] else model().ends  # of a model's own stages
    assert ends[-1] <= 30000
    constructor = {k: p.default for k, p in parameters(model).items() if k in options}
    assert {k: options[k] for k in constructor if k not in ("image_size", "channels")} == {
        k: v for k, v in constructor.items() if k not in ("image_size", "channels")
    }


@pytest.mark.parametrize(
    "line, epochs, steps",
    [
        ("", None, 9000),
        ("--steps 3", None, 3),
        ("--epochs 3", 3, None),
        ("--epochs=3 --steps=7", 3, 7),
        ("--dataset mine --epochs 3", 3, None),
        ("--config FILE", 9, None),
        ("--config FILE --steps 5", None, 5),
    ],
)
def test_epochs_or_steps_alone_replace_the_length_of_a_recipe(tmp_path, line, epochs, steps):
    (tmp_path / "my.yaml").write_text("epochs: 9")
    options = options_of(line.replace("FILE", f"{tmp_path}/my.yaml"))
    assert (options["epochs"], options["steps"]) == (epochs, steps)
