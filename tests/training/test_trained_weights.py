"""Trained weights in place of a run: written from one, and taken by every verb."""

import json
import shutil

from common.errors import UserError
from common.images import image_file
from common.io import weights_file
from common.io.download import sha256_of
from common.tasks.generation import Generation
from common.training import checkpoint, weights_writer
from common.training.run_folder import Run
from common.training.trained_weights import TrainedWeights, open_run
from tests.helpers.command_line import command_line, refusal
from tests.helpers.gan_runs import make_run
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest

OPTIONS = {"conditional": True, "class_names": ["zero", "one", "many"], "ema": 0.9}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "plain", **OPTIONS)


@pytest.fixture
def gan(capsys, monkeypatch, tmp_path):
    """The command line of the tiny generator in an empty folder; its weights are in `zoo`."""
    monkeypatch.setattr(weights_file, "ROOT", tmp_path / "zoo")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return command_line(capsys, TinyGan, Generation)


@pytest.fixture
def file(gan, run, tmp_path):
    """The weights of the run, called `tiny`."""
    path = tmp_path / "zoo" / "tiny_gan" / "weights" / "tiny.npz"
    result = gan(f"export {run} --format weights --output {path}")
    assert result.status == 0, result.err
    assert f"exported to {path}: {path.stat().st_size:,} bytes, sha256 " in result.out
    return path


@pytest.fixture
def refused(gan):
    return refusal(gan)


def drawn(gan, source, output):
    result = gan(f"predict {source} --output '{output}' --count 6 --seed 3")
    assert result.status == 0, result.err
    return {path.name: path.read_bytes() for path in sorted(output.glob("*.png"))}


def test_the_weights_are_those_of_the_run_rounded_to_float16(file, run):
    of_run = Run(run).load_sampler(TinyGan)
    of_file = open_run("tiny", "tiny_gan").load_sampler(TinyGan)
    assert of_file.averaged and of_file.classes == 3
    pairs = zip(of_run.sampler.variables, of_file.sampler.variables, strict=True)
    for one, other in pairs:
        assert other.dtype == one.dtype
        expected = one.numpy()
        if np.issubdtype(expected.dtype, np.floating):
            expected = expected.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(other.numpy(), expected)


def test_what_a_file_says(file, run):
    found = weights_file.read(file)
    assert found.networks == ["average_generator"]
    about = found.about
    assert about["model"] == "tiny_gan" and about["step"] == 4 and about["network"] == "average"
    assert about["options"] == OPTIONS | {"dataset": "here", "seed": 5}
    assert about["data"] == {"train": "4 images"}
    assert about["measured"] == about["check"] == {}
    assert about["versions"] == Run(run).config()["versions"]


def test_places_of_this_machine_are_left_out():
    options = {"run": "/a", "resume": False, "init_from": "/b", "data_dir": "/c", "width": 4}
    places = {"dataset": "/d,/e", "photos": "/f", "embeddings": None}
    assert weights_writer.shared_options(options | places) == {"width": 4, "embeddings": None}
    named = {"dataset": "mnist", "photos": None}
    assert weights_writer.shared_options(named) == named


