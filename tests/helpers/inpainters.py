"""Runs of a small in-painting model with random weights: a pytest plugin."""

from ccgan.ccgan import CCGAN
from common.images import image_file
from common.tasks.discriminator import Classification
from common.tasks.inpainting import InPainting
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import command_line, refusal

import keras
import numpy as np
import pytest

NAMES = ["dark", "grey", "light"]
SIDE = 16
SIZES = {"image_size": SIDE, "width": 3, "d_width": 2}


def small_model(**options):
    """A small model whose weights and moving statistics are random."""
    keras.utils.set_random_seed(1)
    model = CCGAN(**(SIZES | {"classes": 3, "labels": 6} | options))
    random = np.random.default_rng(2)
    for network in model.networks.values():
        for v in network.trainable_variables:
            if "kernel" in v.path:
                v.assign(random.normal(0, 0.2, v.shape))
        for v in network.non_trainable_weights:
            v.assign(random.uniform(0.2, 0.8, v.shape))
    return model


@pytest.fixture(scope="module")
def make_inpainter_run(tmp_path_factory):
    """make_inpainter_run(option=...) -> a run of a small model, without an export; read-only.

    Its dataset has 30 training and 12 test images of flat blocks; with labels=0 it has no labels.
    """
    folder = tmp_path_factory.mktemp("inpainting")
    random = np.random.default_rng(0)

    def make(channels=1, labels=6, baseline=False):
        splits = {}
        for split, count in (("train", 30), ("test", 12)):
            shape = (count, SIDE, SIDE, channels)
            splits[f"x_{split}"] = random.integers(0, 256, shape, np.uint8)
            if labels:
                splits[f"y_{split}"] = np.array(NAMES)[np.arange(count) % 3]
        name = f"{channels}_{labels}_{baseline}"
        np.savez(folder / f"{name}.npz", **splits)
        data = InPainting.data(seed=5, dataset=str(folder / f"{name}.npz"))
        run = Run(folder / name)
        options = SIZES | {"channels": channels, "labels": labels, "baseline": baseline}
        run.write_config("ccgan", {"seed": 5} | data.found | options, data.fingerprint())
        given = {"channels": channels, "labels": labels, "baseline": baseline}
        model = small_model(classes=data.classes, **given)
        checkpoint.save(run.checkpoints, 4, model)
        return run.folder

    return make


@pytest.fixture(scope="module")
def grey_run(make_inpainter_run):
    """A run on grey images of three classes, with its SavedModel; read-only."""
    folder = make_inpainter_run()
    task().export_trained(Run(folder))
    return folder


@pytest.fixture
def inpaint_cli(capsys):
    return command_line(capsys, CCGAN, InPainting, Classification)


@pytest.fixture
def inpaint_refused(inpaint_cli):
    return refusal(inpaint_cli)


def task():
    return InPainting(CCGAN, [Classification])


def completed_by(model, image, hole):
    """The network's own output for an image, uint8 (H, W, C), at its own size."""
    visible = (~hole[None, ..., None]).astype("float32")
    x = image_file.to_unit(image)[None]
    return image_file.to_uint8(model.sampler([x, visible], training=False)[0])


def box_hole(height, width, x, y, w, h):
    hole = np.zeros((height, width), bool)
    hole[y : y + h, x : x + w] = True
    return hole
