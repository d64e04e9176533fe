"""Predict and export of an auto-encoder: images to codes, and codes to images."""

import csv

from common.images import image_file
from common.serving import saved_model
from tests.helpers.autoencoders import NAMES, PIXELS, assert_same, data_of, model_of, reconstructed
from tests.helpers.image_files import noise

import numpy as np
import pytest
import tensorflow as tf

pytest_plugins = ["tests.helpers.autoencoders"]


@pytest.fixture
def inputs(tmp_path):
    """Two images, one of another shape and in RGB."""
    image_file.write(tmp_path / "in" / "1.png", noise(PIXELS, PIXELS, 1, channels=1))
    image_file.write(tmp_path / "in" / "2.png", noise(11, 20, 2))
    return tmp_path / "in"


def model_input(file):
    """An image as the model takes it: uint8 (1, 8, 8, 1)."""
    return image_file.square(image_file.read(file, 1), PIXELS)[None]


def grid_cells(file, rows, columns):
    """The images of a grid, (rows, columns, 8, 8)."""
    grid = image_file.read(file, 1)[..., 0]
    step = PIXELS + 2
    assert grid.shape == (rows * step + 2, columns * step + 2)
    cells = [
        [grid[i * step + 2 : (i + 1) * step, j * step + 2 : (j + 1) * step] for j in range(columns)]
        for i in range(rows)
    ]
    return np.array(cells).astype(int)


def read_rows(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_images_are_written_beside_their_reconstructions(aae_cli, make_run, inputs, tmp_path):
    run = make_run()
    result = aae_cli(f"predict '{run}' '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "1.png",
        "2.png",
        "codes.csv",
        "index.html",
    ]
    model, rows = model_of(run), read_rows(tmp_path / "o" / "codes.csv")
    for file, row in zip(sorted(inputs.iterdir()), rows, strict=True):
        x = model_input(file)
        code = model.encoder(image_file.to_unit(x)).numpy()
        (own, made) = grid_cells(tmp_path / "o" / file.name, 1, 2)[0]
        assert_same(own, x)
        assert_same(made, reconstructed(model, code))
        assert row.pop("file") == str(file) and list(row) == ["z1", "z2", "z3"]
        np.testing.assert_allclose([float(v) for v in row.values()], code[0], atol=1e-5)
    assert "2 images with their codes" in result.out


def test_the_best_checkpoint_has_other_codes(aae_cli, make_run, inputs, tmp_path):
    for name, option in (("newest", ""), ("best", "--best")):
        line = f"predict '{make_run()}' '{inputs}' {option} --output '{tmp_path / name}'"
        assert aae_cli(line).status == 0
    newest, best = (read_rows(tmp_path / name / "codes.csv")[0] for name in ("newest", "best"))
    assert newest["file"] == best["file"] and newest["z1"] != best["z1"]


def test_a_decoder_that_takes_the_class_shows_every_class_or_that_of_label(
    aae_cli, make_run, inputs, tmp_path
):
    run = make_run(supervised=True)
    model, x = model_of(run), model_input(inputs / "1.png")
    z = model.encoder(image_file.to_unit(x)).numpy()
    expected = [reconstructed(model, np.concatenate([z, np.eye(3)[[k]]], 1)) for k in range(3)]
    for options, class_ids in (("", [0, 1, 2]), ("--label light", [2]), ("--label 1", [1])):
        folder = tmp_path / f"o{len(class_ids)}{class_ids[0]}"
        line = f"predict '{run}' '{inputs / '1.png'}' {options} --output '{folder}'"
        assert aae_cli(line).status == 0
        _, *made = grid_cells(folder / "1.png", 1, 1 + len(class_ids))[0]
        for one, k in zip(made, class_ids, strict=True):
            assert_same(one, expected[k])


def test_an_encoder_that_predicts_the_class(aae_cli, make_run, inputs, tmp_path):
    run = make_run(labels=3)
    model, x = model_of(run), model_input(inputs / "1.png")
    code = model.encoder(image_file.to_unit(x)).numpy()
    line = f"predict '{run}' '{inputs / '1.png'}' --output '{tmp_path}/o'"
    assert aae_cli(line).status == 0
    assert_same(grid_cells(tmp_path / "o" / "1.png", 1, 2)[0, 1], reconstructed(model, code))
    (row,) = read_rows(tmp_path / "o" / "codes.csv")
    assert list(row) == ["file", "z1", "z2", "z3", *NAMES]
    assert [float(row[name]) for name in NAMES] == pytest.approx(code[0, 3:].tolist(), abs=1e-5)
    assert aae_cli(f"{line} --label grey").status == 0
    other = np.concatenate([code[:, :3], np.eye(3)[[1]]], 1)
    assert_same(grid_cells(tmp_path / "o" / "1.png", 1, 2)[0, 1], reconstructed(model, other))


def test_interpolation_goes_from_code_to_code(aae_cli, make_run, inputs, tmp_path):
    run = make_run()
    line = f"predict '{run}' '{inputs}' --interpolate 5 --output '{tmp_path}/o'"
    assert aae_cli(line).status == 0
    model = model_of(run)
    x = (image_file.to_unit(model_input(inputs / name)) for name in ("1.png", "2.png"))
    a, b = (model.encoder(each).numpy() for each in x)
    frames = grid_cells(tmp_path / "o" / "interpolation.png", 1, 5)[0]
    for frame, share in zip(frames, (0, 0.25, 0.5, 0.75, 1), strict=True):
        assert_same(frame, reconstructed(model, (1 - share) * a + share * b))
    assert (tmp_path / "o" / "interpolation.gif").is_file()
    assert not (tmp_path / "o" / "1.png").exists()


def test_interpolation_in_every_class(aae_cli, make_run, inputs, tmp_path):
    line = f"predict '{make_run(supervised=True)}' '{inputs}' --interpolate 4"
    assert aae_cli(f"{line} --output '{tmp_path}/o'").status == 0
    frames = grid_cells(tmp_path / "o" / "interpolation.png", 3, 4)
    assert len({frame.tobytes() for row in frames for frame in row}) == 12


def test_images_are_generated_without_inputs(aae_cli, make_run, tmp_path):
    result = aae_cli(f"predict '{make_run()}' --count 2 --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    names = ["0000.png", "0001.png", "index.html"]
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'{run}' nowhere.png", "nowhere.png: no such image"),
        ("'{run}' '{inputs}' --grid", "--grid: is for images from noise"),
        ("'{run}' '{inputs}' --count 3", "--count: is for images from noise.*to encode"),
        ("'{run}' '{inputs}' --label dark", "--label dark: .*takes no class"),
        ("'{run}' '{inputs}' --interpolate 1", "--interpolate 1: give 2 frames"),
        ("'{run}' '{inputs}/1.png' --interpolate 3", "--interpolate 3: takes two images, not 1"),
        ("'{inputs}' '{inputs}'", "no run in this folder"),
    ],
)
def test_errors_are_one_line(aae_cli, make_run, inputs, tmp_path, arguments, said):
    given = arguments.format(run=make_run(), inputs=inputs)
    result = aae_cli(f"predict {given} --output '{tmp_path}/o'")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in said.split(".*"))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("options", [{}, {"supervised": True}, {"labels": 3}], ids=str)
