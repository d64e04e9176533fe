"""Evaluation of auto-encoders: the verb, and samples and metrics during training."""

import json

from aae.aae import AAE
from common.evaluation import reference_classifier
from common.images import image_file
from common.inference.autoencoder import Coder, prior_codes
from common.metrics.representation import reconstruction_mse
from common.tasks import generation
from common.training.run_folder import Run
from tests.helpers.autoencoders import (
    PIXELS,
    assert_same,
    data_of,
    model_of,
    reconstructed,
    task,
)
from tests.helpers.page_reader import shown_on

import keras
import numpy as np
import pytest

pytest_plugins = ["tests.helpers.autoencoders"]


class ReferenceSet:
    """A stub without a reference classifier, which would have to be trained."""

    def __init__(self, data, count, split="test"):
        self.count = count

    def table(self, shown, labels):
        return {"fid": len(shown)}

    def measure(self, shown, labels):
        return {"fid": float(len(shown))}


@pytest.fixture
def reference_set(monkeypatch):
    monkeypatch.setattr(reference_classifier, "SMALLEST", PIXELS)
    monkeypatch.setattr(generation.generated_images, "ReferenceSet", ReferenceSet)
    for written in ("format_table", "reference_note"):
        monkeypatch.setattr(generation.generated_images, written, str)
    monkeypatch.setattr(
        generation.generated_images, "table", lambda results: [["", "fid"], ["a", "6"]]
    )


def test_evaluate(aae_cli, make_run, reference_set):
    run = make_run(labels=3, prior_std=5.0)
    result = aae_cli(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert report["results"] == {"fid": 6}
    found = report["autoencoder"]

    model = model_of(run)
    data = data_of(run)
    x, y = data.arrays("test")
    code = model.encoder(image_file.to_unit(x)).numpy()
    error = ((np.asarray(model.decoder(code)) - image_file.to_unit(x)) / 2) ** 2
    assert found["count"] == 12
    assert found["reconstruction_mse"] == pytest.approx(error.mean(), rel=1e-3)
    std = code[:, :3].std(0)
    assert found["codes"]["std"] == pytest.approx([std.min(), std.max()], rel=1e-4)
    assert 2 < found["prior"]["std"][0] < found["prior"]["std"][1] < 8
    prior = prior_codes(model, 12)
    assert (prior[:, 3:].argmax(1) == np.arange(12) % 3).all()
    real, fake = (np.asarray(model.discriminator(part))[:, 0] for part in (prior, code))
    accuracy = ((real > 0).sum() + (fake < 0).sum()) / 24
    assert found["discriminator_accuracy"] == pytest.approx(accuracy)
    class_error = (code[:, 3:].argmax(1) != y).mean()
    assert found["classification_error"] == pytest.approx(class_error)
    assert f"error {class_error:.2%}" in result.out and f"accuracy {accuracy:.1%}" in result.out


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({}, ["codes.png", "manifold.png"]),
        (
            {"supervised": True},
            ["codes.png", "manifold_label_0.png", "manifold_label_1.png", "manifold_label_2.png"],
        ),
    ],
)
def test_evaluate_plots_two_dimensional_codes(aae_cli, make_run, reference_set, options, files):
    run = make_run(code_size=2, **options)
    result = aae_cli(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    assert sorted(path.name for path in run.glob("*.png")) == files
    assert "classification_error" not in (run / "evaluation.json").read_text()


@pytest.mark.parametrize("options", [{}, {"supervised": True}, {"labels": 3}])
def test_sample_grid(make_run, options):
    model = model_of(make_run(**options))
    data = data_of(make_run())
    draw = task().sample_grid(model, data)
    before = draw()
    rows = 2 + (3 if options else 6)
    assert before.shape == (rows * 10 + 2, 102, 1)
    x, y = data.arrays("test", 10)
    np.testing.assert_array_equal(before[2:10, 2:10], x[0])
    code = Coder(model).encode(x[:1])
    if model.supervised:
        code = np.concatenate([code, np.eye(3)[y[:1]]], 1)
    assert_same(before[12:20, 2:10, 0], reconstructed(model, code))
    assert (draw() == before).all()
    for v in model.decoder.trainable_variables:
        v.assign(0.5 * v)
    after = draw()
    assert (after[:10] == before[:10]).all() and (after[10:20] != before[10:20]).any()
    assert (after[20:] != before[20:]).any()
    for v in model.decoder.trainable_variables:
        v.assign(2.0 * v)


def test_metrics_during_training(make_run, reference_set):
    model = model_of(make_run())
    data = data_of(make_run())
    measured = task().measure(model, data, 5)()
    x, _ = data.arrays("train", 5)
    x_hat = model.decoder(model.encoder(image_file.to_unit(x)))
    error = (((np.asarray(x_hat) - image_file.to_unit(x)) / 2) ** 2).mean()
    assert measured == {"fid": 5.0, "reconstruction_mse": pytest.approx(error, rel=1e-3)}
    assert set(measured) <= set(task().metrics_of(model, data))


def test_unlabelled_data_have_reconstruction_and_code_metrics_only(aae_cli, make_run):
    run = make_run(code_size=2, classes=0)
    result = aae_cli(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert "results" not in report and report["keras_inception_fid"] is None
    model, data = model_of(run), data_of(run)
    assert data.classes == 0
    x, _ = data.arrays("test")
    x_hat = Coder(model).decode(Coder(model).encode(x))
    assert report["autoencoder"]["reconstruction_mse"] == pytest.approx(
        reconstruction_mse(x, x_hat)
    )
    assert sorted(path.name for path in run.glob("*.png")) == ["codes.png", "manifold.png"]
    alts = [alt for alt, _ in shown_on(Run(run).evaluation_page)]
    assert alts[:2] == ["made by aae: Images", "real, test: Images"] and len(alts) == 6

    assert task().metrics_of(model, data) == {"reconstruction_mse": -1}
    x, _ = data.arrays("train", 5)
    expected = reconstruction_mse(x, Coder(model).decode(Coder(model).encode(x)))
    assert task().measure(model, data, 5)() == {"reconstruction_mse": pytest.approx(expected)}


def test_load_sampler_loads_only_the_decoder(make_run):
    keras.utils.set_random_seed(0)
    fresh = Run(make_run()).load_sampler(AAE)
    complete = model_of(make_run())
    for name, same in (("decoder", True), ("encoder", False)):
        pairs = zip(fresh.networks[name].weights, complete.networks[name].weights, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs) == same
