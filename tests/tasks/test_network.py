"""--network: the generator itself, or the moving average of its weights."""

import json

from common.data.paired import PairedImages
from common.images import image_file
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import refusal
from tests.helpers.image_files import noise
from tests.helpers.tiny import Tiny

import numpy as np
import pytest


def run_of(folder, pairs_folder, ema):
    """A run whose generator and average generator differ, if it has the latter."""
    model, run = Tiny(ema=ema), Run(folder)
    for variable in model.generator.trainable_variables:
        variable.assign(variable + 0.3)
    data = PairedImages(16, 3, 3, 0, str(pairs_folder))
    sizes = {"image_size": 16, "channels_in": 3, "channels_out": 3}
    options = sizes | {"ema": ema, "seed": 0, "dataset": str(pairs_folder)}
    run.write_config("tiny", options, data.fingerprint())
    checkpoint.save(run.checkpoints, 2, model)
    return model, folder


@pytest.fixture(scope="module")
def averaged(tmp_path_factory, pairs_folder):
    return run_of(tmp_path_factory.mktemp("averaged"), pairs_folder, 0.9)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, pairs_folder):
    return run_of(tmp_path_factory.mktemp("plain"), pairs_folder, 0.0)


def predicted(run_cli, source, output, options):
    image_file.write(output / "in" / "x.png", noise(16, 16, 1))
    result = run_cli(f"predict {source} {output / 'in'} --output {output / 'out'} {options}")
    assert result.status == 0, result.err
    return image_file.read(output / "out" / "x.png").astype(int)


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ("", "average_generator"),
        ("--network average", "average_generator"),
        ("--network generator", "generator"),
    ],
)
def test_predict_and_export_use_the_network(run_cli, averaged, tmp_path, options, network):
    model, run = averaged
    x = image_file.to_unit(noise(16, 16, 1))[None]
    expected = image_file.to_uint8(model.networks[network](x, training=False))[0].astype(int)
    assert np.abs(predicted(run_cli, run, tmp_path / "a", options) - expected).max() <= 1
    assert run_cli(f"export {run} --output {tmp_path} {options}").status == 0
    saved = tmp_path / "tiny" / "1"
    assert np.abs(predicted(run_cli, saved, tmp_path / "b", "") - expected).max() <= 1


@pytest.mark.parametrize("network", ["generator", "average"])
def test_evaluate_records_the_network(run_cli, averaged, monkeypatch, network):
    monkeypatch.setattr("common.tasks.paired_translation.keras_inception_fid", lambda *_: None)
    _, run = averaged
    assert run_cli(f"evaluate {run} --network {network}").status == 0
    assert json.loads((run / "evaluation.json").read_text())["network"] == network


def test_a_run_without_an_average(run_cli, plain, tmp_path):
    _, run = plain
    made = [predicted(run_cli, run, tmp_path, each) for each in ("", "--network generator")]
    np.testing.assert_array_equal(*made)
    for verb in (f"predict {run} {tmp_path / 'in'} --output {tmp_path / 'o'}", f"export {run}"):
        refusal(run_cli)(f"{verb} --network average", str(run), "no average", "--ema")


def test_a_saved_model_has_one_network(run_cli, finished, tmp_path):
    saved = finished / "export" / "tiny" / "1"
    line = f"predict {saved} {tmp_path} --output {tmp_path / 'o'} --network generator"
    refusal(run_cli)(line, "--network", str(saved))
