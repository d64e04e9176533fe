"""The command line: verbs, help, and errors that the user can fix in one line."""

import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from common import cli, option_errors, registry
from common.data.sources import paired
from common.errors import UserError
from common.images import image_file
from common.signatures import pick
from common.tasks.paired_translation import PairedTranslation
from pix2pix.pix2pix import Pix2Pix
from tests.helpers.image_files import noise, truncate, write_pairs
from tests.helpers.tiny import Tiny

import pytest

PIX2PIX = Path(__file__).resolve().parents[1] / "pix2pix" / "pix2pix.py"


def assert_refused(result, *said):
    """Exit status 2 and one line that contains all of `said`."""
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    for part in said:
        assert part in line


@pytest.mark.parametrize(
    "verb, options",
    [
        ("", "--epochs --resume --jit --precision --image_size --ema --dataset --skip_bad_images"),
        ("train", "--steps --batch_size --seed --run --checkpoint_every --data_dir --direction"),
        ("predict", "RUN INPUTS --output --tile --inference_dropout --inference_seed"),
        ("evaluate", "RUN --split --inference_statistics"),
        ("export", "RUN --output --version --inference_dropout"),
    ],
)
@pytest.mark.parametrize("model", [Tiny, Pix2Pix])
def test_every_verb_helps(run_cli, verb, options, model):
    result = run_cli(f"{verb} --help", model)
    assert result.status == 0 and result.err == ""
    words = result.out.split()
    for option in options.split():
        assert option in words
    assert "training data" not in result.out or verb in ("", "train")


def test_docstrings_are_the_help_of_options(run_cli):
    words = " ".join(run_cli("--help", Pix2Pix).out.split())
    assert "dropout rate in the first three decoder levels" in words
    assert "steps between checkpoints" in words
    assert "side before the random crop" in words


class Deep(Tiny):
    """A tiny translator whose constructor hands its other options on.

    Args:
        depth: number of layers.
        dropout: dropout rate.
    """

    defaults: ClassVar = {"batch_size": 7}

    def __init__(self, depth: int = 2, dropout: float = 0.25, **shared):
        super().__init__(dropout=dropout, learning_rate=0.5, **shared)
        self.depth = depth


class Deeper(Deep):
    """The same with another default.

    Args:
        ema: decay rate.
    """

    def __init__(self, ema: float = 0.9, **shared):
        super().__init__(ema=ema, **shared)


@pytest.mark.parametrize(
    "model, ema, ema_help", [(Deep, 0.0, "decay of"), (Deeper, 0.9, "decay rate")]
)
def test_options_of_a_model_include_those_of_its_parents(run_cli, model, ema, ema_help):
    parser = cli.train_parser(model, PairedTranslation(model), "deep")
    options = cli.train_options(parser, model, PairedTranslation(model), [])
    expected = {"depth": 2, "dropout": 0.25, "ema": ema, "inference_seed": 0, "batch_size": 7}
    assert {name: options[name] for name in expected} == expected
    assert "learning_rate" not in options and "name" not in options
    words = " ".join(run_cli("--help", model).out.split())
    for said in ("number of layers", "dropout rate", f"--ema EMA {ema_help}", "--channels_in"):
        assert said in words
    made = model(**pick(model, options | {"depth": 5}))
    assert (made.depth, made.dropout, made.ema) == (5, 0.25, ema)


def test_flags_stand_alone_or_take_a_value():
    parser = cli.train_parser(Tiny, PairedTranslation(Tiny), "tiny")

    def parse(line):
        options = cli.train_options(parser, Tiny, PairedTranslation(Tiny), line.split())
        return options["resume"], options["skip_bad_images"], options["flip"], options["run"]

    assert parse("") == (False, False, True, None)
    assert parse("--resume --run x") == (True, False, True, "x")
    assert parse("--run x --skip_bad_images --resume") == (True, True, True, "x")
    assert parse("--flip false --resume true") == (True, False, False, None)
    assert parse("--resume=false --flip=false") == (False, False, False, None)
    verb = cli.verb_parser(PairedTranslation(Tiny).evaluate, "python3 x/x.py")
    options = cli._parse(verb, ["--best", "RUN"])
    assert options["best"] and options["run"] == "RUN"


