"""Capabilities of a discriminator: classification, and a linear probe of its features."""

import csv
import json

from common.errors import UserError
from common.evaluation import reference_classifier
from common.images import image_file
from common.serving import saved_model
from common.tasks import generation
from common.tasks.discriminator import Classification, LinearProbe
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.command_line import command_line
from tests.helpers.tiny_gan import TinyGan

import keras
import numpy as np
import pytest
import tensorflow as tf

NAMES = ["black", "grey", "white"]
LEVELS = {"black": 20, "grey": 127, "white": 230}


class TinyClassifier(TinyGan):
    """A tiny generator with a classifier of the mean brightness.

    Args:
        image_size: side of the images in pixels.
        channels: channels of the images.
        classes: number of classes.
        conditional: whether the sampler takes the class too.
        baseline: whether the classifier alone is trained.
    """

    has_baseline = True

    def __init__(
        self,
        image_size: int = 8,
        channels: int = 1,
        classes: int = 3,
        conditional: bool = True,
        baseline: bool = False,
    ):
        super().__init__(image_size, channels, classes, conditional=conditional)
        self.baseline = baseline
        x = keras.Input((image_size, image_size, channels))
        h = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
        self.classifier = keras.Model(x, h, name="classifier")

    @property
    def networks(self):
        return super().networks | {"classifier": self.classifier}

    def classify(self, x):
        return tf.nn.softmax(self.classifier(x, training=False))

    def features(self, x):
        return tf.reduce_mean(x, axis=(1, 2))


def brightness_weights(scale):
    """Logits -scale m, scale / 2, scale m for a mean m in [-1, 1]: three classes of brightness."""
    return [np.array([[-scale, 0, scale]], "float32"), np.array([0, scale / 2, 0], "float32")]


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """make_run(name, ...) -> a run of 4 steps on 9 + 8 flat images.

    The best checkpoint has another classifier. Of the eight test images a white one is labelled
    black.
    """
    folder = tmp_path_factory.mktemp("classifier")
    levels = np.array(list(LEVELS.values()))

    def flat(labels):
        return np.broadcast_to(levels[labels][:, None, None], (len(labels), 8, 8)).astype(np.uint8)

    y, shown = np.arange(9) % 3, np.array([0, 0, 1, 1, 1, 2, 2, 2])
    y_test = np.array([*shown[:-1], 0])
    named = {"y_train": np.array(NAMES)[y], "y_test": np.array(NAMES)[y_test]}
    np.savez(folder / "flat.npz", x_train=flat(y), x_test=flat(shown), **named)

    def make(name, **options):
        data = Generation.data(seed=5, dataset=str(folder / "flat.npz"))
        keras.utils.set_random_seed(3)
        model = TinyClassifier(**options)
        run = Run(folder / name)
        noted = {"seed": 5} | data.found | {"class_names": NAMES} | options
        run.write_config("test_discriminator", noted, data.fingerprint())
        model.classifier.set_weights(brightness_weights(4))
        checkpoint.save(run.checkpoints, 4, model)
        model.classifier.set_weights(brightness_weights(-4))
        run.keep_best(model, 2, "fid", 1.0)
        return run.folder

    return make


@pytest.fixture(scope="module")
def run(make_run):
    """A run whose sampler takes the class; not to be changed."""
    return make_run("run")


@pytest.fixture
def run_cli(capsys):
    return command_line(capsys, TinyClassifier, Generation, Classification)


@pytest.fixture
def inputs(tmp_path):
    """Three RGB images of other sides than the model's."""
    for name, level in LEVELS.items():
        image_file.write(tmp_path / "in" / f"{name}.png", np.full((11, 20, 3), level, np.uint8))
    return tmp_path / "in"


