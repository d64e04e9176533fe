"""In-painting: grids and metrics during training, predict, evaluate and export."""

import csv
import json
import shutil

from common.errors import UserError
from common.evaluation import reference_classifier
from common.images import image_file
from common.serving import saved_model
from common.tasks import inpainting
from common.tasks.base import Checkpoint
from common.training.run_folder import Run
from tests.helpers.image_files import noise
from tests.helpers.inpainters import NAMES, SIDE, box_hole, completed_by, task
from tests.helpers.page_reader import shown_on

import numpy as np
import pytest

pytest_plugins = "tests.helpers.inpainters"


def model_of(run):
    return task().load(Run(run), Checkpoint())


def data_of(run):
    return task().data(seed=5, dataset=Run(run).config()["options"]["dataset"])


def assert_same(image, expected):
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.fixture
def classifier(monkeypatch):
    """A stub of the reference classifier, which says that all images are of class 1."""

    class Stub:
        accuracy = 0.25

        def logits(self, images):
            return np.tile([0.0, 1.0, 0.0], (len(images), 1))

    monkeypatch.setattr(reference_classifier, "trained_classifier", lambda data: Stub())


# During training.


def test_the_sample_grid_has_masked_completed_and_original_test_images(grey_run):
    model, data = model_of(grey_run), data_of(grey_run)
    drawn = task().sample_grid(model, data)()
    x, _ = data.arrays("test", 10)
    holes = inpainting.holes_of(model, 10, 0)
    assert holes.shape == (10, SIDE, SIDE) and (holes.sum(axis=(1, 2)) == (SIDE // 2) ** 2).all()
    step = SIDE + 2
    assert len(drawn) == 3 * step + 2
    drawn = drawn[:, -10 * step - 2 :]  # without the names of the rows
    for column in range(10):
        left = 2 + column * step
        rows = [drawn[2 + row * step :][:SIDE, left : left + SIDE] for row in range(3)]
        hole = holes[column]
        assert (rows[0][hole] == 128).all()
        np.testing.assert_array_equal(rows[0][~hole], x[column][~hole])
        assert_same(rows[1], completed_by(model, x[column], hole))
        np.testing.assert_array_equal(rows[2], x[column])


def test_holes_are_the_same_for_a_seed(grey_run, monkeypatch):
    model = model_of(grey_run)
    one = inpainting.holes_of(model, 7, 3)
    np.testing.assert_array_equal(inpainting.holes_of(model, 7, 3), one)
    assert not np.array_equal(inpainting.holes_of(model, 7, 4), one)
    monkeypatch.setattr(inpainting, "BATCH_SIZE", 3)
    assert inpainting.holes_of(model, 7, 3).shape == one.shape


def test_metrics_during_training_are_of_training_images(grey_run, classifier, monkeypatch):
    model, data = model_of(grey_run), data_of(grey_run)
    metrics = {"hole_l1": -1, "class_kept": 1}
    assert task().metrics_of(model, data) == metrics
    measured = task().measure(model, data, 9)()
    x, labels = data.arrays("train", 9)
    holes = inpainting.holes_of(model, 9, 0)
    completed = np.stack([completed_by(model, *pair) for pair in zip(x, holes, strict=True)])
    error = np.abs(completed.astype(float) - x)[holes].mean() / 127.5
    assert measured == {
        "hole_l1": pytest.approx(error, rel=1e-2),
        "class_kept": pytest.approx(np.mean(labels == 1)),
    }
    monkeypatch.setattr(reference_classifier, "unavailable_reason", lambda data: "none")
    assert list(task().measure(model, data, 9)()) == ["hole_l1"]


# Predict.


@pytest.fixture
def images(tmp_path):
    """RGB images of several sizes, for a model of grey ones."""
    for name, sides in {"square": (16, 16), "wide": (13, 40), "large": (50, 33)}.items():
        image_file.write(tmp_path / "in" / f"{name}.png", noise(*sides, len(name)))
    return tmp_path / "in"


def test_predict_fills_the_box_and_keeps_the_rest(inpaint_cli, grey_run, images, tmp_path):
    line = f"predict '{grey_run}' '{images}' --output '{tmp_path}/o' --box 4,3,6,9 --size original"
    result = inpaint_cli(line)
    assert result.status == 0, result.err
    assert "3 images completed" in result.out and "centre" not in result.out
    shown = dict(shown_on(tmp_path / "o" / "index.html"))
    for file in images.iterdir():
        image, completed = (image_file.read(f, 1) for f in (file, tmp_path / "o" / file.name))
        hole = box_hole(*image.shape[:2], 4, 3, 6, 9)
        assert_same(completed, completed_by(model_of(grey_run), image, hole))
        np.testing.assert_array_equal(completed[~hole], image[~hole])
        masked = shown[f"masked: {file.name}"]
        assert (masked == np.where(hole[..., None], 128, image)).all()
        assert f"original: {file.name}" in shown and f"completed: {file.name}" in shown


def test_a_mask_gives_what_the_same_box_gives(inpaint_cli, grey_run, images, tmp_path):
    white = 255 * box_hole(50, 33, 20, 10, 9, 21).astype(np.uint8)[..., None]
    image_file.write(tmp_path / "mask.png", white)
    made = []
    for option in (f"--mask '{tmp_path}/mask.png'", "--box 20,10,9,21"):
        output = tmp_path / str(len(made))
        line = f"predict '{grey_run}' '{images}/large.png' --output '{output}' {option}"
        assert inpaint_cli(line).status == 0
        made.append(image_file.read(output / "large.png", 1))
    np.testing.assert_array_equal(*made)


def test_by_default_the_centre_is_filled_at_the_scale_of_training(
    inpaint_cli, grey_run, images, tmp_path
):
    result = inpaint_cli(f"predict '{grey_run}' '{images}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    assert "the centre of each image is filled: give --box or --mask" in result.out
    assert "the scale of the training images, 16 pixels (shorter side)" in result.out
    inpainter = task().inpainter(str(grey_run), Checkpoint())
    for file in images.iterdir():
        image = image_file.read(file, 1)
        height, width = image.shape[:2]
        top, left = (height - height // 2) // 2, (width - width // 2) // 2
        hole = box_hole(height, width, left, top, width // 2, height // 2)
        completed = image_file.read(tmp_path / "o" / file.name, 1)
        np.testing.assert_array_equal(completed, inpainter.complete(image, hole, SIDE))


def test_the_export_completes_as_the_run_does(inpaint_cli, grey_run, images, tmp_path):
    exported = grey_run / "export" / "ccgan" / "1"
    for options in ("--box 1,2,5,5", "--box 1,2,5,5 --size original"):
        for source in (grey_run, exported):
            line = f"predict '{source}' '{images}' --output '{tmp_path}/{source.name}' {options}"
            assert inpaint_cli(line).status == 0
        for file in images.iterdir():
            made = (image_file.read(tmp_path / s.name / file.name, 1) for s in (grey_run, exported))
            assert_same(*made)


def test_images_are_classified(inpaint_cli, grey_run, images, tmp_path):
    result = inpaint_cli(f"predict '{grey_run}' '{images}' --output '{tmp_path}/o' --classify")
    assert result.status == 0, result.err
    with open(tmp_path / "o" / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    model = model_of(grey_run)
    assert [row["file"] for row in rows] == [str(images / f"{n}.png") for n in sorted(IN)]
    for row in rows:
        image = image_file.square(image_file.read(row["file"], 1), SIDE)
        p = model.classify(image_file.to_unit(image)[None]).numpy()[0]
        assert row["class"] == NAMES[p.argmax()]
        assert float(row["probability"]) == pytest.approx(p.max(), abs=1e-4)
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"predictions.csv", "index.html"}


def test_a_hole_that_does_not_fit_an_image_does_not_stop_the_others(
    inpaint_cli, grey_run, images, tmp_path
):
    line = f"predict '{grey_run}' '{images}' --output '{tmp_path}/o' --mask '{images}/square.png'"
    result = inpaint_cli(line)
    assert result.status == 2 and "2 of 3 images cannot be used" in result.err
    assert "has 16x16 pixels; give one of the size of wide.png" in result.out
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"square.png", "index.html"}
    assert inpaint_cli(f"{line} --skip_bad_images").status == 0


IN = ("square", "wide", "large")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--box 30,0,11,5", "--box 30,0,11,5: outside of wide.png, which has 40x13 pixels"),
        ("--box 1,2,3", "--box 1,2,3: give x,y,width,height in pixels"),
        ("--box 0,0,2,2 --mask m.png", "--box 0,0,2,2: cannot be combined with --mask"),
        ("--mask '{images}/square.png'", "square.png: has 16x16 pixels; give one of the size of"),
        ("--mask nowhere.png", "nowhere.png"),
        ("--size 0", "--size 0: give 1 or more"),
        ("--tile 0", "tile 0"),
        ("--classify --box 0,0,2,2", "--classify: takes images as they are"),
    ],
)
def test_errors_of_predict_are_one_line(inpaint_refused, grey_run, images, tmp_path, options, said):
    options = options.format(images=images)
    inpaint_refused(
        f"predict '{grey_run}' '{images}/wide.png' --output '{tmp_path}/o' {options}", said
    )
    assert not (tmp_path / "o").exists()


def test_without_labels_there_is_no_classifier(
    make_inpainter_run, inpaint_cli, inpaint_refused, images, tmp_path
):
    run = make_inpainter_run(channels=3, labels=0)
    line = f"predict '{run}' '{images}' --output '{tmp_path}/o'"
    inpaint_refused(f"{line} --classify", "--classify", "has no classifier; train with --labels")
    assert inpaint_cli(line).status == 0
    result = inpaint_cli(f"evaluate '{run}'")
    assert result.status == 0, result.err
    report = json.loads((run / "evaluation.json").read_text())
    assert list(report["results"]["model"]) == ["hole_l1", "count"] and "classifier" not in report
    assert inpaint_cli(f"export '{run}'").status == 0


def test_a_saved_model_does_not_classify(inpaint_refused, grey_run, images, tmp_path):
    saved = grey_run / "export" / "ccgan" / "1"
    line = f"predict '{saved}' '{images}' --output '{tmp_path}/o' --classify"
    inpaint_refused(line, "a SavedModel only fills holes; classify with the run")


# Evaluate.


def test_evaluate_compares_with_trivial_fillings(inpaint_cli, grey_run, classifier, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(grey_run, run, ignore=shutil.ignore_patterns("export"))
    result = inpaint_cli(f"evaluate '{run}' --count 8 --seed 2 --show 5")
    assert result.status == 0, result.err
    report = json.loads((run / "evaluation.json").read_text())
    model, data = model_of(run), data_of(run)
    x, labels = data.arrays("test", 8)
    holes = inpainting.holes_of(model, 8, 2)
    completed = np.stack([completed_by(model, *pair) for pair in zip(x, holes, strict=True)])
    mean = np.rint(data.arrays("train")[0].mean(axis=0))
    rows = report["results"]
    for name, filled in {"model": completed, "mean image": mean}.items():
        error = np.abs(np.where(holes[..., None], filled, x) - x.astype(float))[holes].mean()
        assert rows[name]["hole_l1"] == pytest.approx(error / 127.5, rel=1e-2)
        assert rows[name]["class_kept"] == np.mean(labels == 1)
        assert rows[name]["worst_class"] == 0
    assert rows["original image"]["hole_l1"] == 0
    assert report["classifier"]["count"] == 12 and report["seed"] == 2 and report["step"] == 4
    assert "8 test images of" in result.out and "median colour" in result.out
    assert f"{rows['model']['hole_l1']:.4f}" in result.out
    captions = [caption for caption, _ in shown_on(run / "evaluation" / "index.html")]
    assert captions == ["masked: Images", "completed: Images", "original: Images"]
    assert (
        "reference classifier: test accuracy 25.00%"
        in (run / "evaluation" / "index.html").read_text()
    )


def test_help_of_predict_is_about_holes(inpaint_cli):
    words = " ".join(inpaint_cli("predict --help").out.split())
    assert "Fills a hole in images of any size" in words and "images from noise" not in words
    assert "white where the image is to be filled" in words
    assert "Also evaluates the model's classifier" in " ".join(
        inpaint_cli("evaluate --help").out.split()
    )


# A baseline, which trains the classifier of the discriminator alone.


def test_a_baseline_classifies_and_fills_nothing(
    make_inpainter_run, inpaint_cli, classifier, tmp_path
):
    run = make_inpainter_run(baseline=True)
    image_file.write(tmp_path / "x.png", noise(SIDE, SIDE, 1))
    command = f"predict {run} {tmp_path / 'x.png'} --output {tmp_path / 'o'}"
    result = inpaint_cli(command)
    assert result.status == 2
    assert "with --baseline only classifies; to fill holes, give one without it" in result.err
    assert inpaint_cli(f"{command} --classify").status == 0
    assert inpaint_cli(f"evaluate {run}").status == 0
    report = json.loads(Run(run).evaluation_file.read_text())
    assert "results" not in report and report["classifier"]["count"] == 12
    model, data = model_of(run), data_of(run)
    assert len(task().sample_grid(model, data)()) == SIDE + 4  # a row
    with pytest.raises(UserError, match="a baseline has a classifier alone"):
        task().metrics_of(model, data)
    folder = task().export_trained(Run(run))
    assert set(saved_model.load(folder).signatures) == {"serving_default", "serving_classify"}
