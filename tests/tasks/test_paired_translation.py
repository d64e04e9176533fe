"""Paired translation: predict, evaluate and export."""

import json
import shutil
import tracemalloc
from functools import partial

from common.data.paired import PairedImages
from common.errors import UserError
from common.evaluation import inception
from common.evaluation.inception import keras_inception_fid
from common.images import image_file
from common.inference.image_to_image import Translator, convert_files, write_translated
from common.inference.input_files import InputFiles, InputOptions
from common.reports.result_page import THUMBNAIL, ResultPage
from common.training.run_folder import Run
from tests.helpers.command_line import refusal
from tests.helpers.image_files import noise, truncate
from tests.helpers.page_reader import Reader, shown_on
from tests.helpers.tiny import Tiny

import numpy as np
import pytest


@pytest.fixture(scope="module")
def translated(finished):
    """translated(image) -> the network's output, padded and cropped by NumPy."""
    model = Run(finished).load_sampler(Tiny)

    def translate(image):
        height, width = image.shape[:2]
        x = np.pad(
            image_file.to_unit(image), [(0, -height % 4), (0, -width % 4), (0, 0)], "reflect"
        )
        y = np.asarray(model.sampler(x[None], training=False))[0, :height, :width]
        return image_file.to_uint8(y)

    return translate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of odd sizes and of several kinds."""
    folder = tmp_path_factory.mktemp("some images")
    image_file.write(folder / "wide.png", noise(7, 61, 1))
    image_file.write(folder / "tall.jpg", noise(45, 10, 2))
    image_file.write(folder / "grey.bmp", noise(16, 16, 3, channels=1))
    image_file.write(folder / "pixel.png", noise(1, 1, 4))
    (folder / "notes.txt").write_text("no image")
    return folder


def assert_same(image, expected):
    """Equal up to rounding between two grey levels."""
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    "inputs, names",
    [
        (["wide.png"], ["wide"]),
        (["wide.png", "tall.jpg"], ["tall", "wide"]),
        ([""], ["grey", "pixel", "tall", "wide"]),
    ],
)
def test_predict(run_cli, finished, folder, translated, tmp_path, inputs, names):
    given = " ".join(f"'{folder / name}'" for name in inputs)
    result = run_cli(f"predict {finished} {given} --output {tmp_path / 'out'} --size original")
    assert result.status == 0
    assert f"{len(names)} images translated to {tmp_path / 'out'}" in result.out
    outputs = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name for path in outputs] == [f"{name}.png" for name in names]
    for path in outputs:
        (source,) = folder.glob(f"{path.stem}.*")
        assert_same(image_file.read(path), translated(image_file.read(source)))
    shown = dict(shown_on(tmp_path / "out" / "index.html"))
    assert len(shown) == 2 * len(names)
    for source in folder.glob("wide.png" if "wide" in names else "tall.jpg"):
        assert_same(shown[f"input: {source.name}"], image_file.read(source))
        assert_same(shown[f"output: {source.name}"], translated(image_file.read(source)))


def test_predict_from_a_saved_model_equals_predict_from_its_run(
    run_cli, finished, folder, tmp_path
):
    saved = finished / "export" / "tiny" / "1"
    for run, name in ((finished, "run"), (saved, "saved")):
        assert run_cli(f"predict {run} '{folder}' --output {tmp_path / name}").status == 0
    outputs = sorted((tmp_path / "run").glob("*.png"))
    assert len(outputs) == 4
    for path in outputs:
        assert_same(image_file.read(tmp_path / "saved" / path.name), image_file.read(path))


@pytest.mark.parametrize(
    ("options", "wide", "tall", "said"),
    [
        ("", (16, 139), (72, 16), "at 16 pixels (shorter side), as in training; --size original"),
        ("--size 9", (9, 78), (40, 9), None),
        ("--size original", (7, 61), (45, 10), None),
    ],
)
def test_predict_resizes_to_the_scale_of_training(
    run_cli, finished, folder, translated, tmp_path, options, wide, tall, said
):
    for source in (finished, finished / "export" / "tiny" / "1"):
        output = tmp_path / source.name
        result = run_cli(f"predict {source} '{folder}' --output {output} {options}")
        assert result.status == 0
        assert result.out.count("(shorter side)") == (said is not None)
        assert said is None or said in result.out
        for name, sides in (("wide.png", wide), ("tall.jpg", tall)):
            image = image_file.resize(image_file.read(folder / name), *sides)
            made = image_file.read((output / name).with_suffix(".png"))
            assert_same(made, translated(image))


def test_a_saved_model_that_does_not_know_its_scale_keeps_the_size(
    run_cli, finished, folder, tmp_path
):
    saved = tmp_path / "old" / "1"
    shutil.copytree(finished / "export" / "tiny" / "1", saved)
    (saved / "assets.extra" / "translator.json").unlink()
    result = run_cli(f"predict {saved} '{folder}' --output {tmp_path / 'out'}")
    assert result.status == 0 and result.out.count("at their own size") == 1
    assert image_file.read(tmp_path / "out" / "wide.png").shape == (7, 61, 3)
    line = f"predict {saved} '{folder}' --output {tmp_path / 'nine'} --size 9"
    assert run_cli(line).status == 0
    assert image_file.read(tmp_path / "nine" / "wide.png").shape == (9, 78, 3)


def test_predict_in_tiles_keeps_the_size(run_cli, finished, folder, tmp_path):
    line = f"predict {finished} '{folder}' --output {tmp_path} --tile 16 --size original"
    assert run_cli(line).status == 0
    assert image_file.read(tmp_path / "wide.png").shape == (7, 61, 3)
    assert image_file.read(tmp_path / "tall.png").shape == (45, 10, 3)


def test_memory_does_not_grow_with_the_height_beyond_the_image(tmp_path, monkeypatch):
    source, output = tmp_path / "x.png", tmp_path / "y"
    source.touch()

    def peak(image):
        """Peak memory in bytes, without the image."""
        page = ResultPage("translated", {}, side=THUMBNAIL)
        tracemalloc.start()
        with monkeypatch.context() as patch:
            patch.setattr(image_file, "read", lambda *_: image)
            write = partial(write_translated, Translator(lambda x: x, 8, 3), None, 64)
            files = InputFiles([str(source)], output, InputOptions())
            convert_files(write, files, page, "translated")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        np.testing.assert_array_equal(image_file.read(output / "x.png"), image)
        return peak

    low, high = noise(4000, 300, 0), noise(8000, 300, 0)
    peak(low)  # imports and caches of the first call
    assert peak(high) - peak(low) < high.nbytes / 10


def test_predict_with_other_inference_options(run_cli, finished, folder, tmp_path):
    made = {}
    for name, options in {
        "trained": "",
        "same": "--inference_seed 0",
        "seed": "--inference_seed 1",
        "off": "--inference_dropout false",
        "moving": "--inference_statistics moving",
    }.items():
        line = f"predict {finished} '{folder / 'wide.png'}' --output {tmp_path / name} {options}"
        assert run_cli(line).status == 0
        made[name] = image_file.read(tmp_path / name / "wide.png").tobytes()
    assert made["same"] == made["trained"]
    assert len(set(made.values())) == 4


@pytest.fixture
def refused(run_cli):
    return refusal(run_cli)


def test_errors_of_predict_are_one_line(refused, finished, folder, tmp_path):
    def predict(inputs, *said, options=""):
        refused(f"predict {finished} {inputs} --output '{tmp_path / 'out'}' {options}", *said)
        assert not (tmp_path / "out").exists()

    predict(tmp_path / "none.png", str(tmp_path / "none.png"), "no such image")
    (tmp_path / "empty").mkdir()
    predict(tmp_path / "empty", str(tmp_path / "empty"), "no images")
    predict(f"'{folder / 'notes.txt'}'", "notes.txt", "not an image")
    image_file.write(tmp_path / "wide.jpg", noise(9, 9, 0))
    (tmp_path / "other").mkdir()
    shutil.copy(folder / "wide.png", tmp_path / "other")
    both = f"'{folder / 'wide.png'}' '{tmp_path / 'other' / 'wide.png'}'"
    predict(both, f"{folder / 'wide.png'} and {tmp_path}/other/wide.png: both would be written to")
    predict(truncate(tmp_path / "wide.jpg"), "wide.jpg")
    predict(f"'{folder / 'wide.png'}'", "--tile 0: give 1 or more", options="--tile 0")
    for size in ("0", "-5", "small"):
        predict(f"'{folder / 'wide.png'}'", "size", size, options=f"--size {size}")


def test_bad_images_do_not_stop_the_translation_of_others(run_cli, finished, tmp_path):
    for place in ("a.png", "sub/a.png", "sub/b.png"):
        image_file.write(tmp_path / "in" / place, noise(9, 9, 0))
    truncate(tmp_path / "in" / "a.png")
    line = f"predict {finished} {tmp_path / 'in'} --output {tmp_path / 'out'} --recursive"
    result = run_cli(line)
    assert result.status == 2 and "1 of 3 images cannot be used" in result.err
    assert "2 images translated" in result.out and "left out: " in result.out
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert written == {"index.html", "sub/a.png", "sub/b.png"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'href="sub/a.png"' in page and "in/a.png" in page
    assert run_cli(f"{line} --skip_bad_images").status == 0


def test_predict_never_overwrites_its_input(refused, finished, tmp_path):
    image_file.write(tmp_path / "x.png", noise(9, 9, 0))
    before = (tmp_path / "x.png").read_bytes()
    refused(f"predict {finished} {tmp_path} --output {tmp_path}", "x.png", "overwritten")
    assert (tmp_path / "x.png").read_bytes() == before


def test_predict_to_a_folder_that_cannot_be_written(refused, finished, folder, tmp_path):
    (tmp_path / "file").touch()
    refused(f"predict {finished} '{folder}' --output {tmp_path / 'file'}", "file: is a file; name")


def test_options_that_are_fixed_in_a_saved_model_are_refused(refused, finished, folder, tmp_path):
    saved = finished / "export" / "tiny" / "1"
    line = f"predict {saved} '{folder}' --output {tmp_path} --inference_seed 3"
    refused(line, "--inference_seed", str(saved))


@pytest.fixture
def no_inception(monkeypatch):
    def missing():
        raise UserError("the weights of InceptionV3 cannot be downloaded")

    monkeypatch.setattr(inception, "keras_inception", missing)


def test_evaluate(run_cli, no_inception, copy_of, finished, pairs_folder):
    run = copy_of(finished)
    result = run_cli(f"evaluate '{run}'")
    assert result.status == 0
    table = result.out.lower()
    for word in ("l1", "psnr", "ssim", "mean photo", "label colour", "input"):
        assert word in table
    assert "skipped; the weights of InceptionV3 cannot be downloaded" in result.out

    report = json.loads((run / "evaluation.json").read_text())
    assert report["step"] == 6 and report["split"] == "test" and report["image_size"] == 16
    assert "measured at 16x16 pixels" in result.out
    assert report["dataset"] == str(pairs_folder)
    assert report["keras_inception_fid"] is None
    model = Run(run).load_sampler(Tiny)
    pairs = list(PairedImages(16, 3, 3, 4, str(pairs_folder)).pairs("test"))
    errors = [np.abs(model.sampler(x[None], training=False)[0] - y).mean() for _, x, y in pairs]
    unchanged = np.mean([np.abs(x - y).mean() for _, x, y in pairs])
    assert report["results"]["input"]["l1"] == pytest.approx(unchanged, rel=1e-4)
    own = report["results"]["model"]
    assert own["l1"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert f"{own['l1']:.4f}" in result.out

    (losses,) = Reader(run / "evaluation" / "index.html").charts
    assert losses["alt"] == "Training: losses and metrics by step"
    shown = shown_on(run / "evaluation" / "index.html")
    assert len(shown) == 3 * len(pairs)
    name, x, y = pairs[1]
    y_hat = model.sampler(x[None], training=False)[0]
    captions = ("input", "output", "target")
    for (alt, image), caption, expected in zip(shown[3:], captions, (x, y_hat, y), strict=True):
        assert alt == f"{caption}: {name}"
        assert_same(image, image_file.to_uint8(expected))


def test_evaluate_another_split(run_cli, no_inception, copy_of, finished):
    run = copy_of(finished)
    reports, options = [], "--inference_dropout false --show 1"
    for split in ("test", "val"):
        assert run_cli(f"evaluate '{run}' --split {split} {options}").status == 0
        assert len(shown_on(run / "evaluation" / "index.html")) == 3
        reports.append(json.loads((run / "evaluation.json").read_text()))
    assert [report["split"] for report in reports] == ["test", "val"]
    assert reports[0]["inference"] == {"inference_dropout": False}
    assert reports[0]["results"] != reports[1]["results"]


def test_the_frechet_distance_compares_targets_with_translations(pairs_folder, monkeypatch, capsys):
    seen = []

    def features(shown, network):
        shown = np.stack(list(shown))
        seen.append(shown)
        return shown.reshape(len(shown), -1)[:, :3].astype(np.float64)

    monkeypatch.setattr(inception, "keras_inception", lambda: "network")
    monkeypatch.setattr(inception, "keras_inception_features", features)
    pairs = list(PairedImages(16, 3, 3, 0, str(pairs_folder)).pairs("test"))
    fid = keras_inception_fid((y for _, _, y in pairs), (-x for _, x, _ in pairs), 3)
    np.testing.assert_array_equal(seen[0], [image_file.to_uint8(y) for _, _, y in pairs])
    np.testing.assert_array_equal(seen[1], [image_file.to_uint8(-x) for _, x, _ in pairs])
    assert fid > 0 and f"Keras-Inception FID: {fid:.1f} (2 images)" in capsys.readouterr().out


def test_the_frechet_distance_is_left_out_for_grayscale_images(capsys):
    assert keras_inception_fid([], [], 1) is None
    assert "skipped" in capsys.readouterr().out


def test_evaluate_needs_a_run(refused, finished):
    saved = finished / "export" / "tiny" / "1"
    refused(f"evaluate {saved}", str(saved), "no run")


def test_export_counts_versions(run_cli, refused, copy_of, finished, tmp_path):
    run = copy_of(finished)
    result = run_cli(f"export '{run}'")
    assert result.status == 0 and f"exported to {run}/export/tiny/2" in result.out
    assert (run / "export" / "tiny" / "2" / "saved_model.pb").is_file()
    refused(f"export '{run}' --version 2", "export/tiny/2", "--version")
    refused(f"export '{run}' --version 0", "--version 0")
    other = tmp_path / "other"
    line = f"export '{run}' --output {other} --version 12 --inference_dropout false"
    assert run_cli(line).status == 0
    assert [path.name for path in (other / "tiny").iterdir()] == ["12"]
    x = tmp_path / "x.png"
    image_file.write(x, noise(8, 8, 0))
    made = []
    for source, options in ((other / "tiny/12", ""), (run, "--inference_dropout false")):
        output = tmp_path / f"by {source.name}"
        line = f"predict '{source}' {x} --output '{output}' {options}"
        assert run_cli(line).status == 0
        made.append(image_file.read(output / "x.png"))
    assert_same(*made)


def test_export_without_a_checkpoint(refused, tmp_path):
    Run(tmp_path).write_config("tiny", {}, {})
    refused(f"export {tmp_path}", str(tmp_path), "no checkpoint yet")
