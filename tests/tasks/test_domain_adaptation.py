"""Domain adaptation: translate, classify, evaluate and export."""

import csv
import json

from common.errors import UserError
from common.evaluation import generated_images, inception, reference_classifier
from common.images import image_file
from common.tasks.discriminator import Classification
from common.tasks.domain_adaptation import DomainAdaptation
from common.training.run_folder import Run
from tests.helpers.command_line import command_line
from tests.helpers.gan_runs import cells
from tests.helpers.image_files import noise
from tests.helpers.page_reader import shown_on
from tests.helpers.tiny_domains import CLASSES, LEVELS, TinyAdapter, make_run, write_domains

import numpy as np
import pytest
import tensorflow as tf

TASK = DomainAdaptation(TinyAdapter, [Classification])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_domains(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    """A run with its SavedModel; only evaluations are written to it."""
    run = make_run(TASK, tmp_path_factory.mktemp("adaptation") / "run", dataset)
    TASK.export_trained(run)
    return run.folder


@pytest.fixture(scope="module")
def baseline(tmp_path_factory, dataset):
    run = make_run(TASK, tmp_path_factory.mktemp("baseline") / "run", dataset, baseline="source")
    TASK.export_trained(run)
    return run.folder


@pytest.fixture
def call(capsys):
    """call("predict a b") -> status, out, err."""
    return command_line(capsys, TinyAdapter, DomainAdaptation, Classification)


def saved(run):
    return run / "export" / "tiny_domains" / "1"


def translated(run, image, seed=0, count=1):
    """Translations by the run's own network: uint8 (count, 8, 8, 1)."""
    model = Run(run).load_sampler(TinyAdapter)
    x = image_file.to_unit(np.stack([image] * count))
    noise = model.latent.of_seed(seed, count)
    return image_file.to_uint8(model.generator([tf.constant(x), noise], training=False))


def assert_same(image, expected):
    """Equal up to one grey level of rounding."""
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_images_are_cropped_resized_and_translated(call, run, tmp_path):
    image_file.write(tmp_path / "x.png", noise(11, 20, 5, 1))
    square = image_file.square(noise(11, 20, 5, 1), 8)
    for number, source in enumerate((run, saved(run))):
        output = tmp_path / str(number)
        result = call(f"predict {source} {tmp_path / 'x.png'} --output {output} --seed 7")
        assert result.status == 0, result.err
        assert_same(image_file.read(output / "x.png", 1), translated(run, square, 7)[0])
        assert len([*output.glob("*.png")]) == 1
        (_, shown), (_, made) = shown_on(output / "index.html")
        assert_same(shown[..., :1], square)
        assert_same(made[..., :1], translated(run, square, 7)[0])


def test_several_translations_of_each_image(call, run, tmp_path):
    for name in "ab":
        image_file.write(tmp_path / "in" / f"{name}.png", noise(8, 8, ord(name), 1))
    output = tmp_path / "out"
    assert call(f"predict {run} {tmp_path / 'in'} --output {output} --count 3").status == 0
    assert sorted(path.name for path in output.glob("*.png")) == [
        f"{name}_{number}.png" for name in "ab" for number in range(3)
    ]
    for name in "ab":  # the same noise for both
        expected = translated(run, noise(8, 8, ord(name), 1), 0, 3)
        for number in range(3):
            assert_same(image_file.read(output / f"{name}_{number}.png", 1), expected[number])
        assert np.abs(expected[0].astype(int) - expected[1]).max() > 1


def test_images_of_the_target_are_classified(call, run, tmp_path):
    for name, level in zip(CLASSES, LEVELS, strict=True):
        image_file.write(tmp_path / "in" / f"{name}.png", np.full((11, 20, 3), level, np.uint8))
    result = call(f"predict {run} {tmp_path / 'in'} --output {tmp_path / 'o'} --classify")
    assert result.status == 0, result.err
    with open(tmp_path / "o" / "predictions.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["class"] for row in rows] == CLASSES
    assert [row["file"] for row in rows] == [str(tmp_path / "in" / f"{n}.png") for n in CLASSES]
    assert "3 images classified" in result.out
    assert not [*(tmp_path / "o").glob("*.png")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{run} {x} --count 0", "--count 0: give 1 or more"),
        ("{run} {x} --seed -1", "--seed -1"),
        ("{run} {x} --classify --count 2", "--classify: takes neither --count nor --seed"),
        ("{run} nowhere.png", "nowhere.png: no such image"),
        ("{saved} {x} --classify", "only translates images; classify with the run"),
        ("{saved} {x} --best", "--best: fixed in the SavedModel"),
        ("{baseline} {x}", "only classifies; to translate, give one without it"),
    ],
)
def test_errors_of_predict_are_one_line(call, run, baseline, tmp_path, arguments, said):
    image_file.write(tmp_path / "x.png", noise(9, 9, 1))
    places = {"run": run, "saved": saved(run), "baseline": baseline, "x": tmp_path / "x.png"}
    line = arguments.format(**places)
    result = call(f"predict {line} --output {tmp_path / 'out'}")
    assert result.status == 2
    (error,) = result.err.splitlines()
    assert said in error and not (tmp_path / "out").exists()


def test_a_saved_model_of_another_kind_is_refused(call, tmp_path):
    module = tf.Module()
    x = tf.TensorSpec((None, 8, 8, 1), name="image")
    module.f = tf.function(lambda image: {"translated": image}, input_signature=[x])
    tf.saved_model.save(module, str(tmp_path / "other"), {"serving_default": module.f})
    image_file.write(tmp_path / "x.png", noise(9, 9, 1))
    result = call(f"predict {tmp_path / 'other'} {tmp_path / 'x.png'} --output {tmp_path / 'o'}")
    assert result.status == 2 and "not a translator with noise" in result.err


def test_the_help_of_predict_tells_of_both(call):
    words = " ".join(call("predict --help").out.split())
    assert "Translates images of the source" in words and "--classify" in words
    assert "generate images from noise" not in words


def test_the_export_has_the_translator_and_the_classifier(run, baseline):
    loaded = tf.saved_model.load(str(saved(run)))
    assert set(loaded.signatures) == {"serving_default", "serving_classify"}
    about = json.loads((saved(run) / "assets.extra" / "noise_translator.json").read_text())
    assert about["class_names"] == CLASSES and about["image_size"] == 8
    x = np.full((3, 8, 8, 1), [[[[-0.9]]], [[[0.1]]], [[[0.9]]]], "float32")
    said = loaded.signatures["serving_classify"](image=tf.constant(x))["probability"]
    np.testing.assert_array_equal(np.argmax(said, axis=1), [0, 1, 2])
    warm_up = saved(run) / "assets.extra" / "tf_serving_warmup_requests"
    assert len(list(tf.data.TFRecordDataset(str(warm_up)))) == 2
    alone = tf.saved_model.load(str(saved(baseline)))  # without a translator
    assert "image" in alone.signatures["serving_default"].structured_input_signature[1]
    assert "noise" not in alone.signatures["serving_default"].structured_input_signature[1]


# Evaluation.


class ReferenceSet:
    """Stub for the real one, whose reference classifier would have to be trained."""

    def __init__(self, data, count, split):
        self.data, self.count, self.split = data, count, split

    def table(self, images, labels):
        ReferenceSet.seen = images, labels, self.data, self.split
        return {"fid": len(images)}


@pytest.fixture
def stubs(monkeypatch):
    monkeypatch.setattr(reference_classifier, "SMALLEST", 1)
    monkeypatch.setattr(generated_images, "ReferenceSet", ReferenceSet)
    for written in ("format_table", "reference_note"):
        monkeypatch.setattr(generated_images, written, str)
    monkeypatch.setattr(generated_images, "table", lambda results: [["", "fid"], ["a", "6"]])


def test_evaluate(call, run, stubs):
    result = call(f"evaluate {run} --seed 3")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert report["results"] == {"fid": 8} and report["step"] == 4
    assert report["classifier"] == {
        **{"count": 8, "accuracy": 7 / 8, "worst_class": pytest.approx(2 / 3)}
    }
    assert report["transductive"] == {"count": 9, "accuracy": 7 / 9}
    assert "87.50% accuracy on 8 real test images" in result.out
    images, labels, data, split = ReferenceSet.seen
    assert data.name.endswith("target.npz") and split == "test"
    source = TASK.data_of(Run(run)).source
    x, y = source.arrays("test")
    np.testing.assert_array_equal(labels, y)
    model = Run(run).load_sampler(TinyAdapter)
    noise = model.latent.of_seed(3, 8)
    expected = model.generator([tf.constant(image_file.to_unit(x)), noise], training=False)
    assert_same(images, image_file.to_uint8(expected))
    shown = shown_on(Run(run).evaluation_page)
    assert_same(shown[0][1][..., :1], x[0])


def test_evaluate_a_baseline(call, baseline, stubs):
    result = call(f"evaluate {baseline}")
    assert result.status == 0, result.err
    report = json.loads(Run(baseline).evaluation_file.read_text())
    assert "results" not in report and report["classifier"]["accuracy"] == 7 / 8


def test_a_target_without_labels_is_evaluated_without_them(call, stubs, tmp_path, monkeypatch):
    def missing():
        raise UserError("the weights cannot be downloaded")

    monkeypatch.setattr(inception, "keras_inception", missing)
    dataset = write_domains(tmp_path, target_labels=False)
    run = make_run(TASK, tmp_path / "run", dataset)
    result = call(f"evaluate {run.folder} --show 0")
    assert result.status == 0, result.err
    report = json.loads(run.evaluation_file.read_text())
    assert "classifier" not in report and "transductive" not in report
    data = TASK.data_of(run)
    with pytest.raises(UserError, match=r"--evaluate_every: .*target.npz have no labels; leave it"):
        TASK.metrics_of(None, data)


# During training.


def test_the_metric_is_the_accuracy_on_training_images_of_the_target(run):
    data, model = TASK.data_of(Run(run)), TinyAdapter()
    assert TASK.metrics_of(model, data) == {"target_accuracy": 1}
    assert TASK.measure(model, data, 100)() == {"target_accuracy": pytest.approx(7 / 9)}


def test_the_sample_grid(run, baseline):
    data = TASK.data_of(Run(run))
    model = Run(run).load_sampler(TinyAdapter)
    grid = cells(TASK.sample_grid(model, data)(), 4, 8)
    source, target = (domain.arrays("test", 8)[0] for domain in (data.source, data.target))
    np.testing.assert_array_equal(grid[0], source)
    np.testing.assert_array_equal(grid[3], target)
    noise = model.latent.of_seed(0, 2).numpy()
    for row in (1, 2):
        z = tf.constant(np.tile(noise[row - 1], (8, 1)))
        y = model.generator([tf.constant(image_file.to_unit(source)), z], training=False)
        assert_same(grid[row], image_file.to_uint8(y))
    of_baseline = TASK.sample_grid(TinyAdapter(baseline="source"), data)()
    np.testing.assert_array_equal(cells(of_baseline, 2, 8), grid[[0, 3]])
