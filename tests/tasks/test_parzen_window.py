"""The log-likelihood of test images under a Parzen window around the samples."""

import json
from types import SimpleNamespace

from common.images import image_file
from common.metrics.parzen_window import SIGMAS
from common.tasks import parzen_window
from common.tasks.generation import Generation
from common.tasks.parzen_window import ParzenWindow
from tests.helpers.command_line import command_line
from tests.helpers.models import randomize
from tests.helpers.tiny_gan import TinyGan
from tests.helpers.unlabelled_runs import data_of, run_of

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm


def model_of():
    keras.utils.set_random_seed(3)
    model = TinyGan()
    randomize(model.generator)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on 20 training images and 7 test images; read-only but for its evaluation."""
    folder = tmp_path_factory.mktemp("parzen")
    splits = np.random.default_rng(0).normal(128, 50, (27, 8, 8)).clip(0, 255).astype(np.uint8)
    run_of(folder, model_of(), splits[:20], splits[20:], "tiny_gan")
    return folder


@pytest.fixture
def evaluated(folder, capsys, monkeypatch):
    """evaluated() -> the output of evaluate and its report, with 11 samples at most."""
    monkeypatch.setattr(parzen_window.generated_images, "COUNT", 11)
    call = command_line(capsys, TinyGan, Generation, ParzenWindow)

    def evaluate():
        result = call(f"evaluate '{folder / 'run'}' --count 4")
        assert result.status == 0, result.err
        return result.out, json.loads((folder / "run" / "evaluation.json").read_text())

    return evaluate


def log_likelihoods(x, centres, sigma):
    """Image by image and pixel by pixel."""
    each = [[norm.logpdf(image, centre, sigma).sum() for centre in centres] for image in x]
    return logsumexp(each, axis=1) - np.log(len(centres))


def pixels(images):
    return images.reshape(len(images), -1) / 255


def test_evaluate_adds_the_likelihood_of_samples_and_of_training_images(
    folder, evaluated, monkeypatch
):
    monkeypatch.setattr(parzen_window, "VALIDATION", 6)
    out, report = evaluated()
    data, model = data_of(folder), model_of()
    train, test = (pixels(data.arrays(split)[0]) for split in ("train", "test"))
    drawn = model.sampler(model.latent.of_seed(0, 11), training=False)
    centres = {"samples": pixels(image_file.to_uint8(drawn)), "training_images": train[6:17]}
    found = report["parzen_window"]
    assert found.pop("test_images") == 7
    assert set(found) == set(centres)
    for name, own in centres.items():
        # The width is chosen on six training images that are no centres.
        means = [log_likelihoods(train[:6], own, sigma).mean() for sigma in SIGMAS]
        sigma = SIGMAS[np.argmax(means)]
        assert SIGMAS[0] < sigma < SIGMAS[-1]
        each = log_likelihoods(test, own, sigma)
        error = each.std(ddof=1) / 7**0.5
        expected = {"mean": each.mean(), "standard_error": error, "sigma": sigma}
        assert found[name] == pytest.approx(expected, rel=1e-4), name
        said = f"{each.mean():.1f} ± {error:.1f} nats (sigma {sigma:.3f})"
        assert said in out
    assert "with 11 samples" in out and "11 training images" in out


def test_too_few_training_images_have_no_likelihood(evaluated):
    out, report = evaluated()
    assert "parzen_window" not in report and "Parzen" not in out


def test_a_model_that_takes_a_class_has_no_likelihood():
    data = SimpleNamespace(arrays=lambda split, count: (np.zeros((2000, 8, 8, 1), np.uint8), None))
    ParzenWindow().evaluate(SimpleNamespace(model=TinyGan(conditional=True), data=data))  # no `add`
