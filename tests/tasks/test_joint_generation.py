"""Generation of pairs: metrics of pairs and of domains, baselines, the classifier beside it."""

import json

from common.data.domains import JointDomains
from common.errors import UserError
from common.evaluation import generated_images, reference_classifier
from common.images import image_file
from common.images.grid import square_grid
from common.inference.sampler import sampler_of
from common.tasks.discriminator import Classification
from common.tasks.joint_generation import JointGeneration, separated
from common.training.run_folder import Run
from tests.helpers.command_line import command_line
from tests.helpers.gan_runs import cells
from tests.helpers.page_reader import shown_on
from tests.helpers.tiny_domains import TinyCouple, make_run, write_domains

import numpy as np
import pytest
import tensorflow as tf

TASK = JointGeneration(TinyCouple, [Classification])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_domains(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def make(tmp_path_factory, dataset):
    """make(**options) -> the folder of a run with its SavedModel."""

    def call(**options):
        run = make_run(TASK, tmp_path_factory.mktemp("joint") / "run", dataset, **options)
        TASK.export_trained(run)
        return run.folder

    return call


@pytest.fixture(scope="module")
def run(make):
    """A run with a classifier; only evaluations are written to it."""
    return make()


@pytest.fixture
def call(capsys):
    """call("predict a b") -> status, out, err."""
    return command_line(capsys, TinyCouple, JointGeneration, Classification)


def saved(run):
    return run / "export" / "tiny_domains" / "1"


def pairs(run, seed, count):
    """Pairs by the run's own network: uint8 (count, 8, 16, 1)."""
    model = Run(run).load_sampler(TinyCouple)
    noise = model.latent.of_seed(seed, count)
    return image_file.to_uint8(model.generator(noise, training=False))


def assert_same(image, expected):
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


class Brightness:
    """Stub for a reference classifier: the class is the mean brightness."""

    def __init__(self, data):
        self.data = data

    def logits(self, x):
        classes = (x.mean(axis=(1, 2, 3)) / 86).astype(int)
        return np.eye(3)[classes]


class ReferenceSet:
    """Stub for the real one, whose reference classifier would have to be trained."""

    def __init__(self, data, count, split):
        self.data = data

    def table(self, images, labels):
        assert labels is None
        return {"of": self.data.name, "images": images.tolist()}


@pytest.fixture
def stubs(monkeypatch):
    monkeypatch.setattr(reference_classifier, "SMALLEST", 1)
    monkeypatch.setattr(reference_classifier, "trained_classifier", Brightness)
    monkeypatch.setattr(generated_images, "ReferenceSet", ReferenceSet)
    for written in ("format_table", "reference_note"):
        monkeypatch.setattr(generated_images, written, lambda results: results["of"])
    monkeypatch.setattr(generated_images, "table", lambda results: [["", "fid"], ["a", "6"]])


def test_pairs_are_drawn_side_by_side(call, run, tmp_path):
    for number, source in enumerate((run, saved(run))):
        result = call(f"predict {source} --output {tmp_path / str(number)} --count 2 --seed 4")
        assert result.status == 0, result.err
        for index, expected in enumerate(pairs(run, 4, 2)):
            assert_same(image_file.read(tmp_path / str(number) / f"000{index}.png", 1), expected)


def test_separated_pairs(run):
    shown = pairs(run, 0, 3)
    a, b = separated(shown)
    np.testing.assert_array_equal(np.concatenate([a, b], axis=2), shown)


def test_images_of_the_target_are_classified(call, run, tmp_path):
    image_file.write(tmp_path / "white.png", np.full((9, 9, 1), 230, np.uint8))
    result = call(f"predict {run} {tmp_path / 'white.png'} --output {tmp_path / 'o'}")
    assert result.status == 0, result.err
    assert ",white," in (tmp_path / "o" / "predictions.csv").read_text()


def test_a_run_without_a_classifier(call, make, stubs, tmp_path):
    run = make(class_weight=0.0)
    image_file.write(tmp_path / "white.png", np.full((9, 9, 1), 230, np.uint8))
    result = call(f"predict {run} {tmp_path / 'white.png'} --output {tmp_path / 'o'}")
    assert result.status == 2
    assert f"{run}: has no classifier, since it was trained without labels; train" in result.err
    assert set(tf.saved_model.load(str(saved(run))).signatures) == {
        *("serving_default", "serving_seed")
    }
    result = call(f"evaluate {run} --count 5")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert "classifier" not in report and "transductive" not in report
    data = TASK.data_of(Run(run))
    assert TASK.metrics_of(Run(run).load_sampler(TinyCouple), data) == {"label_agreement": 1}


def test_evaluate(call, run, stubs):
    result = call(f"evaluate {run} --count 5 --seed 3")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    shown = pairs(run, 3, 5)
    a, b = separated(shown)
    classes = [Brightness(None).logits(x).argmax(axis=1) for x in (a, b)]
    assert report["pairs"]["pairs"] == {"label_agreement": np.mean(classes[0] == classes[1])}
    chance = np.mean(classes[0] == np.roll(classes[1], 1))
    assert report["pairs"]["by chance"] == {"label_agreement": chance}
    for name, images in (("source", a), ("target", b)):
        found = report[name]["results"]
        assert found["of"].endswith(f"{name}.npz")
        assert_same(np.array(found["images"], np.uint8), images)
    assert report["classifier"]["accuracy"] == 7 / 8
    assert report["transductive"] == {"count": 9, "accuracy": 7 / 9}
    assert "by chance" in result.out and "same class" in result.out
    assert_same(shown_on(Run(run).evaluation_page)[0][1][..., :1], shown[0])


def test_a_baseline_only_classifies(call, make, stubs, tmp_path):
    run = make(baseline="target")
    result = call(f"predict {run} --output {tmp_path / 'o'}")
    assert result.status == 2
    assert "--baseline only classifies; to generate images, give one" in result.err
    image_file.write(tmp_path / "white.png", np.full((9, 9, 1), 230, np.uint8))
    assert call(f"predict {run} {tmp_path / 'white.png'} --output {tmp_path / 'o'}").status == 0
    assert call(f"evaluate {run}").status == 0
    report = json.loads(Run(run).evaluation_file.read_text())
    assert "pairs" not in report and report["classifier"]["accuracy"] == 7 / 8
    assert "transductive" not in report  # it was trained on these labels
    loaded = tf.saved_model.load(str(saved(run)))
    assert "probability" in loaded.signatures["serving_classify"].structured_outputs
    assert "serving_seed" not in loaded.signatures


# During training.


def test_metrics_of_domains(run, stubs, tmp_path):
    model, data = Run(run).load_sampler(TinyCouple), TASK.data_of(Run(run))
    assert TASK.metrics_of(model, data) == {"label_agreement": 1, "target_accuracy": 1}
    measured = TASK.measure(model, data, 6)()
    a, b = separated(pairs(run, 0, 6))
    classes = [Brightness(None).logits(x).argmax(axis=1) for x in (a, b)]
    assert measured["label_agreement"] == np.mean(classes[0] == classes[1])
    x, y = data.target.arrays("train", 6)
    expected = np.mean(model.classify(image_file.to_unit(x)).numpy().argmax(axis=1) == y)
    assert measured["target_accuracy"] == pytest.approx(expected)
    changed = JointDomains(8, 0, "digits_negatives")
    assert "pixel_agreement" in TASK.metrics_of(model, changed)
    unlabelled = JointDomains(8, 0, write_domains(tmp_path, target_labels=False))
    with pytest.raises(UserError, match=r"have no labels, .*; leave --evaluate_every out"):
        TASK.metrics_of(model, unlabelled)


def test_the_sample_grid_shows_pairs_or_for_a_baseline_test_images(run):
    data, model = TASK.data_of(Run(run)), Run(run).load_sampler(TinyCouple)
    grid = TASK.sample_grid(model, data)()
    pairs = sampler_of(model).all(model.latent.array_of_seed(0, 64))
    assert_same(grid[-82:, : 8 * 18 + 2], square_grid(pairs))  # below a title
    of_baseline = TASK.sample_grid(TinyCouple(baseline="source"), data)()
    source, target = cells(of_baseline, 2, 8)
    np.testing.assert_array_equal(source, data.source.arrays("test", 8)[0])
    np.testing.assert_array_equal(target, data.target.arrays("test", 8)[0])
