"""Training runs: the files they write, what stops them, and exact resumption."""

import errno
import gc
import json
import os
import shutil
import signal
from dataclasses import replace

from common.data.sources import paired
from common.data.stream import sample_index
from common.errors import UserError
from common.images import image_file
from common.io.locks import FolderLock
from common.tasks.paired_translation import PairedTranslation
from common.training import callbacks, checkpoint
from common.training.options import TrainingOptions
from common.training.run_folder import Run
from tests.helpers.checkpoints import arrays
from tests.helpers.image_files import truncate
from tests.helpers.tiny import Tiny

import pytest

OPTIONS = "--steps 6 --checkpoint_every 3 --log_every 3 --sample_every 3 --jit off --seed 4"


def losses(run):
    """Rows of metrics.csv without the times."""
    return [row.split(",")[:4] for row in (run / "metrics.csv").read_text().splitlines()]


@pytest.fixture
def no_iterator_left():
    """Checks that no data iterator is left: its threads would block the exit of a process."""

    def alive():
        return {id(each) for each in gc.get_objects() if type(each).__name__ == "OwnedIterator"}

    gc.collect()
    before = alive()
    gc.disable()
    yield
    after = alive()
    gc.enable()
    assert after <= before


def test_the_files_of_a_finished_run(finished, pairs_folder):
    config = json.loads((finished / "config.json").read_text())
    assert config["model"] == "tiny"
    assert config["options"]["dataset"] == str(pairs_folder)
    assert config["options"]["learning_rate"] == 1e-2  # a default, resolved
    assert checkpoint.steps(finished / "checkpoints") == [3, 6]
    assert [row[0] for row in losses(finished)] == ["step", "2", "4", "6"]
    grids = sorted((finished / "samples").iterdir())
    names = ["step_00000003.png", "step_00000006.png", "training.webp"]
    assert [path.name for path in grids] == names
    height, width, _ = image_file.read(grids[0]).shape
    assert height > 2 * 18 + 2 and width == 3 * 18 + 2  # two validation pairs below captions
    assert list((finished / "tensorboard").iterdir())
    assert (finished / "export" / "tiny" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    "options",
    [
        "--precision mixed_float16",
        "--precision mixed_bfloat16 --schedule linear --batch_size 2",
        "--schedule cosine --ema 0.5 --jit auto",
    ],
)
def test_resume_is_exact(run_cli, no_export, copy_of, tmp_path, pairs_folder, finished, options):
    run = tmp_path / "run"
    assert not run_cli(f"{OPTIONS} {options} --dataset {pairs_folder} --run {run}").status
    resumed = copy_of(run, upto=3)
    (resumed / "samples" / "step_00000006.png").unlink()
    result = run_cli(f"--resume --run {resumed}")
    assert not result.status and "steps 3 to 6" in result.out
    assert arrays(resumed, 6) == arrays(run, 6)
    assert (
        arrays(run, 6) != arrays(finished, 6) != arrays(finished, 3)
    )  # the options have an effect
    assert losses(resumed) == losses(run)
    grids = [image_file.read(path / "samples" / "step_00000006.png") for path in (run, resumed)]
    assert (grids[0] == grids[1]).all()


@pytest.mark.parametrize(
    "number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_ends_the_run_with_a_checkpoint(
    run_cli,
    no_export,
    tmp_path,
    pairs_folder,
    finished,
    monkeypatch,
    no_iterator_left,
    number,
    status,
):
    sample_grid = PairedTranslation.sample_grid

    def interrupting(*arguments):
        draw = sample_grid(*arguments)

        def interrupted():
            os.kill(os.getpid(), number)
            return draw()

        return interrupted

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(PairedTranslation, "sample_grid", interrupting)
        result = run_cli(f"{OPTIONS} --sample_every 2 --dataset {pairs_folder} --run {run}")
    assert result.status == status and result.err == ""
    assert f"stopped at step 2; to resume: --resume --run {run}" in result.out
    assert checkpoint.steps(run / "checkpoints") == [2]
    assert not run_cli(f"--resume --run {run}").status
    assert arrays(run, 6) == arrays(finished, 6)


