"""Drawing with one of several generators, and what each of them draws."""

from types import SimpleNamespace

from common.evaluation import reference_classifier
from common.images import image_file
from common.inference.sample_grid import fixed_grid
from common.inference.sampler import sampler_of
from common.serving.sampler import export_sampler, load_sampler
from common.tasks.generation import Generation, side_by_side
from common.tasks.generator_choice import GeneratorChoice, GeneratorSampling
from madgan.madgan import MADGAN
from tests.helpers.command_line import command_line, refusal
from tests.helpers.gan_runs import assert_same, cells
from tests.helpers.models import randomize
from tests.helpers.unlabelled_runs import run_of

import keras
import numpy as np
import pytest

K = 3
OPTIONS = {"generators": K, "width": 2, "latent_size": 4, "dense_units": 4}


@pytest.fixture(scope="module")
def model():
    """Generators of visibly different images; read-only."""
    keras.utils.set_random_seed(1)
    model = MADGAN(image_size=8, **OPTIONS)
    randomize(model.generator, 0.5)
    return model


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    x = np.zeros((4, 8, 8), np.uint8)
    return run_of(tmp_path_factory.mktemp("choice"), model, x, x, "madgan", **OPTIONS).folder


@pytest.fixture
def cli(capsys):
    return command_line(capsys, MADGAN, Generation, GeneratorChoice)


def images_of(model, seed, count, generator=None):
    """uint8 images of a generator, or of those that the noise of a seed chooses."""
    noise = model.latent.of_seed(seed, count)
    of_all = model.generator(noise[:, :-1], training=False).numpy()
    chosen = np.asarray(model.latent.chosen(noise)) if generator is None else generator
    return image_file.to_uint8(of_all[np.arange(count), chosen])


@pytest.mark.parametrize("generator", [None, 0, 2])
def test_predict_draws_with_one_generator_or_with_those_that_the_noise_chooses(
    cli, model, run, tmp_path, generator
):
    option = "" if generator is None else f"--generator {generator}"
    result = cli(f"predict '{run}' --output '{tmp_path / 'o'}' --count 5 --seed 3 {option}")
    assert result.status == 0, result.err
    drawn = [image_file.read(path, 1) for path in sorted((tmp_path / "o").glob("*.png"))]
    assert_same(np.stack(drawn), images_of(model, 3, 5, generator))


def test_a_grid_has_a_row_for_each_generator_with_the_same_noise_in_a_column(
    cli, model, run, tmp_path
):
    assert cli(f"predict '{run}' --output '{tmp_path}' --count 7 --grid --seed 3").status == 0
    grid = cells(image_file.read(tmp_path / "grid.png", 1), K, 3)
    during_training = cells(fixed_grid(sampler_of(model))(), K, 10)
    for generator in range(K):
        assert_same(grid[generator], images_of(model, 3, 3, generator))
        assert_same(during_training[generator], images_of(model, 0, 10, generator))
    assert cli(f"predict '{run}' --output '{tmp_path}' --count 4 --grid --generator 1").status == 0
    grid = cells(image_file.read(tmp_path / "grid.png", 1), 2, 2).reshape(4, 8, 8, 1)
    assert_same(grid, images_of(model, 0, 4, 1))


def test_a_generator_that_is_not_there_is_refused(cli, run, tmp_path):
    for number in (-1, K):
        line = f"predict '{run}' --output '{tmp_path}' --generator {number}"
        refusal(cli)(line, f"--generator {number}: give 0 to {K - 1}")


def test_arithmetic_is_drawn_by_one_generator(cli, model, run, tmp_path):
    line = f"predict '{run}' --output '{tmp_path}' --arithmetic 0,1-2"
    refusal(cli)(line, "--arithmetic 0,1-2: needs --generator")
    assert cli(f"{line} --generator 2").status == 0
    drawn = cells(image_file.read(tmp_path / "arithmetic.png", 1), 3, 3)[:, :, -8:]
    z = model.latent.array_of_seed(0, 3)[:, :-1]
    mean = model.generator((z[0] + z[1])[None] / 2, training=False).numpy()[:, 2]
    assert_same(drawn[0, 0], image_file.to_uint8(mean)[0])


def test_a_saved_model_can_be_asked_for_a_generator_too(model, tmp_path):
    folder = export_sampler(model, tmp_path, "madgan", 1)
    sampler = GeneratorSampling(generator=1).applied(load_sampler(folder))
    assert_same(sampler.all(sampler.noise(3, 4)), images_of(model, 3, 4, 1))


# Evaluation.


class Data:
    """Ten labelled images, and a classifier that calls an image by its brightness."""

    name, image_size, channels, classes, class_names = "here", 16, 1, 3, ["dark", "grey", "bright"]

    def arrays(self, split, count):
        return np.zeros((min(10, count), 8, 8, 1), np.uint8), np.zeros(min(10, count), int)


def test_the_classes_that_each_generator_draws(model, monkeypatch, capsys):
    def logits(images):
        level = images.mean(axis=(1, 2, 3)) // 100
        return np.eye(3)[np.clip(level, 0, 2).astype(int)]

    monkeypatch.setattr(
        reference_classifier, "trained_classifier", lambda data: SimpleNamespace(logits=logits)
    )
    tables = []
    page = SimpleNamespace(table=lambda cells, caption: tables.append(cells))
    evaluation = SimpleNamespace(model=model, data=Data(), report={}, page=page)
    GeneratorChoice().evaluate(evaluation)
    shares = evaluation.report["generators"]["shares"]
    for generator in range(K):
        predicted = logits(images_of(model, 0, 1000, generator)).argmax(axis=1)
        expected = np.bincount(predicted, minlength=3) / 1000
        np.testing.assert_allclose(shares[generator], expected, atol=0.01)
    assert tables[0][0] == ["generator", *Data.class_names] and len(tables[0]) == 1 + K
    assert "bright" in capsys.readouterr().out


def test_the_page_shows_as_many_real_images_beside_the_rows_of_the_generators(model):
    generated, real = side_by_side(sampler_of(model), Data(), "test", 9, 0)
    assert cells(generated, K, 3).shape[:2] == cells(real, 3, 3).shape[:2]
