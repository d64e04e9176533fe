"""The comparison of two runs by the discriminators of both."""

import json
import math

from common.evaluation import generated_images
from common.images import image_file
from common.tasks.generation import Generation
from common.tasks.rivals import Rivals, gmam
from tests.helpers.command_line import command_line, refusal
from tests.helpers.models import randomize
from tests.helpers.tiny_gan import TinyGan
from tests.helpers.unlabelled_runs import data_of, run_of

import keras
import numpy as np
import pytest
import tensorflow as tf

NAME, COUNT = "test_rivals", 12


class Several(TinyGan):
    """Two discriminators, of which the second one is twice as sure."""

    def logits(self, images):
        logit = self.discriminator(images, training=False)
        return tf.concat([logit, 2 * logit], axis=1)

    def value(self, real, fake):
        V = tf.reduce_mean(tf.math.log_sigmoid(real), 0) + tf.reduce_mean(
            tf.math.log_sigmoid(-fake), 0
        )
        return tf.reduce_mean(V)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the same images, and one on images of another size; read-only."""
    made = []
    for seed, size in ((0, 8), (1, 8), (2, 16)):
        folder = tmp_path_factory.mktemp("rivals")
        random = np.random.default_rng(0)
        x = random.integers(0, 256, (COUNT, size, size)).astype(np.uint8)
        run_of(folder, model_of(seed, size), x, x[::-1], NAME)
        made.append(folder)
    return made


def model_of(seed, size=8):
    keras.utils.set_random_seed(seed)
    model = Several(image_size=size)
    randomize(model.discriminator, 0.05, seed)
    return model


@pytest.fixture
def cli(capsys, monkeypatch):
    monkeypatch.setattr(generated_images, "COUNT", COUNT)
    return command_line(capsys, Several, Generation, Rivals)


def log_sigmoid(x):
    return -np.logaddexp(0, -np.asarray(x, "float64"))


def value(judge, images, real):
    """Mean value of both discriminators of a model for uint8 images."""

    def mean(x, sign):
        logit = judge.discriminator(image_file.to_unit(x), training=False)
        return log_sigmoid(sign * logit).mean() + log_sigmoid(2 * sign * logit).mean()

    return (mean(real, 1) + mean(images, -1)) / 2


def test_the_metric_of_both_generators_before_both_discriminators(runs, cli):
    folder, other, _ = runs
    result = cli(f"evaluate '{folder / 'run'}' --count 4 --against '{other / 'run'}'")
    assert result.status == 0, result.err
    real, _ = data_of(folder).arrays("test")
    a, b = model_of(1), model_of(0)
    images = [
        image_file.to_uint8(each.sampler(each.latent.of_seed(0, COUNT), training=False))
        for each in (a, b)
    ]
    values = [[value(judge, x, real) for x in images] for judge in (a, b)]
    found = json.loads((folder / "run" / "evaluation.json").read_text())["rivals"]
    np.testing.assert_allclose(found["values"], values, rtol=1e-4)
    assert found["gmam"] == pytest.approx(gmam(values), abs=1e-4)
    assert f"GMAM against {other / 'run'}: {found['gmam']:.3f}" in result.out


def test_it_is_positive_for_a_generator_that_deceives_more_and_changes_sign_with_the_sides():
    # The images of b look more real to both: their values are further below 0.
    assert gmam([[-1.0, -2.0], [-0.5, -1.5]]) == pytest.approx(math.log(2 / (0.5 / 1.5)))
    assert gmam([[-1.5, -0.5], [-2.0, -1.0]]) == pytest.approx(-math.log(6))


def test_without_against_nothing_is_added(runs, cli):
    assert cli(f"evaluate '{runs[1] / 'run'}' --count 4").status == 0
    assert "rivals" not in json.loads((runs[1] / "run" / "evaluation.json").read_text())


def test_what_cannot_be_compared_is_refused(runs, cli):
    refused = refusal(cli)
    here = f"evaluate '{runs[0] / 'run'}' --count 4"
    refused(f"{here} --against '{runs[2] / 'run'}'", "--image_size is 16 there and 8 here")
    refused(f"{here} --against '{runs[0]}'", "no run in this folder")
