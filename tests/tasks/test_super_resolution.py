"""Super-resolution: predict, evaluate and export; training in two stages."""

import json
import shutil

from common import cli
from common.evaluation import super_resolution
from common.images import bicubic, image_file
from common.inference.image_to_image import upscaler_of
from common.tasks.super_resolution import SuperResolution
from common.training import checkpoint
from common.training.initial_weights import begin
from common.training.run_folder import Run
from srgan.srgan import SRGAN
from tests.helpers.command_line import command_line, refusal
from tests.helpers.image_files import noise, truncate
from tests.helpers.page_reader import shown_on

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

SMALL = "--image_size 16 --blocks 1 --width 4 --content mse --jit off --batch_size 2 --seed 3"


@pytest.fixture
def run_cli(capsys):
    """Calls the command line in this process: run_cli("predict a b") -> status, out, err."""

    return command_line(capsys, SRGAN, SuperResolution)


@pytest.fixture
def refused(run_cli):
    return refusal(run_cli)


@pytest.fixture(scope="module")
def train_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    for number in range(4):
        image_file.write(folder / f"{number}.png", noise(36, 40, number))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, train_folder):
    """Six steps, the first three of stage 1, with an export; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = "--pretrain_steps 3 --gan_steps 3 --checkpoint_every 1 --log_every 3"
    line = f"{SMALL} {options} --dataset {train_folder} --run {folder}"
    cli.main(SRGAN, SuperResolution, arguments=line.split())
    return folder


@pytest.fixture(scope="module")
def upscaler(finished):
    return upscaler_of(Run(finished).load_sampler(SRGAN))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Images of odd sizes and of several kinds."""
    folder = tmp_path_factory.mktemp("some images")
    image_file.write(folder / "wide.png", noise(7, 61, 1))
    image_file.write(folder / "tall.jpg", noise(45, 10, 2))
    image_file.write(folder / "grey.bmp", noise(16, 17, 3, channels=1))
    image_file.write(folder / "pixel.png", noise(1, 1, 4))
    alpha = noise(30, 33, 6, channels=1)
    Image.fromarray(np.concatenate([noise(30, 33, 5), alpha], 2)).save(folder / "clear.png")
    return folder


