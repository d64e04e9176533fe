"""Generation: sample grids and metrics during training, evaluate, export and resuming."""

import json
import shutil
from types import SimpleNamespace
from typing import ClassVar

from common.errors import UserError
from common.evaluation import inception
from common.images import image_file
from common.inference.sampler import sampler_of
from common.metrics.sliced_wasserstein import sliced_wasserstein
from common.tasks import generation
from common.tasks.capability import Capability
from common.tasks.generation import Generation
from tests.helpers.checkpoints import arrays
from tests.helpers.command_line import command_line
from tests.helpers.gan_runs import NAMES, assert_same, cells, make_run, own_images
from tests.helpers.page_reader import shown_on
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest

pytest_plugins = ["tests.helpers.gan_fixtures"]


# During training


def state_bytes(model):
    return {name: [v.numpy().tobytes() for v in group] for name, group in model.state().items()}


def test_the_sample_grid_is_fixed_and_does_not_change_the_model():
    model = TinyGan()
    draw = Generation(TinyGan).sample_grid(model, None)
    before = state_bytes(model)
    grid = draw()
    assert grid.dtype == np.uint8
    shown = cells(grid, 8, 8).reshape(64, 8, 8, 1)
    assert_same(shown, sampler_of(model).all(model.latent.of_seed(0, 64).numpy()))
    assert state_bytes(model) == before
    np.testing.assert_array_equal(draw(), grid)
    for variable in model.generator.trainable_variables:
        variable.assign(-variable)
    assert not np.array_equal(draw(), grid)


def test_the_sample_grid_of_a_capability_takes_the_place_of_the_tasks():
    class Black(Capability):
        def sample_grid(self, model, data):
            return lambda: np.zeros((4, 4, 1), np.uint8)

    draw = Generation(TinyGan, [Capability, Black]).sample_grid(TinyGan(), None)
    np.testing.assert_array_equal(draw(), np.zeros((4, 4, 1)))


def test_the_sample_grid_of_classes():
    model = TinyGan(classes=12, conditional=True, channels=3)
    data = SimpleNamespace(class_names=[f"class {k}" for k in range(12)])
    grid = cells(Generation(TinyGan).sample_grid(model, data)(), 10, 10)
    noise = model.latent.of_seed(0, 10).numpy()
    for label in (0, 9):
        assert_same(grid[label], sampler_of(model).all(noise, np.full(10, label)))


def test_metrics_depend_on_the_model_and_the_data():
    task, data = Generation(TinyGan), Labelled()
    of_all = task.metrics_of(TinyGan(), data)
    of_classes = task.metrics_of(TinyGan(classes=12, conditional=True), data)
    assert "fid" in of_all and "accuracy" not in of_all
    assert of_classes == task.metrics and of_classes["accuracy"] == 1
    with pytest.raises(UserError, match="no labels"):
        task.metrics_of(TinyGan(), Unlabelled(5, "here"))


def test_a_capability_has_metrics_of_its_own(reference_sets):
    class Brightness(Capability):
        metrics: ClassVar = {"brightness": -1}

        def measure(self, model, data, count):
            return lambda: {"brightness": float(count)}

    task, model = Generation(TinyGan, [Brightness]), TinyGan()
    assert task.metrics_of(model, Unlabelled(5, "here")) == {"brightness": -1}
    assert task.measure(model, Unlabelled(5, "here"), 7)() == {"brightness": 7.0}
    assert set(task.measure(model, Labelled(), 7)()) == {"fid", "brightness"}
    assert task.metrics_of(model, Labelled()).keys() > {"fid", "brightness"}


def test_a_capability_may_change_the_reference_of_the_metrics(reference_sets):
    class Other(Capability):
        def evaluation_data(self, model, data):
            return ("other", data)

    data = Labelled()
    Generation(TinyGan, [Other]).measure(TinyGan(), data, 7)
    assert reference_sets()[-1].data == ("other", data)


class Labelled:
    """The part of a dataset that decides whether it has a reference classifier."""

    name, image_size, channels, classes = "here", 16, 1, 3
    class_names = ("zero", "one", "many")


