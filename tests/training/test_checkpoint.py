"""Checkpoints: complete state, atomic writes, and refusal of files that do not match."""

import errno
import resource
from contextlib import contextmanager

from common.errors import UserError
from common.training import checkpoint
from tests.helpers.tiny import Tiny

import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def trained():
    """A model after three steps, with dropout, optimizer moments and an average generator."""
    keras.utils.set_random_seed(1)
    model = Tiny(ema=0.5)
    model.compile(jit="off")
    batch = [keras.random.uniform((1, 16, 16, 3), -1, 1, seed=n) for n in range(2)]
    for _ in range(3):
        model.train_step(batch)
    return model


def values(model):
    return {
        f"{group}/{number}": variable.numpy()
        for group, variables in model.state().items()
        for number, variable in enumerate(variables)
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key, strict=True)


@contextmanager
def full_disk(limit=2000):
    """Limits files to `limit` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_restores_the_whole_state(trained, tmp_path):
    path = checkpoint.save(tmp_path, 3, trained)
    assert path == tmp_path / "step_00000003.npz"
    keras.utils.set_random_seed(2)
    other = Tiny(ema=0.5)
    fresh, wanted = values(other), values(trained)
    checkpoint.load(path, other)
    assert_same(values(other), wanted)
    # Every group has changed, so a group that is not saved would show.
    changed = {key.split("/")[0] for key in wanted if (fresh[key] != wanted[key]).any()}
    assert changed >= {
        "generator",
        "discriminator",
        "average_generator",
        "generator_optimizer",
        "discriminator_optimizer",
    }


def test_optimizers_random_state_and_moving_statistics_are_saved(trained, tmp_path):
    state = trained.state()
    paths = [variable.path for variable in state["generator"]]
    assert any("seed" in path for path in paths)
    assert any("moving_variance" in path for path in paths)
    optimizer = [variable.path for variable in state["generator_optimizer"]]
    assert any("momentum" in path for path in optimizer)
    assert any("iteration" in path for path in optimizer)
    with np.load(checkpoint.save(tmp_path, 1, trained)) as archive:
        assert len(archive.files) == sum(map(len, state.values()))


def test_a_resumed_model_takes_the_same_next_step(trained, tmp_path):
    path = checkpoint.save(tmp_path, 3, trained)
    batch = [keras.random.uniform((1, 16, 16, 3), -1, 1, seed=n) for n in range(2)]
    keras.utils.set_random_seed(9)
    other = Tiny(ema=0.5)
    other.compile(jit="off")
    checkpoint.load(path, other)
    other.train_step(batch)
    trained.train_step(batch)
    assert_same(values(other), values(trained))


def test_loading_networks_does_not_build_the_optimizers(trained, tmp_path):
    path = checkpoint.save(tmp_path, 3, trained)
    other = Tiny(ema=0.5)
    checkpoint.load(path, other, ["average_generator"])
    assert not any(update.optimizer.built for update in other.players.values())
    np.testing.assert_array_equal(
        other.average_generator.weights[0], trained.average_generator.weights[0]
    )


def test_only_the_named_networks_are_loaded(trained, tmp_path):
    path = checkpoint.save(tmp_path, 3, trained)
    other = Tiny(ema=0.5)
    before = values(other)
    checkpoint.load(path, other, ["generator"])
    after, wanted = values(other), values(trained)
    for key in after:
        expected = wanted if key.startswith("generator/") else before
        np.testing.assert_array_equal(after[key], expected[key], err_msg=key)


def test_the_newest_two_are_kept(trained, tmp_path):
    for step in (5, 10, 100_000_000, 15):
        checkpoint.save(tmp_path, step, trained)
    (tmp_path / "step_note.npz").touch()  # not a checkpoint
    assert checkpoint.steps(tmp_path) == [15, 100_000_000]
    assert checkpoint.steps(tmp_path / "not there") == []
    assert (tmp_path / "step_note.npz").exists()


def test_a_failed_write_leaves_the_earlier_one(trained, tmp_path, monkeypatch):
    first = checkpoint.save(tmp_path, 1, trained)
    content = first.read_bytes()

    def savez(file, **_):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(UserError, match=r"step_00000002.npz: .*No space left.*step 1 is kept"):
        checkpoint.save(tmp_path, 2, trained)
    assert list(tmp_path.iterdir()) == [first] and first.read_bytes() == content


def test_a_full_disk_leaves_the_earlier_one(trained, tmp_path, capfd):
    first = checkpoint.save(tmp_path, 1, trained)
    content = first.read_bytes()
    with full_disk(), pytest.raises(UserError, match=r"step_00000002.npz: .*step 1 is kept"):
        checkpoint.save(tmp_path, 2, trained)
    assert list(tmp_path.iterdir()) == [first] and first.read_bytes() == content
    assert capfd.readouterr().err == ""  # no "Exception ignored in" of a half-open archive


def test_a_kill_between_writing_and_renaming_leaves_the_earlier_one(trained, tmp_path, monkeypatch):
    first = checkpoint.save(tmp_path, 1, trained)

    def replace(*_):
        raise KeyboardInterrupt  # like a kill, runs no more of `save`

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.replace", replace)
        checkpoint.save(tmp_path, 2, trained)
    assert checkpoint.steps(tmp_path) == [1]
    checkpoint.load(first, Tiny(ema=0.5))
    (tmp_path / ".step_00000002.npz.part").write_bytes(b"half")  # as a kill leaves it
    checkpoint.save(tmp_path, 2, trained)
    assert checkpoint.steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_non_finite_state_is_not_saved(tmp_path, value):
    model = Tiny()
    checkpoint.save(tmp_path, 1, model)
    kernel = model.discriminator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, value))
    with pytest.raises(checkpoint.NonFiniteState, match="discriminator"):
        checkpoint.save(tmp_path, 2, model)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.npz"]


@pytest.mark.parametrize("kept", [0, 100, 0.5, -3])
def test_a_damaged_file_is_named_and_nothing_is_loaded(trained, tmp_path, kept):
    path = checkpoint.save(tmp_path, 1, trained)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])
    model = Tiny(ema=0.5)
    before = values(model)
    with pytest.raises(UserError, match=r"step_00000001.npz: the checkpoint is damaged"):
        checkpoint.load(path, model)
    assert_same(values(model), before)


def test_a_flipped_bit_is_noticed(trained, tmp_path):
    path = checkpoint.save(tmp_path, 1, trained)
    content = bytearray(path.read_bytes())
    weights = trained.generator.trainable_variables[0].numpy().tobytes()
    content[content.index(weights) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"step_00000001.npz: the checkpoint is damaged"):
        checkpoint.load(path, Tiny(ema=0.5))


@pytest.mark.parametrize("place, value", [(2, 1), (4, 99)], ids=["encrypted", "compression"])
def test_damage_found_while_unpacking_is_reported(trained, tmp_path, place, value):
    path = checkpoint.save(tmp_path, 1, trained)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\1\2") + 8 - 2  # last directory entry: flags, compression
    content[entry + place] = value
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"step_00000001.npz: the checkpoint is damaged"):
        checkpoint.load(path, Tiny(ema=0.5))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"step_00000009.npz: .*No such file"):
        checkpoint.load(checkpoint.path_of(tmp_path, 9), Tiny())


@pytest.mark.parametrize("options", [{"channels_in": 1}, {"ema": 0.5}])
def test_another_models_checkpoint_is_refused(tmp_path, options):
    path = checkpoint.save(tmp_path, 1, Tiny(**options))
    model = Tiny()
    before = values(model)
    with pytest.raises(
        UserError, match=r"step_00000001.npz: .*another model or with other options"
    ):
        checkpoint.load(path, model)
    assert_same(values(model), before)


def test_retained_steps_are_never_deleted(trained, tmp_path):
    for step in (1, 2, 3, 4, 5):
        checkpoint.save(tmp_path, step, trained, retained=(2, 9))
    assert checkpoint.steps(tmp_path) == [2, 4, 5]