def test_the_export_encodes_and_reconstructs(aae_cli, make_run, tmp_path, options):
    run = make_run(**options)
    model = model_of(run)
    assert aae_cli(f"export '{run}' --output '{tmp_path}'").status == 0
    signatures = tf.saved_model.load(str(tmp_path / "aae" / "1")).signatures
    x, y = data_of(run).arrays("test", 4)
    image = tf.constant(image_file.to_unit(x))
    code = model.encoder(image, training=False)
    np.testing.assert_allclose(signatures["serving_encode"](image=image)["code"], code, atol=1e-5)
    label = {"label": tf.constant(y)} if "supervised" in options else {}
    x_hat = signatures["serving_reconstruct"](image=image, **label)["image"]
    if label:
        code = np.concatenate([code, np.eye(3, dtype="float32")[y]], axis=1)
    assert_same(image_file.to_uint8(x_hat)[..., 0], reconstructed(model, code))


def test_a_saved_model_does_not_encode(aae_cli, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "contains", lambda *_: True)
    result = aae_cli(f"predict somewhere '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 2 and "somewhere: a SavedModel only generates images" in result.err


def test_a_model_without_an_average_takes_its_only_network(aae_cli, make_run, inputs, tmp_path):
    run = make_run()
    line = f"predict '{run}' '{inputs}' --output '{tmp_path}/o' --network"
    assert aae_cli(f"{line} generator").status == 0
    result = aae_cli(f"{line} average")
    assert result.status == 2 and "--network average" in result.err
    assert len(result.err.splitlines()) == 1