class ReferenceSet:
    """Stub for the real one, which needs a reference classifier: records what it is given."""

    made = ()

    def __init__(self, data, count, split="test"):
        self.data, self.count, self.split, self.seen = data, count, split, []
        ReferenceSet.made = (*ReferenceSet.made, self)

    def measure(self, shown, labels=None):
        self.seen.append((shown, labels))
        return {"fid": float(shown.mean())}

    def table(self, shown, labels=None):
        return {"rows": {"model": self.measure(shown, labels)}, "by": self.split}


@pytest.fixture
def reference_sets(monkeypatch):
    """reference_sets() -> those that were created."""
    monkeypatch.setattr(ReferenceSet, "made", ())
    monkeypatch.setattr(generation.generated_images, "ReferenceSet", ReferenceSet)
    monkeypatch.setattr(
        generation.generated_images, "format_table", lambda results: f"table {results}"
    )
    monkeypatch.setattr(
        generation.generated_images, "table", lambda results: [["", "fid"], ["a", "6"]]
    )
    monkeypatch.setattr(
        generation.generated_images, "reference_note", lambda results: "against others"
    )
    return lambda: ReferenceSet.made


@pytest.mark.parametrize("with_class", [False, True])
def test_measure(reference_sets, with_class):
    model, data = TinyGan(conditional=with_class), Labelled()
    task = Generation(TinyGan)
    before = state_bytes(model)
    measure = task.measure(model, data, 300)
    first, second = measure(), measure()
    assert first == second and set(first) <= set(task.metrics)
    (reference_set,) = reference_sets()
    assert reference_set.data is data and reference_set.count == 300
    shown, labels = reference_set.seen[0]
    assert shown.dtype == np.uint8 and shown.shape == (300, 8, 8, 1)
    assert (np.bincount(labels).tolist() == [100] * 3) if with_class else labels is None
    assert state_bytes(model) == before
    for variable in model.generator.trainable_variables:
        variable.assign(-variable)
    assert measure() != first


# evaluate


class Data(Labelled):
    """Stub for the dataset of a run."""

    def __init__(self, seed: int, dataset=None, data_dir=None, skip_bad_images=False):
        self.seed, self.name, self.data_dir, self.skipping = (
            seed,
            dataset,
            data_dir,
            skip_bad_images,
        )

    def arrays(self, split, count):
        return np.full((min(count, 50), 8, 8, 1), 7, np.uint8), np.arange(min(count, 50)) % 3

    def fingerprint(self):
        return {"train": "4 images" if self.name in ("here", "there") else "5 images"}


@pytest.fixture
def evaluate(gan_cli, reference_sets, monkeypatch):
    """evaluate(run, options) -> the reference set, evaluation.json, standard output."""
    monkeypatch.setattr(Generation, "data", Data)

    def call(run, options=""):
        result = gan_cli(f"evaluate '{run}' {options}")
        if result.status:
            return result
        report = json.loads((run / "evaluation.json").read_text())
        return reference_sets()[-1], report, result.out

    return call


def test_evaluate(evaluate, plain):
    reference_set, report, printed = evaluate(plain, "--count 5 --seed 2")
    ((shown, labels),) = reference_set.seen
    assert_same(shown, own_images(plain, 2, 5))
    assert labels is None and reference_set.count == 5
    assert report == {
        "step": 4,
        "network": "generator",
        "dataset": "here",
        "split": "test",
        "count": 5,
        "seed": 2,
        "results": {"rows": {"model": {"fid": float(shown.mean())}}, "by": "test"},
    }
    assert f"table {report['results']}" in printed
    (alt, grid), (other, real) = shown_on(plain / "evaluation" / "index.html", 1)
    assert alt.startswith("made by tiny_gan") and other.startswith("real, test")
    assert_same(cells(grid, 8, 8).reshape(64, 8, 8, 1)[:5], shown)
    assert (cells(real, 7, 8)[0, 0] == 7).all()  # there are 50
    assert reference_set.data.seed == 5 and not reference_set.data.skipping


def test_evaluate_generates_all_classes_equally_often(evaluate, conditional):
    reference_set, _, _ = evaluate(conditional, "--count 600 --split train")
    ((shown, labels),) = reference_set.seen
    assert np.bincount(labels).tolist() == [200, 200, 200] and reference_set.split == "train"
    assert_same(shown[:4], own_images(conditional, 0, 4, labels[:4]))


