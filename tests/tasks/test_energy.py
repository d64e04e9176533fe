"""Energies of images: predict, evaluate and the export's signature."""

import csv
import json
import re

from common.images import image_file
from common.images.grid import square_grid
from common.tasks import energy
from common.tasks.energy import Energy
from common.tasks.generation import Generation
from tests.helpers.command_line import command_line
from tests.helpers.gan_runs import assert_same
from tests.helpers.models import randomize
from tests.helpers.page_reader import shown_on
from tests.helpers.tiny_gan import TinyGan
from tests.helpers.unlabelled_runs import data_of, run_of

import keras
import numpy as np
import pytest
import tensorflow as tf


class TinyEnergy(TinyGan):
    """A tiny generator with an auto-encoder that takes the mean of 3x3 pixels.

    Args:
        image_size: side of the images in pixels.
        channels: channels of the images.
        classes: number of classes.
    """

    def __init__(self, image_size: int = 8, channels: int = 1, classes: int = 0):
        super().__init__(image_size, channels, classes)
        x = keras.Input((image_size, image_size, channels))
        h = keras.layers.Conv2D(channels, 3, padding="same")(x)
        self.autoencoder = keras.Model(x, h, name="autoencoder")

    @property
    def networks(self):
        return super().networks | {"autoencoder": self.autoencoder}

    def energy(self, images):
        again = self.autoencoder(images, training=False)
        return tf.reduce_mean(tf.abs(images - again), axis=(1, 2, 3)), again


BIAS = 0.1


def model_of():
    keras.utils.set_random_seed(3)
    model = TinyEnergy()
    randomize(model.generator)
    model.autoencoder.set_weights([np.full((3, 3, 1, 1), 1 / 9), np.array([BIAS])])
    return model


