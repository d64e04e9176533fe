"""The folder of a run: finding, refusing, describing it."""

import json
import os
from pathlib import Path
from typing import ClassVar

from common.errors import UserError
from common.training import checkpoint
from common.training.run_folder import Run
from common.training.trained_weights import open_run
from tests.helpers.tiny import Tiny

import numpy as np
import pytest


def started(folder, model="tiny", options=None):
    run = Run(Path(folder))
    run.write_config(model, options or {}, {})
    return run


def test_the_best_checkpoint_is_one_file_that_best_json_names(tmp_path, monkeypatch):
    run, model = started(tmp_path), Tiny()
    for step in (4, 9):
        run.keep_best(model, step, "fid", 1.0 / step)
        assert [*run.checkpoints.iterdir()] == [run.best_checkpoint()]
        assert run.step(best=True) == step

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("common.io.records.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        run.keep_best(model, 12, "fid", 0.0)
    assert run.best_checkpoint().is_file() and run.step(best=True) == 9


def test_runs_of_one_second_have_names_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "now")
    for name in ("now", "now_2", "now_3"):
        run = Run.new(None, "tiny")
        assert run.folder == Path("runs", "tiny", name)
        run.write_config("tiny", {}, {})


def test_a_new_run_is_named_by_model_and_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.new(None, "tiny")
    assert run.folder.parts[:2] == ("runs", "tiny") and len(run.folder.parts) == 3
    assert not run.folder.exists()  # a command line that is refused leaves nothing behind
    assert Run.new("here", "tiny").folder == Path("here")


def test_a_run_does_not_replace_another(tmp_path):
    started(tmp_path)
    with pytest.raises(UserError, match=rf"--run {tmp_path}: .*--resume"):
        Run.new(str(tmp_path), "tiny")


def test_open_takes_the_most_recent_run_of_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no run under runs/tiny"):
        open_run(None, "tiny")
    for age, name in ((30, "b"), (10, "a"), (20, "c")):
        os.utime(started(f"runs/tiny/{name}").config_file, (1e9 - age, 1e9 - age))
    started("runs/other/newer", model="other")
    assert open_run(None, "tiny").folder == Path("runs/tiny/a")


def test_open_refuses_a_folder_without_a_run_of_this_model(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}: no run in this folder"):
        open_run(str(tmp_path), "tiny")
    started(tmp_path, model="cyclegan")
    with pytest.raises(UserError, match=rf"{tmp_path}: a run of cyclegan, not of tiny"):
        open_run(str(tmp_path), "tiny")


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"model": "tiny"}', "\xff"])
def test_an_invalid_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=rf"{tmp_path}/config.json: cannot be read"):
        open_run(str(tmp_path), "tiny")


def test_the_config_records_model_options_and_versions(tmp_path):
    config = started(tmp_path, options={"seed": 3, "run": None}).config()
    assert config["model"] == "tiny" and config["options"] == {"seed": 3, "run": None}
    assert config["versions"]["numpy"] == np.__version__
    assert set(config["versions"]) == {"python", "tensorflow", "keras", "numpy"}


def test_a_run_without_checkpoint_has_no_sampler(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}: the run has no checkpoint yet"):
        started(tmp_path).load_sampler(Tiny)


def test_the_sampler_has_the_newest_weights_and_the_runs_options(finished):
    run = Run(finished)
    assert run.step() == 6
    model = run.load_sampler(Tiny, inference_seed=5)
    assert model.image_size == 16 and model.inference_seed == 5
    with np.load(finished / "checkpoints" / "step_00000006.npz") as archive:
        for number, variable in enumerate(model.generator.variables):
            np.testing.assert_array_equal(variable.numpy(), archive[f"generator/{number:04d}"])


def test_a_run_from_before_an_option_keeps_the_value_it_was_trained_with(finished, copy_of):
    class Later(Tiny):
        earlier_defaults: ClassVar[dict] = {"inference_seed": 5, "image_size": 32}

    run = Run(copy_of(finished))
    config = run.config()
    del config["options"]["inference_seed"]
    (run.folder / "config.json").write_text(json.dumps(config))
    model = run.load_sampler(Later)
    assert model.inference_seed == 5 and model.image_size == 16  # the run names this one


def test_a_damaged_note_is_named(tmp_path):
    run = started(tmp_path)
    for file, read in (
        (run.best_file, run.best),
        (run.exports / "exported.json", run.exported_step),
    ):
        file.parent.mkdir(exist_ok=True)
        file.write_text("{")
        with pytest.raises(UserError, match=rf"{file}: cannot be read"):
            read()


def test_the_exported_step_is_recorded(tmp_path):
    run = Run(tmp_path)
    assert run.exported_step() == 0
    run.checkpoints.mkdir()
    checkpoint.path_of(run.checkpoints, 7).touch()
    run.record_export()
    assert run.exported_step() == 7


def test_the_checkpoint_is_the_newest_or_that_of_a_step(tmp_path):
    run = started(tmp_path)
    with pytest.raises(UserError, match="no checkpoint yet"):
        run.checkpoint_file()
    run.checkpoints.mkdir()
    for step in (3, 20):
        checkpoint.path_of(run.checkpoints, step).touch()
    assert run.checkpoint_file() == checkpoint.path_of(run.checkpoints, 20)
    assert run.checkpoint_file(step=3) == checkpoint.path_of(run.checkpoints, 3)
    with pytest.raises(UserError, match=r"--step 4: .* steps 3, 20"):
        run.checkpoint_file(step=4)
    with pytest.raises(UserError, match="no best checkpoint"):
        run.checkpoint_file(best=True)
    with pytest.raises(UserError, match="--step 3: cannot be combined with --best"):
        run.checkpoint_file(best=True, step=3)