def test_evaluate_with_data_that_were_moved(evaluate, plain):
    reference_set, report, _ = evaluate(
        plain, "--count 4 --dataset there --data_dir d --skip_bad_images"
    )
    assert report["dataset"] == reference_set.data.name == "there"
    assert reference_set.data.data_dir == "d" and reference_set.data.skipping
    result = evaluate(plain, "--dataset elsewhere")
    assert result.status == 2 and "5 images now" in result.err
    result = evaluate(plain, "--count 0")
    assert result.status == 2 and "--count 0" in result.err
    saved = plain / "export" / "tiny_gan" / "1"
    result = evaluate(saved)
    assert result.status == 2 and str(saved) in result.err


class Unlabelled(Data):
    """The same in RGB and without labels."""

    channels, classes = 3, 0

    def arrays(self, split, count):
        x = np.random.default_rng(1).integers(0, 256, (min(count, 50), 8, 8, 3), np.uint8)
        return x, np.zeros(len(x), np.int32)


@pytest.fixture
def inception_inputs(monkeypatch):
    """Lists the images given to Inception, whose features are pixels here."""
    seen = []

    def features(shown, network):
        seen.append(np.stack(list(shown)))
        return seen[-1].reshape(len(seen[-1]), -1)[:, :3].astype(np.float64)

    monkeypatch.setattr(inception, "keras_inception", lambda: "network")
    monkeypatch.setattr(inception, "keras_inception_features", features)
    return seen


@pytest.fixture
def rgb(tmp_path):
    return make_run(tmp_path / "rgb", channels=3)


def test_evaluate_without_labels(capsys, rgb, inception_inputs, reference_sets, monkeypatch):
    monkeypatch.setattr(Generation, "data", Unlabelled)
    monkeypatch.setattr(Capability, "evaluate", lambda _, e: e.add("further", {"a": 1}, "more"))
    gan_cli = command_line(capsys, TinyGan, Generation, Capability)
    result = gan_cli(f"evaluate '{rgb}' --count 60 --seed 2")
    assert result.status == 0, result.err
    assert reference_sets() == ()
    real, drawn = inception_inputs
    assert_same(drawn, own_images(rgb, 2, 60))
    np.testing.assert_array_equal(real, Unlabelled(5).arrays("test", 60)[0])
    report = json.loads((rgb / "evaluation.json").read_text())
    patches = report.pop("sliced_wasserstein")
    others = {"model": drawn, "real (floor)": Unlabelled(5).arrays("train", 60)[0]}
    count = min(len(real), *map(len, others.values()))
    expected = {k: sliced_wasserstein(real[:count], x[:count]) for k, x in others.items()}
    expected = {name: {str(k): v for k, v in row.items()} for name, row in expected.items()}
    assert patches == {"count": count, "rows": expected} and list(patches["rows"]["model"]) == ["8"]
    assert f"{expected['model']['8']:.1f}" in result.out
    fid = report.pop("keras_inception_fid")
    assert fid > 0 and f"Keras-Inception FID: {fid:.1f} (60 images)" in result.out
    assert report == {
        **{"step": 4, "network": "generator", "dataset": "here", "split": "test"},
        **{"count": 60, "seed": 2},
        "further": {"a": 1},
    }
    reason = "skipped; --dataset here: its images have no labels"
    page = rgb / "evaluation" / "index.html"
    assert reason in result.out and reason in page.read_text()
    (alt, grid), (other, held_out) = shown_on(page)
    assert alt.startswith("made by tiny_gan") and other.startswith("real, test")
    assert_same(cells(grid, 8, 8).reshape(64, 8, 8, 3)[:60], drawn)
    assert cells(held_out, 7, 8).shape[-1] == 3


@pytest.mark.parametrize("weights", ["there", "missing"])
def test_evaluate_without_labels_or_inception(
    gan_cli, plain, rgb, inception_inputs, monkeypatch, tmp_path, weights
):
    def missing():
        raise UserError("the weights of InceptionV3 cannot be downloaded")

    if weights == "missing":
        monkeypatch.setattr(inception, "keras_inception", missing)
        data, run, reason = Unlabelled, rgb, "skipped; the weights of InceptionV3"
    else:
        data = type("Grey", (Data,), {"classes": 0})
        run = shutil.copytree(plain, tmp_path / "run")
        reason = "skipped; it is defined for RGB images"
    monkeypatch.setattr(Generation, "data", data)
    result = gan_cli(f"evaluate '{run}' --count 5")
    assert result.status == 0, result.err
    assert f"Keras-Inception FID: {reason}" in result.out and not inception_inputs
    assert json.loads((run / "evaluation.json").read_text())["keras_inception_fid"] is None
    assert len(shown_on(run / "evaluation" / "index.html")) == 2


