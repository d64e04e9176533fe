"""The trained weights that come with the project, and the page about them.

Their digit FID is recomputed where a folder of the named datasets is given:

    ZOO_DATA=~/.keras/datasets python3 -m pytest tests/test_weights.py
"""

import os
import re
from functools import cache

from common import cli, load, registry
from common.data.synthetic import digits
from common.images import image_file
from common.signatures import pick
from common.tasks.base import Checkpoint
from common.tasks.generation import Generation
from common.training.trained_weights import open_run
from docs import weights as page
from tests.helpers.command_line import command_line
from tests.helpers.shown_commands import blocks, commands, parse, parser

import numpy as np
import pytest

FILES = {f"{file.parent.parent.name}/{file.stem}": file for file in page.files()}
LARGEST, LARGEST_SUM = 2_000_000, 30_000_000  # bytes
TOLERANCE = 0.1  # of a digit FID; another reference classifier changes it by half of that
DATA = os.environ.get("ZOO_DATA")


@cache
def opened(name):
    """The weights of a name, as their model's verbs open them, and the task."""
    model, _, recipe = name.partition("/")
    return open_run(recipe, model), registry.task_of(model)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_files_are_small():
    sizes = {name: file.stat().st_size for name, file in FILES.items()}
    assert sizes and max(sizes.values()) <= LARGEST and sum(sizes.values()) <= LARGEST_SUM


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_of_the_recipe_that_it_is_called_by(name):
    run, task = opened(name)
    train = parser(task.name, "train")
    of_recipe = cli.train_options(train, task.model_class, task, ["--config", run.file.path.stem])
    names = {*pick(task.model_class, of_recipe), "dataset", "batch_size", "steps", "schedule"}
    options = run.config()["options"]
    decided = {"class_names", *task.data.model_arguments}
    for option in names - decided:
        assert options[option] == of_recipe[option], option
    length = options["steps"] or task.load(run, Checkpoint()).plan.total_steps
    assert run.step() == length


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_no_place_of_the_machine_that_wrote_it(name):
    about = opened(name)[0].file.about
    assert not re.search(r'"(/|~|\w:\\)', str(about).replace("'", '"'))
    assert about["measured"]["step"] == about["step"]


@pytest.mark.parametrize("name", FILES)
def test_the_measured_numbers_are_in_the_readme(name):
    readme = (registry.ROOT / name.split("/")[0] / "README.md").read_text()
    numbers = re.findall(r"\d+\.\d+", page.measured(FILES[name]))
    assert numbers and all(number in readme for number in numbers)


@pytest.mark.parametrize("name", FILES)
def test_load_gives_what_predict_writes(name, capsys, tmp_path):
    model, task, *capabilities = registry.entry(name.split("/")[0])
    if task is not Generation:
        pytest.skip("the model does not only take noise")
    line = f"predict {FILES[name].stem} --output {tmp_path} --count 20 --seed 4"
    assert command_line(capsys, model, task, *capabilities)(line).status == 0
    written = [image_file.read(path, 1) for path in sorted(tmp_path.glob("*.png"))]
    images = load(name).sample(20, seed=4)
    np.testing.assert_array_equal(images, written)
    assert images.std(axis=0).max() > 20  # not one image again and again
    assert images.max() > 200 and images.min() < 50


@cache
def digit_classifier():
    """Classifies digits; trained for a few seconds on generated ones."""
    x, y = digits.digits(0, range(6000)), digits.labels(0, range(6000))
    import keras

    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Resizing(28, 28),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 5, 2, activation="relu"),
            keras.layers.Conv2D(32, 5, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss)
    network.fit(x, y, batch_size=64, epochs=4, verbose=0)
    return lambda images: network.predict(images, verbose=0).argmax(axis=1)


OF_DIGITS = [
    name
    for name in FILES
    if opened(name)[0].config()["options"]["dataset"] == "mnist"
    and isinstance(opened(name)[1], Generation)
]


@pytest.mark.parametrize("name", OF_DIGITS)
def test_a_class_that_is_asked_for_is_recognized(name):
    model = load(name)
    if not model.class_names:
        pytest.skip("the model takes no class")
    assert model.class_names == [str(digit) for digit in range(10)]
    predicted = digit_classifier()(model.sample(200))
    assert np.mean(predicted == np.arange(200) % 10) > 0.7


@pytest.mark.skipif(not DATA, reason="ZOO_DATA names no folder with mnist.npz")
@pytest.mark.parametrize("name", OF_DIGITS)
def test_the_digit_fid_is_that_of_the_run(name):
    run, task = opened(name)
    check = run.file.about["check"]
    assert check["count"] == 1000
    model = run.load_sampler(task.model_class)
    data = task.data_of(run, data_dir=DATA)
    measured = Generation.measure(Generation(task.model_class), model, data, check["count"])()
    assert measured["fid"] == pytest.approx(check["metrics"]["fid"], rel=TOLERANCE)


def test_the_table_is_what_the_script_writes():
    assert page.PAGE.read_text() == page.text(), "run python3 docs/weights.py"
    assert page.text().count("\n| [") == len(FILES)


def test_the_commands_of_the_page_are_known():
    text = page.PAGE.read_text()
    for command in commands("\n".join(blocks(text, "bash"))):
        parse(command)
    assert all(name in text for name in ("--weights", "#sha256="))


def test_help_names_the_weights():
    for name in FILES:
        model, _, recipe = name.partition("/")
        for verb in ("predict", "evaluate", "export"):
            help_text = " ".join(parser(model, verb).format_help().split())
            assert f"trained weights, instead of RUN: {recipe}, " in help_text