def reconstruction(images):
    """That of uint8 images (N, 8, 8, 1), in NumPy: float in [-1, 1]."""
    x = np.pad(images / 127.5 - 1, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [x[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    return np.mean(shifted, axis=0) + BIAS


def energies(images):
    return np.abs(images / 127.5 - 1 - reconstruction(images)).mean(axis=(1, 2, 3))


def halves(count, seed):
    """Images with a dark half and a bright one, nearly smooth, uint8 (count, 8, 8)."""
    random = np.random.default_rng(seed)
    x = np.where(np.arange(8) < 4, 30, 220) + random.integers(-20, 20, (count, 8, 8))
    return x.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run; read-only but for its evaluation."""
    folder = tmp_path_factory.mktemp("energy")
    run_of(folder, model_of(), halves(10, 0), halves(15, 1), "test_energy")
    return folder


@pytest.fixture
def run_cli(capsys):
    return command_line(capsys, TinyEnergy, Generation, Energy)


def read_rows(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# Predict.


@pytest.fixture
def inputs(tmp_path):
    """Two images of the model's side, and a larger one in RGB."""
    random = np.random.default_rng(4)
    image_file.write(tmp_path / "in" / "a.png", halves(1, 2)[0][..., None])
    image_file.write(tmp_path / "in" / "b.png", random.integers(0, 256, (8, 8, 1), np.uint8))
    image_file.write(tmp_path / "in" / "c.png", random.integers(0, 256, (9, 20, 3), np.uint8))
    return tmp_path / "in"


def test_predict_writes_the_energies_of_images(run_cli, folder, inputs, tmp_path):
    result = run_cli(f"predict '{folder / 'run'}' '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    files = [inputs / name for name in ("a.png", "b.png", "c.png")]
    x = np.stack([image_file.square(image_file.read(file, 1), 8) for file in files])
    rows = read_rows(tmp_path / "o" / "energies.csv")
    assert [row["file"] for row in rows] == [str(file) for file in files]
    found = [float(row["energy"]) for row in rows]
    np.testing.assert_allclose(found, energies(x), atol=1e-4)
    assert found[0] < found[1]
    for row in rows:
        assert f"{row['file']}: {row['energy']}" in result.out
    assert f"3 energies in {tmp_path / 'o' / 'energies.csv'}" in result.out


def test_the_page_shows_images_beside_their_reconstructions(run_cli, folder, inputs, tmp_path):
    result = run_cli(f"predict '{folder / 'run'}' '{inputs}' --output '{tmp_path}/o'")
    assert result.status == 0, result.err
    page = tmp_path / "o" / "index.html"
    shown = [image for _, image in shown_on(page, channels=1)]
    files = sorted(inputs.iterdir())
    x = np.stack([image_file.square(image_file.read(file, 1), 8) for file in files])
    again = image_file.to_uint8(reconstruction(x))
    assert len(shown) == 6
    for number in range(3):
        assert_same(shown[2 * number], x[number])
        assert_same(shown[2 * number + 1], again[number])
    text = page.read_text()
    for row in read_rows(tmp_path / "o" / "energies.csv"):
        assert f"{row['file'].rsplit('/', 1)[-1]}: {row['energy']}" in text


def test_images_are_generated_without_inputs(run_cli, folder, tmp_path):
    result = run_cli(f"predict '{folder / 'run'}' --output '{tmp_path}/o' --count 2")
    assert result.status == 0, result.err
    names = ["0000.png", "0001.png", "index.html"]
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [("nowhere.png", "nowhere.png: no such image"), ("'{inputs}' --grid", "to score")],
)
def test_errors_are_one_line(run_cli, folder, inputs, tmp_path, arguments, said):
    arguments = arguments.format(inputs=inputs)
    result = run_cli(f"predict '{folder / 'run'}' {arguments} --output '{tmp_path}/o'")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert said in line


# Evaluate.


def area(high, low):
    return np.mean([(h > w) + (h == w) / 2 for h in high for w in low])


def test_evaluate_compares_test_images_with_others(run_cli, folder, monkeypatch):
    scored, score = [], energy.Scorer.__call__

    def recorded(self, x):
        scored.append(x)
        return score(self, x)

    monkeypatch.setattr(energy.Scorer, "__call__", recorded)
    run = folder / "run"
    result = run_cli(f"evaluate '{run}' --count 4 --show 9")
    assert result.status == 0, result.err
    test, generated, shuffled, noise = scored
    model, data = model_of(), data_of(folder)
    np.testing.assert_array_equal(test, data.arrays("test")[0])
    drawn = model.sampler(model.latent.of_seed(0, 15), training=False)
    assert_same(generated, image_file.to_uint8(drawn))
    pixels = [np.sort(x.reshape(15, -1), axis=1) for x in (shuffled, test)]
    np.testing.assert_array_equal(*pixels)  # the same in another order, a new one for each image
    moved = shuffled != test
    assert moved.mean() > 0.5 and not (moved == moved[:1]).all()
    assert noise.shape == test.shape and noise.dtype == np.uint8
    assert noise.min() == 0 and noise.max() == 255 and abs(noise.mean() - 127.5) < 10

    found = json.loads((run / "evaluation.json").read_text())["energy"]
    own = energies(test)
    assert found.pop("count") == 15
    assert found.pop("test") == {"mean": pytest.approx(own.mean(), rel=1e-4)}
    others = {"generated": generated, "shuffled_pixels": shuffled, "noise": noise}
    assert set(found) == set(others)
    for name, x in others.items():
        other = energies(x)
        expected = {"mean": other.mean(), "area_under_curve": area(other, own)}
        assert found[name] == pytest.approx(expected, rel=1e-3), name
    assert found["shuffled_pixels"]["area_under_curve"] > 0.95
    said = f"mean energy of 15 test images {own.mean():.4f}"
    assert said in result.out and "noise" in result.out
    assert "shuffled pixels" in result.out

    page = run / "evaluation" / "index.html"
    shown = [image for _, image in shown_on(page, channels=1)][-4:]
    for image, x in zip(shown[::2], (test, generated), strict=True):
        assert_same(image, square_grid(x[:9]))
    for image, x in zip(shown[1::2], (test, generated), strict=True):
        assert_same(image, square_grid(image_file.to_uint8(reconstruction(x[:9]))))
    assert re.search(r"Test images and their reconstructions", page.read_text())


# Export.


def test_the_export_gives_the_energy_of_the_model(run_cli, folder, tmp_path):
    assert run_cli(f"export '{folder / 'run'}' --output '{tmp_path}'").status == 0
    loaded = tf.saved_model.load(str(tmp_path / "test_energy" / "1"))
    x = halves(5, 7)[..., None]
    said = loaded.signatures["serving_energy"](image=tf.constant(image_file.to_unit(x)))
    assert set(said) == {"energy", "reconstruction"}
    np.testing.assert_allclose(said["energy"], energies(x), atol=1e-5)
    np.testing.assert_allclose(said["reconstruction"], reconstruction(x), atol=1e-5)
    assert said["energy"].shape == (5,)
