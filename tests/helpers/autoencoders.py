"""Runs of small autoencoders with random weights: a pytest plugin."""

from aae.aae import AAE
from common.images import image_file
from common.tasks.autoencoding import AutoEncoding
from common.tasks.base import Checkpoint
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import command_line

import numpy as np
import pytest

NAMES = ["dark", "grey", "light"]
PIXELS = 8


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """make_run(option=...) -> the folder of a run with random weights; read-only.

    With classes=0 its dataset has no labels.
    """
    folder = tmp_path_factory.mktemp("autoencoder")
    random = np.random.default_rng(0)
    splits = {}
    for split, count in (("train", 30), ("test", 12)):
        splits[f"x_{split}"] = random.integers(0, 256, (count, PIXELS, PIXELS), np.uint8)
        splits[f"y_{split}"] = np.array(NAMES)[np.arange(count) % 3]
    np.savez(folder / "noise.npz", **splits)
    np.savez(folder / "unlabelled.npz", **{k: x for k, x in splits.items() if k[0] == "x"})
    runs = {}

    def weights(model):
        for network in model.networks.values():
            for v in network.trainable_variables:
                v.assign(random.normal(0, 0.4, v.shape))

    def make(classes=3, **options):
        key = f"{classes} {options}"
        if key in runs:
            return runs[key]
        name = "noise.npz" if classes else "unlabelled.npz"
        data = Generation.data(seed=5, dataset=str(folder / name))
        model = AAE(PIXELS, 1, classes, **({"code_size": 3, "hidden": 16} | options))
        run = Run(folder / f"run{len(runs)}")
        about = {"seed": 5, "class_names": NAMES[:classes], "code_size": 3, "hidden": 16} | options
        run.write_config("aae", data.found | about, data.fingerprint())
        weights(model)
        run.keep_best(model, 2, "fid", 1.0)
        weights(model)
        checkpoint.save(run.checkpoints, 4, model)
        runs[key] = run.folder
        return run.folder

    return make


@pytest.fixture
def aae_cli(capsys):
    return command_line(capsys, AAE, Generation, AutoEncoding)


def model_of(run):
    return task().load(Run(run), Checkpoint())


def task():
    return Generation(AAE, [AutoEncoding])


def data_of(run):
    return Generation.data(seed=5, dataset=Run(run).config()["options"]["dataset"])


def reconstructed(model, code):
    return image_file.to_uint8(model.decoder(np.asarray(code, "float32")))


def assert_same(one, other):
    assert np.abs(np.asarray(one, int) - np.squeeze(np.asarray(other, int))).max() <= 1