def test_the_evaluation_of_the_same_weights_is_noted(gan, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for network, noted in (("average", True), ("generator", False)):
        report = {"step": 4, "network": network, "results": {"fid": 2.5}}
        (copy / "evaluation.json").write_text(json.dumps(report))
        assert gan(f"export {copy} --format weights").status == 0
        about = weights_file.read(copy / "copy.npz").about
        assert about["measured"] == (report if noted else {})


def test_the_generator_itself_can_be_written(gan, run, tmp_path):
    path = tmp_path / "generator.npz"
    line = f"export {run} --format weights --network generator --networks all --output {path}"
    assert gan(line).status == 0
    found = weights_file.read(path)
    assert found.about["network"] == "generator" and found.about["options"]["ema"] == 0
    assert found.networks == ["discriminator", "generator"]
    assert drawn(gan, path, tmp_path / "a").keys() == drawn(gan, run, tmp_path / "b").keys()


def test_all_networks_are_written_once_each(gan, run, tmp_path):
    path = tmp_path / "all.npz"
    assert gan(f"export {run} --format weights --networks all --output {path}").status == 0
    assert weights_file.read(path).networks == ["average_generator", "discriminator"]
    model = open_run(str(path), "tiny_gan").load_sampler(TinyGan, all_networks=True)
    stored = checkpoint.weights(Run(run).checkpoint_file())["discriminator"]
    for weight, value in zip(model.discriminator.weights, stored, strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-3, atol=1e-7)
    for one, other in zip(model.generator.weights, model.average_generator.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_name_path_option_and_digest_give_the_same_images(gan, file, tmp_path):
    images = drawn(gan, "tiny", tmp_path / "0")
    assert len(images) == 6 and "0002_many.png" in images
    digest = f"'{file}#sha256={sha256_of(file)}'"
    for number, source in enumerate((file, digest, "--weights tiny", f"--weights={file}"), 1):
        assert drawn(gan, source, tmp_path / str(number)) == images


def test_the_images_are_those_of_the_run_up_to_rounding(gan, file, run, tmp_path):
    drawn(gan, "tiny", tmp_path / "a")
    drawn(gan, run, tmp_path / "b")
    for path in (tmp_path / "a").glob("*.png"):
        one = image_file.read(path, 1).astype(int)
        assert np.abs(one - image_file.read(tmp_path / "b" / path.name, 1)).mean() < 2


def test_export_and_what_is_written_beside_it(gan, file, tmp_path):
    result = gan("export tiny")
    assert result.status == 0, result.err
    folder = tmp_path / "here" / "runs" / "tiny_gan" / "weights" / "tiny"
    assert (folder / "export" / "tiny_gan" / "1" / "saved_model.pb").is_file()
    saved = folder / "export" / "tiny_gan" / "1"
    images, of_saved = drawn(gan, "tiny", tmp_path / "a"), drawn(gan, saved, tmp_path / "b")
    assert images.keys() == of_saved.keys()
    assert [*file.parent.iterdir()] == [file]
    again = tmp_path / "again.npz"
    assert gan(f"export tiny --format weights --output {again}").status == 0
    assert again.read_bytes() == file.read_bytes()


def test_a_run_in_a_folder_of_the_name_takes_precedence(gan, file, tmp_path):
    of_file = drawn(gan, "tiny", tmp_path / "a")
    make_run(tmp_path / "here" / "tiny", **OPTIONS | {"seed": 9})
    assert not isinstance(open_run("tiny", "tiny_gan"), TrainedWeights)
    assert drawn(gan, "tiny", tmp_path / "b") != of_file


def test_unknown_names_and_other_models_are_refused(refused, file, tmp_path):
    line = f"--output {tmp_path / 'o'}"
    refused(f"predict tini {line}", "tini: no run", "trained weights of tiny_gan: tiny")
    refused(f"predict nowhere.npz {line}", "nowhere.npz: no such file")
    with pytest.raises(UserError, match=r"weights of tiny_gan, not of other; use tiny_gan/"):
        open_run(str(file), "other")
    assert not (tmp_path / "o").exists()


def test_what_a_file_cannot_give_is_refused(refused, gan, file, tmp_path):
    line = f"predict tiny --output {tmp_path / 'o'}"
    refused(f"{line} --best", "--best: ", "tiny.npz", "leave the option out")
    refused(f"{line} --network generator", "--network generator: ", "of the average")
    opened = open_run("tiny", "tiny_gan")
    with pytest.raises(UserError, match="--step 3: "):
        opened.load_sampler(TinyGan, step=3)
    with pytest.raises(UserError, match=r"has no discriminator, .*--networks all"):
        opened.load_sampler(TinyGan, all_networks=True)
    with pytest.raises(UserError, match="other options"):
        opened.load_sampler(TinyGan, image_size=16)
    refused("export tiny --format weights --networks all --output x.npz", "has no discriminator")


def test_training_is_not_resumed_from_a_file(refused, file):
    refused("--resume --run tiny", "tiny: no run in this folder")
    refused(f"--init_from {file} --steps 2", f"--init_from {file}: no run in this folder")


def test_options_of_other_formats_are_refused(refused, run):
    refused(f"export {run} --format weights --version 3", "--version 3: leave it out")
    refused(f"export {run} --format weights --size 9", "--size 9: leave it out")
    refused(f"export {run} --networks all", "--networks all: give --format weights too")
    refused(f"export {run} --format weights --output folder", "--output folder: give a file")
    refused(f"export {run} --format weights --evaluate_count 0", "--evaluate_count 0: ")
    refused("predict --weights", "--weights: give a value")


def test_values_out_of_range_are_refused(run, tmp_path):
    opened = Run(run)
    model = opened.load_sampler(TinyGan)
    model.sampler.variables[0].assign(np.full(model.sampler.variables[0].shape, 1e6, "float32"))
    with pytest.raises(UserError, match=r"average_generator/0000 .* out of the range of float16"):
        weights_writer.write(tmp_path / "f.npz", opened, model, 4)
    assert not (tmp_path / "f.npz").exists()


class Data:
    """Stub for the dataset of a run."""

    classes, class_names = 3, ("zero", "one", "many")

    def __init__(self, dataset=None, data_dir=None):
        self.name = dataset

    def fingerprint(self):
        return {"train": "4 images" if self.name == "here" else "5 images"}


def test_an_evaluation_is_written_below_runs(gan, refused, file, monkeypatch, tmp_path):
    monkeypatch.setattr(Generation, "data", Data)
    monkeypatch.setattr(
        "common.evaluation.generated_images.compare",
        lambda drawn, labels, real, split, count: ({"count": len(labels)}, None, real.name),
    )
    assert gan("evaluate tiny --count 7 --show 0").status == 0
    folder = tmp_path / "here" / "runs" / "tiny_gan" / "weights" / "tiny"
    report = json.loads((folder / "evaluation.json").read_text())
    assert (report["step"], report["network"], report["count"]) == (4, "average", 7)
    assert (folder / "evaluation" / "index.html").is_file()
    refused("evaluate tiny --dataset other", "--dataset other: not the data of")


def test_the_run_is_measured_for_later_comparison(gan, run, monkeypatch, tmp_path):
    monkeypatch.setattr(Generation, "data", Data)
    monkeypatch.setattr(
        Generation, "measure", lambda _, model, data, count: lambda: {"fid": count + 0.5}
    )
    path = tmp_path / "f.npz"
    line = f"export {run} --format weights --evaluate_count 12 --output {path}"
    assert gan(line).status == 0
    expected = {"count": 12, "metrics": {"fid": 12.5}}
    assert weights_file.read(path).about["check"] == expected
