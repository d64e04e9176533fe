"""Estimates of a distance with a critic, on training and on test images."""

import json

from common.images import image_file
from common.tasks.critic import Critic, gradient_norms
from common.tasks.generation import Generation
from tests.helpers.command_line import command_line
from tests.helpers.models import randomize
from tests.helpers.tiny_gan import TinyGan
from tests.helpers.unlabelled_runs import data_of, run_of

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on bright training images and dark test images; read-only."""
    folder = tmp_path_factory.mktemp("critic")
    random = np.random.default_rng(0)
    x_train, x_test = random.integers(150, 256, (30, 8, 8)), random.integers(0, 100, (12, 8, 8))
    images = (x.astype(np.uint8) for x in (x_train, x_test))
    run_of(folder, model_of(), *images, "tiny_gan", ema=0.5)
    return folder


def model_of():
    """A model whose average generator draws other images; its critic is linear, without kinks."""
    keras.utils.set_random_seed(3)
    model = TinyGan(ema=0.5)
    for seed, network in enumerate(model.networks.values()):
        randomize(network, seed=seed)
    conv = next(layer for layer in model.discriminator.layers if "conv" in layer.name)
    conv.bias.assign([100.0, 100.0])
    return model


def score(model, images):
    """The critic's mean score of uint8 images."""
    return np.mean(model.discriminator(image_file.to_unit(images), training=False))


def drawn(model, network, count):
    """Images of the noise of seed 0, uint8."""
    return image_file.to_uint8(network(model.latent.of_seed(0, count), training=False))


def estimates(model, folder, count):
    """E[f(x)] - E[f(G(z))] with `count` images, or all of a smaller split."""
    fake = score(model, drawn(model, model.generator, count))
    splits = {split: data_of(folder).arrays(split)[0][:count] for split in ("train", "test")}
    return {f"wasserstein_{name}": score(model, x) - fake for name, x in splits.items()}


@pytest.mark.parametrize("count", [10, 25])
def test_the_estimate_is_that_of_the_current_weights_on_both_splits(folder, count):
    task, model = Generation(TinyGan, [Critic]), model_of()
    measure = task.measure(model, data_of(folder), count)
    first = measure()
    assert first == pytest.approx(estimates(model, folder, count), abs=1e-3)
    assert first["wasserstein_train"] - first["wasserstein_test"] != pytest.approx(0, abs=0.1)
    average = score(model, drawn(model, model.average_generator, count))
    assert average != pytest.approx(score(model, drawn(model, model.generator, count)), abs=0.01)
    for network in (model.generator, model.discriminator):
        randomize(network, seed=9)
        second = measure()
        assert second == pytest.approx(estimates(model, folder, count), abs=1e-3)
        assert second != pytest.approx(first, abs=1e-3)
    assert task.metrics_of(model, data_of(folder)) == dict.fromkeys(first, -1)


def slope(model):
    """The norm of a linear critic's gradient."""
    x = tf.zeros((1, 8, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model.discriminator(x)
    return float(tf.norm(tape.gradient(y, x)))


def test_evaluate_adds_the_estimates_and_the_gradients_norm(folder, capsys):
    run = folder / "run"
    result = command_line(capsys, TinyGan, Generation, Critic)(f"evaluate '{run}' --count 4")
    assert result.status == 0, result.err
    model = model_of()
    critic = json.loads((run / "evaluation.json").read_text())["critic"]
    expected = estimates(model, folder, 10_000)
    assert critic == pytest.approx(
        expected | {"gradient_norm": slope(model), "gradient_norm_std": 0}, rel=1e-4, abs=1e-3
    )
    train, test = (expected[f"wasserstein_{split}"] for split in ("train", "test"))
    said = f"estimated distance {train:.3f} on training images, {test:.3f} on test images"
    assert said in result.out
    assert said in (run / "evaluation" / "index.html").read_text()


def test_gradients_are_taken_at_random_between_each_test_image_and_a_generated_one(
    folder, monkeypatch
):
    """Those of |x|^2 / 2 are x: its norm falls from that of a black image to the test image's."""
    model = model_of()
    kernel, bias = model.generator.trainable_variables[-2:]
    kernel.assign(tf.zeros_like(kernel))
    bias.assign(-tf.ones_like(bias))  # black images
    monkeypatch.setattr(
        model, "discriminator", lambda x, training: tf.reduce_sum(x**2, (1, 2, 3))[:, None] / 2
    )
    norms = gradient_norms(model, data_of(folder), 100)
    assert norms.shape == (12,) and norms.dtype == np.float32
    grid, shares = np.linspace(1, 0, 1001), []
    for norm, x in zip(norms, image_file.to_unit(data_of(folder).arrays("test")[0]), strict=True):
        lengths = [np.linalg.norm(share * x - (1 - share)) for share in grid]  # increasing
        assert lengths[0] - 1e-4 <= norm <= lengths[-1] + 1e-4
        shares.append(np.interp(norm, lengths, grid))
    assert min(shares) < 0.3 and max(shares) > 0.7
    assert len(np.unique(np.round(shares, 2))) > 8
