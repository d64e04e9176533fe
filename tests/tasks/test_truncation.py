"""Truncated sampling: the images, the statistics that belong to them, and what evaluate says."""

from types import SimpleNamespace

from common.evaluation import generated_images, reference_classifier
from common.images import image_file
from common.images.captions import beside, titled
from common.inference.interpolation import ROWS
from common.inference.sampler import sampler_of
from common.inference.truncation import BATCH_SIZE, BATCHES, truncated
from common.nn import weight_average
from common.nn.latent import Truncation as Threshold
from common.serving.sampler import export_sampler, load_sampler
from common.tasks.generation import Generation
from common.tasks.truncation import TruncatedSampling, Truncation
from tests.helpers.command_line import command_line, refusal
from tests.helpers.gan_runs import assert_same, make_model, make_run, written
from tests.helpers.models import values
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest
import tensorflow as tf

SEED = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A class-conditional run; read-only."""
    return make_run(tmp_path_factory.mktemp("truncation") / "run", conditional=True)


@pytest.fixture
def cli(capsys):
    return command_line(capsys, TinyGan, Generation, Truncation)


def expected(threshold, mode, count):
    """Images of all classes in turn, with statistics of the same truncation."""
    model = make_model(conditional=True)
    latent, batches = model.latent, []
    for number in range(BATCHES):
        z = latent.truncated(latent.array_of_seed(number, BATCH_SIZE), Threshold(threshold, mode))
        y = (number * BATCH_SIZE + np.arange(BATCH_SIZE)) % 3
        batches.append([tf.constant(z), tf.one_hot(y, 3)])
    weight_average.estimate_statistics(model.generator, batches)
    z = latent.truncated(latent.array_of_seed(SEED, count), Threshold(threshold, mode))
    y = tf.one_hot(np.arange(count) % 3, 3)
    return image_file.to_uint8(model.generator([tf.constant(z), y], training=False))


@pytest.mark.parametrize("mode", ["resample", "scale"])
def test_predict_truncates_the_noise_and_estimates_statistics_for_it(cli, run, tmp_path, mode):
    line = f"predict '{run}' --output '{tmp_path}' --count 6 --seed {SEED} --truncation 0.5"
    result = cli(line + ("" if mode == "resample" else " --truncation_mode scale"))
    assert result.status == 0, result.err
    for image, same in zip(written(tmp_path).values(), expected(0.5, mode, 6), strict=True):
        assert_same(image, same)


def test_several_truncations_give_a_grid_of_each_side_by_side(cli, run, tmp_path):
    shared = f"predict '{run}' --count 6 --seed {SEED} --output"
    assert cli(f"{shared} '{tmp_path / 'all'}' --truncation 0.3,2").status == 0
    parts = []
    for t in (0.3, 2):
        assert cli(f"{shared} '{tmp_path / str(t)}' --truncation {t} --grid").status == 0
        parts.append(image_file.read(tmp_path / str(t) / "grid.png", 1))
    together = image_file.read(tmp_path / "all" / "truncation.png", 1)
    titles = "truncation 0.3", "truncation 2"
    expected = beside([titled(part, title) for part, title in zip(parts, titles, strict=True)])
    np.testing.assert_array_equal(together, expected)
    assert np.abs(parts[0].astype(int) - parts[1]).max() > 20


def test_interpolations_between_classes_can_be_truncated(cli, run, tmp_path):
    line = f"predict '{run}' --output '{tmp_path}' --interpolate 3 --label 0 --label_to 2"
    assert cli(f"{line} --truncation 0.5").status == 0
    one = image_file.read(tmp_path / ROWS, 1)
    assert cli(line).status == 0
    assert np.abs(one.astype(int) - image_file.read(tmp_path / ROWS, 1)).max() > 5


def test_a_saved_model_takes_truncated_noise_with_its_own_statistics(tmp_path):
    model = make_model(conditional=True)
    folder = export_sampler(model, tmp_path, "tiny_gan", 1)
    sampler = TruncatedSampling(truncation="0.5").applied(load_sampler(folder))
    noise, labels = sampler.noise(SEED, 4), np.array([0, 1, 2, 0])
    assert np.abs(noise).max() <= 0.5
    inputs = [tf.constant(noise), tf.one_hot(labels, 3)]
    own = image_file.to_uint8(model.generator(inputs, training=False))
    assert_same(sampler.all(noise, labels), own)


def test_a_generator_without_classes_can_be_truncated():
    sampler = truncated(sampler_of(make_model()), Threshold(0.5))
    assert sampler.all(sampler.noise(0, 2)).shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--truncation 0", "--truncation 0: give a number above 0"),
        ("--truncation 1,-1", "--truncation 1,-1: give a number above 0"),
        ("--truncation half", "--truncation half: give a number above 0"),
        ("--truncation_mode scale", "--truncation_mode scale: needs --truncation"),
        ("--truncation 1,2 --grid", "--grid: several truncations are grids already"),
        ("--truncation 1,2 --interpolate 3", "--truncation: interpolations are a grid already"),
    ],
)
def test_options_that_do_not_fit_are_refused(cli, run, tmp_path, options, said):
    refusal(cli)(f"predict '{run}' --output '{tmp_path}' {options}", said)


class Reference:
    """In place of a `ReferenceSet`: its classifier calls an image by its brightness."""

    def __init__(self, *_):
        self.classifier = SimpleNamespace(logits=logits)

    def measure(self, images, labels):
        names = ("fid", "precision", "recall", "inception_score", "worst_class")
        accuracy = float((logits(images).argmax(1) == labels).mean())
        return dict.fromkeys(names, 1.0) | {"accuracy": accuracy}


def logits(images):
    level = images.mean(axis=(1, 2, 3)) / 85
    return -np.square(level[:, None] - np.arange(3))


def test_evaluate_compares_truncations_and_leaves_the_statistics_as_they_were(monkeypatch, capsys):
    monkeypatch.setattr(generated_images, "ReferenceSet", Reference)
    monkeypatch.setattr(reference_classifier, "unavailable_reason", lambda data: "")
    model, tables, shown = make_model(conditional=True), [], []
    page = SimpleNamespace(
        table=lambda cells, _: tables.append(cells), row=lambda _, images: shown.append(images)
    )
    report = {"count": 90, "seed": 0, "split": "test"}
    data = SimpleNamespace(classes=3, class_names=["zero", "one", "many"])
    evaluation = SimpleNamespace(model=model, data=data, report=report, page=page, show=6)
    before = values(model.variables)
    Truncation().evaluate(evaluation)
    for one, other in zip(before, values(model.variables), strict=True):
        np.testing.assert_array_equal(one, other)
    rows = report["truncation"]["rows"]
    assert list(rows) == ["none", "1.0", "0.5"] == list(shown[0])
    assert rows["none"]["variance"] == pytest.approx(1)
    assert 0 < rows["0.5"]["variance"] < rows["1.0"]["variance"]
    assert all(1 / 3 <= row["confidence"] <= 1 for row in rows.values())
    assert [len(cells) for cells in tables] == [4]
    assert "confidence" in capsys.readouterr().out