def written(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def assert_same(image, expected):
    """Equal up to rounding between two grey levels."""
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_contents_of_a_finished_run(finished, train_folder):
    assert checkpoint.steps(finished / "checkpoints") == [
        3,
        5,
        6,
    ]  # the end of stage 1 and the latest two
    options = Run(finished).config()["options"]
    assert options["content"] == "mse" and options["dataset"] == str(train_folder)
    rows = [row.split(",") for row in (finished / "metrics.csv").read_text().splitlines()]
    first, last = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    assert float(first["d_loss"]) == 0 < float(last["d_loss"])
    grid = image_file.read(finished / "samples" / "step_00000006.png")
    assert len(grid) > 40 and grid.shape[1:] == (4 * 38 + 2, 3)  # one image held out, cut to 36 px
    grid = grid[-40:]  # without the captions
    lr, by_bicubic, enlarged, hr = (grid[2:38, 2 + 38 * i : 38 + 38 * i] for i in range(4))
    small = bicubic.shrink(hr, 4)
    assert np.array_equal(lr[::4, ::4], small) and np.array_equal(lr[3::4, 3::4], small)
    assert np.array_equal(by_bicubic, bicubic.enlarge(small, 4))
    assert_same(enlarged, upscaler_of(Run(finished).load_sampler(SRGAN)).upscale(small))


def test_predict(run_cli, finished, inputs, upscaler, tmp_path):
    result = run_cli(f"predict {finished} '{inputs}' --output {tmp_path / 'out'}")
    assert result.status == 0 and f"5 images enlarged to {tmp_path / 'out'}" in result.out
    made = written(tmp_path / "out")
    assert list(made) == ["clear.png", "grey.png", "pixel.png", "tall.png", "wide.png"]
    for name in ("wide.png", "pixel.png", "tall.jpg"):
        x = image_file.read(inputs / name)
        y = upscaler.call(x[None].astype(np.float32) / 255)[0]
        assert_same(made[name[:-4] + ".png"], np.clip(np.rint(255 * y), 0, 255))
    grey = image_file.read(inputs / "grey.bmp", 1)
    y = upscaler.call(np.repeat(grey, 3, -1)[None].astype(np.float32) / 255)[0]
    luma = 255 * np.clip(y, -9, 9) @ [0.299, 0.587, 0.114]
    assert_same(made["grey.png"], np.clip(np.rint(luma), 0, 255))
    colours, alpha = image_file.read_layers(inputs / "clear.png")
    y = upscaler.call(colours[None].astype(np.float32) / 255)[0]
    assert_same(made["clear.png"][..., :3], np.clip(np.rint(255 * y), 0, 255))
    assert np.array_equal(made["clear.png"][..., 3:], bicubic.enlarge(alpha, 4))


def test_results_do_not_depend_on_tiles_or_a_saved_model(run_cli, finished, inputs, tmp_path):
    saved = finished / "export" / "srgan" / "1"
    for name, line in {
        "whole": f"{finished}",
        "tiles": f"{finished} --tile 24",
        "saved": f"{saved}",
        "saved_tiles": f"{saved} --tile 24",
    }.items():
        source, *options = line.split()
        line = f"predict {source} '{inputs}' --output {tmp_path / name} {' '.join(options)}"
        assert run_cli(line).status == 0
    whole = written(tmp_path / "whole")
    assert len(whole) == 5
    for name in ("tiles", "saved", "saved_tiles"):
        made = written(tmp_path / name)
        assert list(made) == list(whole)
        for file, image in whole.items():
            assert_same(made[file], image)
    alpha = written(tmp_path / "tiles")["clear.png"][..., 3]
    np.testing.assert_array_equal(alpha, whole["clear.png"][..., 3])  # across the bands


def test_the_signatures_of_the_export(finished, upscaler):
    saved = tf.saved_model.load(str(finished / "export" / "srgan" / "1"))
    x = noise(9, 13, 0)
    unit = x[None].astype(np.float32) / 255
    default = saved.signatures["serving_default"](image=tf.constant(unit))["enlarged"].numpy()
    np.testing.assert_allclose(default, np.clip(upscaler.call(unit), 0, 1), atol=1e-5)
    assert default.shape == (1, 36, 52, 3)
    files = [image_file.encode(x), image_file.encode(noise(5, 6, 1, channels=1))]
    encoded = saved.signatures["serving_bytes"](image_bytes=tf.constant(files))
    first, second = encoded["enlarged_bytes"].numpy()
    assert_same(image_file.read(first), np.rint(255 * default[0]))
    assert image_file.read(second).shape == (20, 24, 3)
    extra = finished / "export" / "srgan" / "1" / "assets.extra"
    assert (extra / "tf_serving_warmup_requests").stat().st_size > 100
    assert json.loads((extra / "upscaler.json").read_text()) == {"scale": 4, "halo": 10}


def test_evaluate(run_cli, finished, inputs, tmp_path):
    for number in range(2):
        image_file.write(tmp_path / "set" / f"{number}.png", noise(43, 50, 70 + number))
    image_file.write(tmp_path / "grey" / "grey.png", noise(40, 40, 8, channels=1))
    before = {path.name for path in finished.iterdir()} | {"evaluation"}
    sets = f"{tmp_path / 'set'},{tmp_path / 'grey'}"
    result = run_cli(f"evaluate {finished} --images {sets}")
    (finished / "evaluation.json").rename(tmp_path / "evaluation.json")
    assert {path.name for path in finished.iterdir()} == before
    assert result.status == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["scale"] == 4 and list(report["sets"]) == sets.split(",")
    assert report["step"] == 6 and report["dataset"] == sets
    results = report["sets"][str(tmp_path / "set")]
    assert list(results) == ["0.png", "1.png", "mean"]
    hr = noise(43, 50, 70)[:40, :48]
    lr = bicubic.shrink(hr, 4)
    assert results["0.png"]["bicubic"] == super_resolution.bicubic_scores(hr, 4)
    for step in (3, 6):  # both stages
        own = upscaler_of(Run(finished).load_sampler(SRGAN, step=step)).upscale(lr)
        score = super_resolution.scores(hr, own, 4)["psnr"]
        assert results["0.png"][f"step {step}"]["psnr"] == pytest.approx(score, abs=0.05)
        assert f"step {step}" in result.out
    assert f"{results['mean']['bicubic']['psnr']:.2f}" in result.out
    page = finished / "evaluation" / "index.html"
    shown = shown_on(page)
    shutil.rmtree(page.parent)
    captions = ("input", "bicubic", "step 3", "step 6", "target")
    assert [alt for alt, _ in shown[:5]] == [f"{caption}: 0.png" for caption in captions]
    assert len(shown) == 15 and shown[0][1].shape == (10, 10, 3)
    lr = bicubic.shrink(shown[4][1], 4)
    for (_, image), expected in zip(shown, (lr, bicubic.enlarge(lr, 4)), strict=False):
        assert_same(image, expected)


def test_bad_images_do_not_stop_the_evaluation_on_others(run_cli, copy_of, finished, tmp_path):
    run = copy_of(finished)
    for name, side in (("good", 40), ("small", 8), ("truncated", 40)):
        image_file.write(tmp_path / "set" / f"{name}.png", noise(side, side, 0))
    truncate(tmp_path / "set" / "truncated.png")
    line = f"evaluate {run} --images {tmp_path / 'set'}"
    result = run_cli(line)
    assert result.status == 2 and "2 of 3 images cannot be used" in result.err
    assert "small.png: 8x8 px, too small to be evaluated" in result.out
    report = json.loads((run / "evaluation.json").read_text())
    assert list(report["sets"][str(tmp_path / "set")]) == ["good.png", "mean"]
    assert "truncated.png" in (run / "evaluation" / "index.html").read_text()
    assert run_cli(f"{line} --skip_bad_images").status == 0


def test_evaluate_on_the_validation_images(run_cli, finished, train_folder):
    result = run_cli(f"evaluate {finished} --step 5")
    report = json.loads((finished / "evaluation.json").read_text())
    assert report["step"] == 5 and report["dataset"] == str(train_folder)
    (finished / "evaluation.json").unlink()
    shutil.rmtree(finished / "evaluation")
    assert result.status == 0 and f"{train_folder}, held out" in result.out
    assert "step 5" in result.out and "step 6" not in result.out


def test_the_second_stage_starts_from_the_end_of_the_first(finished):
    options = {"image_size": 16, "blocks": 1, "width": 4, "content": "mse", "stage": "gan"}
    model = SRGAN(**options, begin=str(finished), ema=0.5)
    begin(model, None)
    end_of_stage_1 = Run(finished).load_sampler(SRGAN, step=3).generator.variables
    for network in (model.generator, model.average_generator):
        for one, other in zip(network.variables, end_of_stage_1, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_first_stage_alone(run_cli, train_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(SuperResolution, "export_trained", lambda *_: "nowhere")
    line = f"{SMALL} --stage mse --pretrain_steps 2 --dataset {train_folder} --run {tmp_path / 'r'}"
    assert "steps 0 to 2" in run_cli(line).out
    with np.load(tmp_path / "r" / "checkpoints" / "step_00000002.npz") as archive:
        groups = {key.split("/")[0] for key in archive.files}
    assert groups == {"generator", "resnet_optimizer", "model"}


def test_errors_are_one_line(refused, finished, inputs, train_folder, tmp_path):
    saved = finished / "export" / "srgan" / "1"
    wide = f"'{inputs / 'wide.png'}' --output {tmp_path / 'out'}"
    refused(f"predict {finished} {wide} --tile 20", "--tile 20", "at least 21")
    refused(f"predict {finished} {wide} --step 4", "--step 4", "3, 5, 6")
    refused(f"predict {finished} {wide} --best", "--keep_best")
    refused(f"predict {saved} {wide} --step 3", "--step: fixed", str(saved))
    refused(f"predict {finished} {tmp_path / 'none.png'} --output x", "none.png", "no such")
    refused(f"evaluate {finished} --images {tmp_path / 'none'}", "no such image or folder")
    refused(f"{SMALL} --stage gan --dataset {train_folder} --run {tmp_path / 'g'}", "--begin RUN")
    other = f"{SMALL} --stage gan --width 5 --begin {finished} --dataset {train_folder}"
    refused(f"{other} --run {tmp_path / 'g'}", "other options")
    assert not (tmp_path / "g").exists()
    image_file.write(tmp_path / "bad.png", noise(9, 9, 0))
    truncate(tmp_path / "bad.png")
    refused(f"predict {finished} {tmp_path / 'bad.png'} --output {tmp_path / 'out'}", "bad.png")
    assert not list(tmp_path.glob("out/*"))
