"""Initial weights of a new run: those of its dataset or of another run; a resumed one keeps its."""

import shutil

from common.distributed.replicas import Replicas
from common.errors import UserError
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.initial_weights import begin
from common.training.options import TrainingOptions
from common.training.run_folder import Run
from common.training.train import prepare
from tests.helpers.checkpoints import arrays
from tests.helpers.command_line import command_line
from tests.helpers.models import changed, state_variables, values
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest


class FromData(TinyGan):
    """A tiny generator whose first offsets are the mean training image's brightness.

    Args:
        image_size: side of the images in pixels.
        channels: channels of the images.
        classes: number of classes.
        ema: decay of the average.
    """

    calls = ()

    def __init__(self, image_size: int = 8, channels: int = 1, classes: int = 0, ema: float = 0.9):
        super().__init__(image_size, channels, classes, ema=ema)

    def initialize(self, data):
        type(self).calls += (data,)
        mean = data.arrays("train")[0].mean() / 255
        self.generator.trainable_variables[1].assign(np.full(64, mean, "float32"))


@pytest.fixture
def run_gan(capsys, monkeypatch):
    """Calls the command line of the tiny generator in this process; nothing is exported."""
    monkeypatch.setattr(Generation, "export_trained", lambda *_: "nowhere")
    return command_line(capsys, TinyGan, Generation)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """prepared() -> the job of the run before its first or next step."""
    monkeypatch.setattr(FromData, "calls", ())
    path = tmp_path / "grey.npz"
    np.savez(path, x_train=np.random.default_rng(0).integers(90, 110, (12, 8, 8), np.uint8))
    run = Run(tmp_path / "run")
    settings = TrainingOptions(batch_size=4, steps=9, seed=3, jit="off")

    def prepare_run():
        options = {"dataset": str(path), "seed": 3}
        return run, prepare(FromData, Generation(FromData), run, settings, options, Replicas())

    return prepare_run


def test_a_new_run_begins_with_the_weights_of_its_dataset(prepared):
    _, job = prepared()
    assert FromData.calls == (job.data,)
    model = job.model
    offsets = model.generator.trainable_variables[1].numpy()
    assert (offsets == offsets[0]).all() and 90 / 255 < offsets[0] < 110 / 255
    # The average begins with them too.
    own, average = (n.get_weights() for n in (model.generator, model.average_generator))
    for one, other in zip(own, average, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resumed_run_keeps_its_own_weights(prepared):
    run, job = prepared()
    job.model.train_step(next(iter(job.data.stream(4, 0, 1))))
    before = values(state_variables(job.model))
    checkpoint.save(run.checkpoints, 1, job.model)
    _, resumed = prepared()
    assert resumed.span == (1, 9)
    assert FromData.calls == (job.data,)  # of the first time alone
    assert not any(changed(before, state_variables(resumed.model)))


def test_other_models_keep_their_random_weights():
    model = TinyGan()
    before = values(state_variables(model))
    begin(model, None)
    assert not any(changed(before, state_variables(model)))


# The weights of another run.


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """A run of a tiny conditional generator with an average, at step 1."""
    run = Run(tmp_path_factory.mktemp("source") / "grey")
    options = {"classes": 3, "conditional": True, "ema": 0.9}
    model = TinyGan(**options)
    for variable in state_variables(model):
        variable.assign_add(np.ones(variable.shape, variable.dtype))
    checkpoint.save(run.checkpoints, 1, model)
    run.write_config("tiny_gan", options | {"channels": 1}, {})
    return run, model


def weights(network):
    return [w.numpy() for w in network.weights if w.dtype == "float32"]


def test_a_run_begins_with_the_weights_of_another(grey, capsys):
    run, source = grey
    model = TinyGan(classes=3, conditional=True, ema=0.9)
    before = values(model.state()["model"])
    begin(model, None, str(run.folder))
    assert capsys.readouterr().out == f"weights of {run.folder}, step 1\n"
    for name, network in model.networks.items():
        for one, other in zip(weights(network), weights(source.networks[name]), strict=True):
            np.testing.assert_array_equal(one, other)
    # Neither the optimizers nor the random state and the average's count of updates.
    assert not any(changed(before, model.state()["model"]))
    assert all(int(player.optimizer.iterations) == 0 for player in model.players.values())


def test_an_average_that_the_other_run_has_not_begins_with_its_network(grey, tmp_path):
    plain = TinyGan(classes=3, conditional=True)
    run = Run(tmp_path / "plain")
    checkpoint.save(run.checkpoints, 1, plain)
    run.write_config("tiny_gan", {}, {})
    model = TinyGan(classes=3, conditional=True, ema=0.9)
    begin(model, None, str(run.folder))
    for one, other in zip(weights(model.average_generator), weights(plain.generator), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_does_not_fit_is_named_and_begins_anew(grey, capsys):
    run, source = grey
    options = {"classes": 4, "conditional": True, "channels": 3}
    model = TinyGan(**options)
    before = weights(model.generator)
    begin(model, None, str(run.folder), options)
    said = capsys.readouterr().out
    first, last = model.generator.weights[0], model.generator.weights[-1]
    assert f"{first.path} (8, 64) there, (9, 64) here" in said
    assert f"{last.path} (1,) there, (3,) here" in said
    assert "average_generator (not in this model)" in said
    assert "options there: --channels 1 --classes 3" in said
    for own, was, there in zip(
        weights(model.generator), before, weights(source.generator), strict=True
    ):
        np.testing.assert_array_equal(own, there if own.shape == there.shape else was)


def test_a_run_of_other_networks_is_refused(grey):
    run, _ = grey
    model = TinyGan(image_size=16, classes=3, conditional=True)
    with pytest.raises(UserError, match=r"grey: other networks: .*generator \(8 arrays"):
        begin(model, None, str(run.folder))


def test_a_killed_run_does_not_read_the_other_run_again(run_gan, tmp_path):
    """Not even before its first checkpoint; and it ends with the same bytes."""
    data = tmp_path / "grey.npz"
    np.savez(data, x_train=np.random.default_rng(0).integers(0, 255, (12, 8, 8), np.uint8))
    line = f"--dataset {data} --batch_size 4 --jit off"
    first, tuned, killed = (tmp_path / name for name in ("first", "tuned", "killed"))
    assert not run_gan(f"{line} --steps 1 --run {first}").status
    result = run_gan(f"{line} --steps 2 --seed 9 --init_from {first} --run {tuned}")
    assert not result.status and f"weights of {first}, step 1" in result.out
    assert checkpoint.steps(tuned / "checkpoints") == [0, 2]
    assert Run(tuned).config()["options"]["init_from"] == str(first)
    shutil.copytree(tuned, killed)
    (killed / "checkpoints" / "step_00000002.npz").unlink()
    other = run_gan(f"--resume --run {killed} --init_from {tuned}")
    assert other.status == 2 and f"the run was started with {first}" in other.err
    shutil.rmtree(first)
    assert not run_gan(f"--resume --run {killed}").status
    assert arrays(killed, 2) == arrays(tuned, 2)


@pytest.mark.parametrize("there, said", [("nowhere", "no run"), ("model", "a run of pix2pix")])
def test_what_is_no_run_of_the_model_is_refused(run_gan, tmp_path, there, said):
    Run(tmp_path / "model").write_config("pix2pix", {}, {})
    result = run_gan(f"--init_from {tmp_path / there} --run {tmp_path / 'new'}")
    assert result.status == 2 and result.err.startswith(f"error: --init_from {tmp_path / there}: ")
    assert said in result.err and not (tmp_path / "new").exists()