@pytest.mark.parametrize(
    "every, kept", [(1, "the last good checkpoint, step 1, is kept"), (9, "no checkpoint yet")]
)
def test_a_run_that_diverges_keeps_its_last_good_checkpoint(
    run_cli, no_export, tmp_path, pairs_folder, no_iterator_left, every, kept
):
    options = f"{OPTIONS} --learning_rate 1e30 --checkpoint_every {every}"
    result = run_cli(f"{options} --dataset {pairs_folder} --run {tmp_path / 'run'}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert "training diverged" in result.err and "at step 2" in result.err
    assert kept in result.err and "--learning_rate" in result.err
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [1][: every == 1]


def test_a_bad_image_in_the_middle_loses_nothing(
    run_cli, no_export, tmp_path, pairs_folder, finished, copy_of, no_iterator_left
):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(pairs_folder, data)
    bad = data / "train" / f"{sample_index(4, count=6, batch_size=1, seed=4)}.png"
    truncate(bad)
    result = run_cli(f"{OPTIONS} --dataset {data} --run {run}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert str(bad) in result.err and "--skip_bad_images" in result.err
    assert f"stopped at step 4; to resume: --resume --run {run}" in result.out
    assert checkpoint.steps(run / "checkpoints") == [3, 4]

    skipping = copy_of(run)
    result = run_cli(f"--resume --skip_bad_images --run {skipping}")
    assert not result.status and f"skipped {bad}" in result.out
    assert arrays(skipping, 6) != arrays(finished, 6)

    shutil.copy(pairs_folder / "train" / bad.name, bad)
    assert not run_cli(f"--resume --run {run}").status
    assert arrays(run, 6) == arrays(finished, 6)


def test_a_run_goes_on_with_a_moved_dataset(
    run_cli, no_export, tmp_path, pairs_folder, finished, copy_of, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pairs_folder, "moved")
    run = copy_of(finished, upto=3)
    assert not run_cli(f"--resume --run {run} --dataset moved").status
    assert arrays(run, 6) == arrays(finished, 6)
    assert Run(run).config()["options"]["dataset"] == str(tmp_path / "moved")
    (tmp_path / "moved").rename("again")  # a run that is done takes the new place too
    result = run_cli(f"--resume --run {run}")
    assert result.status == 2 and "give its new place with --dataset" in result.err
    assert not run_cli(f"--resume --run {run} --dataset again").status
    assert Run(run).config()["options"]["dataset"] == str(tmp_path / "again")


def test_a_removed_image_is_skipped(run_cli, no_export, tmp_path, pairs_folder):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(pairs_folder, data)
    assert not run_cli(f"{OPTIONS} --steps 3 --dataset {data} --run {run}").status
    removed = data / "train" / f"{sample_index(4, count=6, batch_size=1, seed=4)}.png"
    removed.unlink()
    result = run_cli(f"--resume --steps 6 --run {run}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert f"missing: {removed}; put them back, or skip them with --skip_bad_images" in result.err
    result = run_cli(f"--resume --steps 6 --skip_bad_images --run {run}")
    assert not result.status and f"skipped {removed}: No such file" in result.out
    assert checkpoint.steps(run / "checkpoints")[-1] == 6
    assert not run_cli(f"evaluate {run} --skip_bad_images").status


@pytest.mark.parametrize(
    "error, said",
    [
        (UserError("val/1.png: cannot be read"), "val/1.png: cannot be read"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "stdout was closed"),
        (OSError(errno.ENOSPC, "No space left on device"), "free disk space"),
    ],
)
def test_a_failure_between_two_steps_loses_nothing(
    run_cli, no_export, tmp_path, pairs_folder, finished, monkeypatch, error, said
):
    def fail():
        raise error

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(PairedTranslation, "measure", lambda *_: fail)
        line = f"{OPTIONS} --evaluate_every 2 --dataset {pairs_folder} --run {run}"
        result = run_cli(line)
    assert result.status == 2 and len(result.err.splitlines()) == 1 and said in result.err
    assert checkpoint.steps(run / "checkpoints") == [2]
    assert not run_cli(f"--resume --run {run}").status
    assert arrays(run, 6) == arrays(finished, 6)


def test_one_process_at_a_time_trains_in_a_folder(
    run_cli, no_export, tmp_path, pairs_folder, finished, copy_of
):
    run = copy_of(finished, upto=3)
    lock = FolderLock(run)
    result = run_cli(f"--resume --run {run}")
    assert result.status == 2 and "another process is training there" in result.err
    lock.release()
    assert not run_cli(f"--resume --run {run}").status
    with pytest.raises(UserError, match="another process"):  # it started after this one looked
        callbacks.RunLock(0, Run(run), new=True)


def test_a_log_that_cannot_be_written_is_not_blamed_on_xla(run_cli, tmp_path, pairs_folder):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").touch()
    result = run_cli(f"--steps 1 --jit on --dataset {pairs_folder} --run {tmp_path / 'run'}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert f"{tmp_path / 'run' / 'tensorboard'}: cannot be written" in result.err


def test_a_finished_run_is_already_done(run_cli, copy_of, finished):
    run = copy_of(finished)
    result = run_cli(f"--resume --run {run}")
    assert not result.status and "already done, 6 steps; to prolong the run, add" in result.out
    assert [path.name for path in (run / "export" / "tiny").iterdir()] == ["1"]
    assert arrays(run, 6) == arrays(finished, 6)
    shutil.rmtree(run / "export")  # as if killed after the last checkpoint
    result = run_cli(f"--resume --run {run}")
    assert not result.status and (run / "export" / "tiny" / "1" / "saved_model.pb").is_file()


def test_a_finished_run_can_be_extended(run_cli, no_export, copy_of, finished):
    run = copy_of(finished)
    assert not run_cli(f"--resume --steps 7 --run {run}").status
    assert checkpoint.steps(run / "checkpoints") == [6, 7]
    assert losses(run)[:4] == losses(finished)
    assert Run(run).config()["options"]["steps"] == 7


@pytest.mark.parametrize(
    "option, before",
    [
        ("--learning_rate 0.5", "0.01"),
        ("--seed 5", "4"),
        ("--batch_size 2", "1"),
        ("--precision mixed_float16", "float32"),
        ("--image_size 32", "16"),
        ("--ema 0.5", "0.0"),
        ("--dataset embedded", "pairs"),
        ("--direction BtoA", "AtoB"),
        ("--flip false", "True"),
        ("--load_size 24", "18"),
        ("--schedule linear", "constant"),
    ],
)
def test_a_changed_option_is_refused_by_name(run_cli, finished, option, before):
    result = run_cli(f"--resume --run {finished} {option}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert result.err.startswith(f"error: {option.split()[0]} ") and before in result.err
    assert arrays(finished, 6)


def test_a_prolonged_schedule_is_that_of_the_new_length(run_cli, no_export, copy_of, finished):
    """Killed and resumed once more, the run ends with the same bytes."""
    run = copy_of(finished)
    config = Run(run).config()
    Run(run).write_config("tiny", config["options"] | {"schedule": "linear"}, config["data"])
    result = run_cli(f"--resume --epochs 2 --log_every 1 --checkpoint_every 2 --run {run}")
    assert not result.status and "steps 6 to 12" in result.out
    assert "--schedule linear now spans 12 steps: the learning rate continues at 1.00" in result.out
    assert checkpoint.steps(run / "checkpoints") == [10, 12]
    whole = arrays(run, 12)
    (run / "checkpoints" / "step_00000012.npz").unlink()
    result = run_cli(f"--resume --run {run}")
    assert not result.status and "now spans" not in result.out  # said once
    assert arrays(run, 12) == whole


def test_another_models_checkpoint_is_refused_on_resume(run_cli, copy_of, finished):
    run = copy_of(finished, upto=3)
    path = checkpoint.save(run / "checkpoints", 6, Tiny(channels_in=1))
    content = path.read_bytes()
    result = run_cli(f"--resume --steps 9 --run {run}")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert str(path) in result.err and "another model" in result.err
    assert path.read_bytes() == content


def test_a_resumed_run_keeps_the_dataset_that_it_found(run_cli, no_export, tmp_path, monkeypatch):
    def fetch(url, folder, label):
        raise UserError(f"{label}: no network")

    monkeypatch.setattr(paired, "fetch_archive", fetch)
    result = run_cli(f"{OPTIONS} --steps 1 --run {tmp_path / 'run'}")
    assert not result.status and "embedded generated facades instead" in result.out
    monkeypatch.setattr(paired, "fetch_archive", lambda *_: pytest.fail("looked again"))
    result = run_cli(f"--resume --steps 2 --run {tmp_path / 'run'}")
    assert not result.status and "tiny on embedded (BtoA), steps 1 to 2" in result.out


def test_a_batch_larger_than_the_dataset_is_refused(run_cli, tmp_path, pairs_folder):
    result = run_cli(f"--batch_size 7 --dataset {pairs_folder} --run {tmp_path / 'run'}")
    assert result.status == 2 and "--batch_size 7" in result.err and "6 training" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name, value",
    [
        *((name, 0) for name in ("epochs", "batch_size", "log_every", "sample_every")),
        *(("checkpoint_every", -1), ("steps", 0), ("seed", -1), ("seed", 2**32)),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=rf"--{name} {value}: give "):
        replace(TrainingOptions(), **{name: value})


@pytest.mark.parametrize(
    ("given", "steps_per_epoch", "expected"), [(None, 3, 100), (None, 500, 500), (7, 500, 7)]
)
def test_sample_grids_are_an_epoch_apart_but_not_closer_than_100_steps(
    given, steps_per_epoch, expected
):
    assert TrainingOptions(sample_every=given).samples_every(steps_per_epoch) == expected