@pytest.mark.parametrize(
    "line, said",
    [
        ("--unknown 3", "--unknown: no such option"),
        ("train --unknown", "--unknown: no such option"),
        ("--image-size=64", "--image-size: no such option; did you mean --image_size?"),
        ("predict run x --output y --width 3", "--width: no such option"),
        ("evaluate run --tile 5", "--tile: no such option"),
        ("export run --split val", "--split: no such option"),
        ("strain", "strain"),
        ("--steps many", "--steps many: give a whole number"),
        ("--steps=1e3", "--steps 1e3: give a whole number"),
        ("--image_size 2.5", "--image_size 2.5: give a whole number"),
        ("--image_size 16 32", "32: an argument too many"),
        ("--learning_rate 0,0002", "--learning_rate 0,0002: give a number"),
        ("--jit maybe", "--jit maybe: give auto, on or off"),
        ("--precision float8", "--precision float8: give float32, mixed_float16 or mixed_bfloat16"),
        ("--resume perhaps", "perhaps: an argument too many"),
        ("--resume=perhaps", "--resume perhaps: give true or false"),
        ("--direction AtoC", "--direction AtoC: give AtoB or BtoA"),
        ("export run --version new", "--version new: give a whole number"),
        ("evaluate run --split train", "--split train: give val or test"),
        ("predict run x", "missing: --output"),
        ("predict run --output y", "missing: INPUTS"),
        ("evaluate", "missing: RUN"),
        ("--run", "--run: give a value"),
    ],
)
def test_invalid_arguments_are_refused_by_name(run_cli, line, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert_refused(run_cli(line), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_option_says_what_to_give(name):
    task = registry.task_of(name)
    parsers = {"train": cli.train_parser(task.model_class, task, name)}
    for verb in cli.VERBS[1:]:
        parsers[verb] = cli.verb_parser(getattr(task, verb), name)
    for parser in parsers.values():
        for action in parser._actions:
            hint = getattr(action, "_typehint", None) or action.type
            if hint is not None:
                said = option_errors.wanted(hint)
                assert said and not {"class", "typing", "None"} & set(re.findall(r"\w+", said))


def test_the_home_folder_is_meant_by_a_tilde_wherever_a_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    task = PairedTranslation(Tiny)
    home, paths = str(tmp_path), "--dataset=~/a,~/b --data_dir ~/c --run=~/e --config=~/d"
    parser = cli.train_parser(Tiny, task, "tiny")
    options = cli._parse(parser, paths.split())
    assert options["dataset"] == f"{home}/a,{home}/b" and options["data_dir"] == f"{home}/c"
    assert options["run"] == f"{home}/e" and options["config"] == f"{home}/d"
    options = cli._parse(
        cli.verb_parser(task.predict, "x"), ["~/r", "~/a.png", "b~.png", "--output=~/o"]
    )
    assert options["run"] == f"{home}/r" and options["output"] == f"{home}/o"
    assert options["inputs"] == [f"{home}/a.png", "b~.png"]
    recipe = tmp_path / "d"
    recipe.write_text("dataset: ~/a\n")
    options = cli.train_options(parser, Tiny, task, ["--config=~/d"])
    assert options["dataset"] == f"{home}/a"


@pytest.mark.parametrize("verb", ["evaluate {}", "export {}", "predict {} x --output y"])
def test_an_unknown_run_is_named(run_cli, tmp_path, verb):
    assert_refused(run_cli(verb.format(tmp_path / "none")), str(tmp_path / "none"), "no run")


def test_a_mistyped_verb_is_named_with_the_others(run_cli):
    assert_refused(run_cli("predct run x"), "predct", "train, predict, evaluate, export")


def test_resume_without_a_run(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(run_cli("--resume"), "runs/tiny", "--run")
    assert_refused(run_cli("--resume --run here"), "here", "no run")


def test_a_run_is_not_overwritten(run_cli, finished):
    assert_refused(run_cli(f"--run {finished}"), f"--run {finished}", "--resume")


def test_another_models_run_is_refused(run_cli, finished):
    assert_refused(run_cli(f"evaluate {finished}", Pix2Pix), str(finished), "a run of tiny")


def test_image_sizes_that_a_unet_cannot_halve_are_refused(run_cli, tmp_path, pairs_folder):
    for size in (48, 16):
        line = f"--image_size {size} --load_size 99 --dataset {pairs_folder} --run {tmp_path / 'r'}"
        assert_refused(run_cli(line, Pix2Pix), f"--image_size {size}", "power of two")


@pytest.fixture
def refuses_data(run_cli, tmp_path):
    """refuses_data(folder, *said): training on the folder is refused and leaves no run."""

    def check(folder, *said, options=""):
        run = tmp_path / "a run"
        result = run_cli(f"--dataset '{folder}' --run '{run}' --steps 1 {options}")
        assert_refused(result, *said)
        assert not run.exists()

    return check


def test_missing_data(refuses_data, tmp_path):
    refuses_data(tmp_path / "none", str(tmp_path / "none"), "no such folder", "facades")
    (tmp_path / "empty").mkdir()
    refuses_data(tmp_path / "empty", str(tmp_path / "empty"), "it is empty; wanted: trainA/")
    (tmp_path / "file").touch()
    refuses_data(tmp_path / "file", str(tmp_path / "file"), "a file; give a folder")


def test_unreadable_held_out_images(refuses_data, tmp_path):
    for split in ("train", "val", "test"):
        write_pairs(tmp_path / "data" / split, 2)
    bad = truncate(tmp_path / "data" / "val" / "1.png")
    refuses_data(tmp_path / "data", str(bad), "--skip_bad_images")
    bad.write_text("no image")
    refuses_data(tmp_path / "data", str(bad), "not an image")
    image_file.write(bad, noise(20, 41, 0))
    refuses_data(tmp_path / "data", str(bad), "41 pixels wide")


def test_missing_images_of_a_pair(refuses_data, tmp_path):
    for name in ("A/1.png", "A/2.png", "B/1.png"):
        image_file.write(tmp_path / "data" / name, noise(9, 9, 0))
    refuses_data(tmp_path / "data", str(tmp_path / "data/A/2.png"), "no image named 2")


def test_a_named_dataset_without_network(refuses_data, tmp_path, monkeypatch):
    def fetch(url, folder, label):
        raise UserError(f"{label}: downloading {url} failed")

    monkeypatch.setattr(paired, "fetch_archive", fetch)
    refuses_data("maps", "maps: downloading", options=f"--data_dir {tmp_path}")


def test_a_folder_that_cannot_be_written(run_cli, tmp_path, pairs_folder):
    (tmp_path / "file").touch()
    run = tmp_path / "file" / "run"
    assert_refused(run_cli(f"--steps 1 --dataset {pairs_folder} --run {run}"), str(run))


def test_ctrl_c_outside_of_training_prints_no_traceback(run_cli, monkeypatch):
    def evaluate(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "call", evaluate)
    result = run_cli("evaluate x")
    assert result.status == 130 and result.err == "interrupted\n"


def test_the_script_runs_from_any_directory(tmp_path):
    result = subprocess.run(
        [sys.executable, str(PIX2PIX), "evaluate", "nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == "error: nowhere: no run in this folder (it has no config.json)\n"