# export


def test_export_counts_versions(gan_cli, refused, plain, conditional, tmp_path):
    run = shutil.copytree(plain, tmp_path / "run")
    result = gan_cli(f"export '{run}'")
    assert result.status == 0 and f"exported to {run}/export/tiny_gan/2" in result.out
    refused(f"export '{run}' --version 2", "export/tiny_gan/2", "--version")
    refused(f"export '{run}' --version 0", "--version 0")
    other = tmp_path / "other"
    assert gan_cli(f"export '{conditional}' --output {other} --version 12").status == 0
    about = json.loads((other / "tiny_gan/12/assets.extra/sampler.json").read_text())
    latent = {"size": 5, "distribution": "normal", "choices": 1}
    assert about == {"latent": latent, "class_names": NAMES}


# From training to predict


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A dataset of three classes, 8x8."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)
    y = np.arange(12, dtype=np.uint8) % 3
    np.savez(path, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])
    return path


def test_a_resumed_run_continues_with_the_same_noise(
    gan_cli, predict, digits, tmp_path, monkeypatch
):
    exported = []

    def export_trained(task, run):
        exported.append(run.folder)
        return "nowhere"

    monkeypatch.setattr(Generation, "export_trained", export_trained)
    options = f"--dataset {digits} --conditional true --batch_size 4 --jit off --ema 0.5"
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for line in (
        f"{options} --run {whole} --steps 4",
        f"{options} --run {parts} --steps 2",
        f"--resume --run {parts} --steps 4",
    ):
        result = gan_cli(line)
        assert result.status == 0, result.err
    assert arrays(whole, 4) == arrays(parts, 4)
    assert exported == [whole, parts, parts]
    (grid,) = (image_file.read(path) for path in (whole / "samples").glob("step_*4.png"))
    cells(grid, 3, 10)
    assert len(list(predict(whole, "--count 3").glob("*.png"))) == 3


def test_a_resumed_run_keeps_the_number_of_embedded_digits(gan_cli, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(Generation, "export_trained", lambda *_: "nowhere")
    run = tmp_path / "run"
    line = f"--dataset embedded --embedded_count 8 --batch_size 4 --jit off --run {run}"
    result = gan_cli(f"{line} --steps 1")
    assert result.status == 0 and "embedded (8 images" in result.out
    refused(f"--resume --run {run} --steps 2 --embedded_count 12", "--embedded_count 12", "with 8")
    assert gan_cli(f"--resume --run {run} --steps 2").status == 0


@pytest.mark.parametrize("option", ["", "--keep_best fid"])
def test_images_without_labels_have_no_metrics_during_training(refused, tmp_path, option):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((8, 16, 16), np.uint8))
    line = f"--dataset {tmp_path / 'a.npz'} --batch_size 4 --steps 2 --run {tmp_path / 'run'}"
    refused(f"{line} --evaluate_every 1 {option}", "no labels", "leave --evaluate_every out")
    assert not (tmp_path / "run").exists()


# The command line


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export"])
def test_every_verb_helps(gan_cli, verb):
    result = gan_cli(f"{verb} --help")
    assert result.status == 0 and result.err == ""
    assert "folder of " in result.out and "--best" in result.out


def test_a_verb_may_take_any_number_of_inputs(gan_cli):
    class Task(Generation):
        def predict(self, run: str, inputs: list[str] | None, /, output: str | None = None):
            """Prints its arguments.

            Args:
                run: one.
                inputs: any number.
                output: an option.
            """
            print(run, inputs, output)

    assert gan_cli("predict r", task=Task).out == "r None None\n"
    assert gan_cli("predict r --output o", task=Task).out == "r None o\n"
    assert gan_cli("predict r a b --output o", task=Task).out == "r ['a', 'b'] o\n"
    assert gan_cli("predict", task=Task).status == 2
