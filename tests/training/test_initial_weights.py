"""Initial weights that depend on the dataset: set in a new run, left alone in a resumed one."""

from common.distributed.replicas import Replicas
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.options import TrainingOptions
from common.training.run_folder import Run
from common.training.train import begin, prepare
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