def read_rows(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_images_are_classified(run_cli, run, inputs, tmp_path):
    result = run_cli(f"predict '{run}' '{inputs}' '{inputs / 'white.png'}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    rows = read_rows(tmp_path / "o" / "predictions.csv")
    assert [row["class"] for row in rows] == NAMES  # white.png counts once
    files = [str(inputs / f"{name}.png") for name in NAMES]
    assert [row["file"] for row in rows] == files
    for row in rows:
        mean = LEVELS[row["class"]] / 127.5 - 1
        logits = np.array([-4 * mean, 2, 4 * mean])
        probability = np.exp(logits.max()) / np.exp(logits).sum()
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-4)
        assert f"{row['file']}: {row['class']} ({row['probability']})" in result.out
    assert "3 images classified" in result.out
    assert "3 images classified" in (tmp_path / "o" / "index.html").read_text()


def test_bad_images_do_not_stop_the_classification_of_others(run_cli, run, inputs, tmp_path):
    (inputs / "bad.png").write_text("no image")
    result = run_cli(f"predict '{run}' '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 2 and "bad.png" in result.err and "--skip_bad_images" in result.err
    assert [row["class"] for row in read_rows(tmp_path / "o" / "predictions.csv")] == NAMES
    assert "bad.png" in (tmp_path / "o" / "index.html").read_text()
    options = f"--output '{tmp_path}/o' --skip_bad_images"
    assert run_cli(f"predict '{run}' '{inputs}' {options}").status == 0


def test_a_classifier_beside_a_sampler_without_classes(run_cli, make_run, inputs, tmp_path):
    run = make_run("unconditional", conditional=False)
    assert run_cli(f"predict '{run}' '{inputs}' --output '{tmp_path}/o'").status == 0
    assert [r["class"] for r in read_rows(tmp_path / "o" / "predictions.csv")] == NAMES
    assert run_cli(f"predict '{run}' --output '{tmp_path}/noise' --count 1").status == 0
    assert (tmp_path / "noise" / "0000.png").is_file()


def test_the_best_checkpoint_is_another_classifier(run_cli, run, inputs, tmp_path):
    line = f"predict '{run}' '{inputs}' --best --output '{tmp_path}/o'"
    assert run_cli(line).status == 0
    rows = read_rows(tmp_path / "o" / "predictions.csv")
    assert [row["class"] for row in rows] == ["white", "white", "black"]


def test_images_are_generated_without_inputs(run_cli, run, tmp_path):
    result = run_cli(f"predict '{run}' --output '{tmp_path}/o' --count 2 --label white")
    assert result.status == 0, result.err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "0000_white.png",
        "0001_white.png",
        "index.html",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'{run}' nowhere.png", "nowhere.png: no such image"),
        ("'{run}' '{run}/config.json'", "config.json"),
        ("'{run}' '{inputs}' --grid", "--grid: is for images from noise"),
        ("'{run}' '{inputs}' --label white", "leave it out to classify"),
        ("'{inputs}' '{inputs}'", "no run"),
        ("'{run}' --recursive", "--recursive: is for input images; leave it out, or name some"),
    ],
)
def test_errors_are_one_line(run_cli, run, inputs, tmp_path, arguments, said):
    line = f"predict {arguments} --output '{tmp_path}/o'".format(run=run, inputs=inputs)
    result = run_cli(line)
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert said in line
    assert not (tmp_path / "o").exists()


def test_a_saved_model_does_not_classify(run_cli, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "contains", lambda *_: True)
    result = run_cli(f"predict somewhere '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 2
    assert "somewhere: a SavedModel only generates images; classify with the run" in result.err


def test_the_export_classifies_as_the_run_does(run_cli, run, tmp_path):
    assert run_cli(f"export '{run}' --output '{tmp_path}'").status == 0
    loaded = tf.saved_model.load(str(tmp_path / "test_discriminator" / "1"))
    x = np.full((3, 8, 8, 1), [[[[-0.9]]], [[[0.1]]], [[[0.9]]]], "float32")
    said = loaded.signatures["serving_classify"](image=tf.constant(x))["probability"]
    logits = np.array([[-4 * m, 2, 4 * m] for m in (-0.9, 0.1, 0.9)])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said, expected, atol=1e-5)


class ReferenceSet:
    """Stub for the real one, whose reference classifier would have to be trained."""

    def __init__(self, data, count, split):
        self.count = count

    def table(self, images, labels):
        return {"fid": len(images)}


def test_evaluate_adds_the_test_accuracy(run_cli, run, monkeypatch):
    monkeypatch.setattr(reference_classifier, "SMALLEST", 1)
    monkeypatch.setattr(generation.generated_images, "ReferenceSet", ReferenceSet)
    for written in ("format_table", "reference_note"):
        monkeypatch.setattr(generation.generated_images, written, str)
    table = [["", "fid"], ["a", "6"]]
    monkeypatch.setattr(generation.generated_images, "table", lambda results: table)
    result = run_cli(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert report["results"] == {"fid": 6}
    classifier = report["classifier"]
    assert classifier == {"count": 8, "accuracy": 7 / 8, "worst_class": pytest.approx(2 / 3)}
    assert "87.50% accuracy on 8 real test images, 66.67% on the worst class" in result.out
    assert "Confusion matrix" in Run(run).evaluation_page.read_text()

    other = run_cli(f"evaluate '{run}' --count 6 --best --split train")
    assert other.status == 0, other.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert (report["split"], report["classifier"]["accuracy"]) == ("train", 1 / 8)


@pytest.fixture
def no_reference_classifier(monkeypatch):
    """Training it would take too long."""
    monkeypatch.setattr(
        reference_classifier, "unavailable_reason", lambda data: "no reference classifier"
    )


def test_capabilities_combine(capsys, make_run, no_reference_classifier):
    run = make_run("both", conditional=False)
    call = command_line(capsys, TinyClassifier, Generation, LinearProbe, Classification)
    result = call(f"evaluate '{run}' --count 6")
    assert result.status == 0, result.err
    report = json.loads(Run(run).evaluation_file.read_text())
    assert report["classifier"]["accuracy"] == report["features"]["accuracy"] == 7 / 8
    words = " ".join(call("evaluate --help").out.split())
    assert "Also evaluates a linear probe" in words
    assert "Also evaluates the model's classifier" in words


class Edges(TinyGan):
    """A tiny generator whose feature is the edge in the middle of an image.

    Args:
        image_size: side of the images in pixels.
        channels: channels of the images.
        classes: number of classes.
    """

    def __init__(self, image_size: int = 8, channels: int = 1, classes: int = 2):
        super().__init__(image_size, channels, classes)

    def features(self, x):
        return tf.abs(x[:, 4, 3] - x[:, 4, 4])


def edges(count, seed):
    """Images whose left and right half are black and white, or both alike: no pixel tells which."""
    random = np.random.default_rng(seed)
    left, edge = random.integers(0, 2, (2, count))
    x = np.repeat(np.stack([left, left ^ edge], axis=1)[:, None], 8, axis=1).repeat(4, axis=2)
    return (255 * x).astype(np.uint8), edge


@pytest.fixture(scope="module")
def edge_runs(tmp_path_factory):
    """Untrained runs on images of edges, labelled and unlabelled."""
    folder = tmp_path_factory.mktemp("features")
    (x, y), (x_test, y_test) = edges(60, 0), edges(30, 1)
    runs = {}
    for name, labels in {"labelled": {"y_train": y, "y_test": y_test}, "unlabelled": {}}.items():
        np.savez(folder / f"{name}.npz", x_train=x, x_test=x_test, **labels)
        data = Generation.data(seed=0, dataset=str(folder / f"{name}.npz"))
        run = Run(folder / name)
        run.write_config("test_discriminator", {"seed": 0} | data.found, data.fingerprint())
        checkpoint.save(run.checkpoints, 1, Edges())
        runs[name] = run.folder
    return runs


@pytest.fixture
def edges_cli(capsys):
    return command_line(capsys, Edges, Generation, LinearProbe)


def test_the_linear_probe_compares_features_with_pixels(
    edge_runs, edges_cli, no_reference_classifier
):
    result = edges_cli(f"evaluate '{edge_runs['labelled']}' --count 20")
    assert result.status == 0, result.err
    features = json.loads((edge_runs["labelled"] / "evaluation.json").read_text())["features"]
    assert features["accuracy"] == 1
    assert features["accuracy_of_pixels"] < 0.8
    assert (features["labels"], features["count"]) == (60, 30)
    said = "60 labels: 100.00% accuracy on 30 real test images"
    assert said in result.out
    assert said in (edge_runs["labelled"] / "evaluation" / "index.html").read_text()


def test_images_without_labels_have_no_linear_probe(edge_runs, edges_cli):
    result = edges_cli(f"evaluate '{edge_runs['unlabelled']}' --count 20")
    assert result.status == 0, result.err
    assert "linear" not in result.out
    assert "features" not in json.loads((edge_runs["unlabelled"] / "evaluation.json").read_text())


def test_predict_takes_no_images_without_a_capability_for_them(edges_cli):
    assert "INPUTS" not in edges_cli("predict --help").out
    assert edges_cli("predict run image.png --output x").status == 2


# Baselines, whose generator is not trained.


@pytest.fixture(scope="module")
def baseline(make_run):
    return make_run("baseline", baseline=True)


def test_a_baseline_classifies_and_generates_nothing(
    run_cli, baseline, inputs, tmp_path, monkeypatch
):
    assert run_cli(f"predict {baseline} {inputs} --output {tmp_path / 'o'}").status == 0
    monkeypatch.setattr(Run, "load_sampler", None)  # it is refused before a model is loaded
    result = run_cli(f"predict {baseline} --output {tmp_path / 'o'}")
    assert result.status == 2
    assert "a run with --baseline only classifies; to generate images, give one" in result.err


def test_a_baseline_is_evaluated_by_its_classifier_alone(run_cli, baseline):
    result = run_cli(f"evaluate {baseline}")
    assert result.status == 0, result.err
    report = json.loads(Run(baseline).evaluation_file.read_text())
    assert report["classifier"]["accuracy"] == 7 / 8 and "results" not in report


def test_a_baseline_is_exported_with_its_classifier_alone(baseline):
    task = Generation(TinyClassifier, [Classification])
    folder = task.export_trained(Run(baseline))
    assert set(saved_model.load(folder).signatures) == {"serving_default", "serving_classify"}
    about = json.loads((folder / "assets.extra" / "classifier.json").read_text())
    assert about == {"class_names": NAMES}


def test_the_grid_of_a_baseline_shows_test_images_and_its_samples_are_not_measured(baseline):
    task = Generation(TinyClassifier, [Classification])
    model, data = Run(baseline).load_sampler(TinyClassifier), task.data_of(Run(baseline))
    grid = task.sample_grid(model, data)()
    assert set(np.unique(grid)) <= {0, *LEVELS.values()} | {int(grid[0, 0, 0])}
    assert np.isin(list(LEVELS.values()), grid).all()
    with pytest.raises(UserError, match="a baseline has a classifier alone; leave --evaluate_ev"):
        task.metrics_of(model, data)
