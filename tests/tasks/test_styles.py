"""Truncation, noise, style mixing and projection, of a small StyleGAN that is not trained."""

from common.errors import UserError
from common.evaluation import styles as evaluation
from common.images import image_file
from common.inference.draw import Sampling
from common.inference.projection import Projector
from common.inference.sampler import sampler_of
from common.inference.styles import StyleNetworks, mixed, styles_of
from common.reports.result_page import ResultPage
from common.serving.sampler import export_sampler
from common.tasks.styles import Styles, StyleSampling, noisy_images
from stylegan.stylegan import StyleGAN

import keras
import numpy as np
import pytest
import tensorflow as tf

OPTIONS = {"image_size": 16, "base_maps": 16, "max_maps": 4, "latent_size": 6, "batch_size": 4}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = StyleGAN(**OPTIONS, mapping_layers=2, conditional=True, classes=3, half_life=100)
    for layer in model.sampling_network.layers:
        if hasattr(layer, "map"):
            layer.weight.assign(0.3 + layer.weight)
    return model


@pytest.fixture(scope="module")
def networks(model):
    return StyleNetworks(model)


@pytest.fixture(scope="module")
def w(model, networks):
    return networks.w(model.latent.array_of_seed(0, 6), np.arange(6) % 3)


def test_truncated_styles_against_numpy():
    w, mean = np.arange(6.0, dtype=np.float32).reshape(2, 3), np.float32([1, 1, 1])
    styles = styles_of(w, mean, [0.5, 2.0], layers=4, truncated_layers=3).numpy()
    for k in range(3):
        np.testing.assert_allclose(styles[0, k], 1 + 0.5 * (w[0] - 1))
        np.testing.assert_allclose(styles[1, k], 1 + 2 * (w[1] - 1))
    np.testing.assert_array_equal(styles[:, 3], w)


def test_styles_of_w_draw_what_noise_draws(model, networks, w):
    drawn = sampler_of(model).all(model.latent.array_of_seed(0, 6), np.arange(6) % 3)
    np.testing.assert_allclose(networks.images(networks.styles(w)).astype(int), drawn, atol=1)


def test_the_sampler_that_the_options_ask_for(model):
    noise, labels = model.latent.array_of_seed(0, 3), np.zeros(3, int)

    def drawn(**options):
        return StyleSampling(**options).applied(sampler_of(model)).all(noise, labels).astype(int)

    plain, mean = drawn(), drawn(truncation=0.0)
    assert np.ptp(plain, axis=0).max() > 0 == np.ptp(mean, axis=0).max()
    other, none = drawn(noise_seed=1), drawn(noise=False)
    assert np.abs(other - plain).max() > 0 and np.abs(other - none).max() > 0
    np.testing.assert_array_equal(drawn(noise_seed=0, truncation_layers=3), plain)


def test_bad_options_are_named(model):
    for options in ({"truncation": 3.0}, {"noise_seed": -1}, {"project_steps": 0}):
        with pytest.raises(UserError, match=f"--{next(iter(options))}"):
            StyleSampling(**options)
    with pytest.raises(UserError, match="leave --grid out"):
        StyleSampling(mix=2, grid=True)
    with pytest.raises(UserError, match="--mix 6: give 1 to 5"):
        StyleSampling(mix=6).applied(sampler_of(model))
    with pytest.raises(UserError, match="name the image"):
        StyleSampling(project=True).applied(sampler_of(model))
    saved = sampler_of(model)
    object.__setattr__(saved, "model", None)
    with pytest.raises(UserError, match="--truncation: is fixed in a SavedModel"):
        StyleSampling(truncation=0.5).applied(saved)
    assert StyleSampling(mix=2).form == "mix" and Sampling().form is None


def test_the_mixing_matrix(model, networks, tmp_path):
    sampling = StyleSampling(mix=2, count=4, seed=3)
    page = ResultPage("mixing", {})
    sampling.draw(sampling.applied(sampler_of(model)), [0, 1, 2], sampling, tmp_path, page)
    matrix = image_file.read(tmp_path / "mixing.png", 1)[-3 * 18 - 2 :]  # without the title
    w = networks.w(model.latent.array_of_seed(3, 4), np.array([0, 1, 2, 0]))
    styles = networks.styles(w)
    both = mixed(styles[1:2], styles[2:3], 2)
    np.testing.assert_array_equal(both[0, :2], styles[1, :2])
    np.testing.assert_array_equal(both[0, 2:], styles[2, 2:])
    at = slice(2 + 2 * 18, 18 + 2 * 18), slice(2 + 18, 18 + 18)  # second row, first column
    np.testing.assert_allclose(matrix[at].astype(int), networks.images(both)[0], atol=1)


def test_projection_comes_nearer(model, networks, w):
    target = networks.images(networks.styles(w[:1]))[0]
    found = Projector(model, [0, 1, 2], seed=5).project(target, steps=40)
    assert found.error[1] < found.error[0]
    assert found.w.shape == (6,) and found.progress.shape == (6, 16, 16, 1)
    again = Projector(model, [0, 1, 2], seed=5).project(target, steps=40)
    np.testing.assert_array_equal(found.w, again.w)
    np.testing.assert_array_equal(
        networks.images(networks.styles(found.w[None]))[0], found.progress[-1]
    )


def test_other_noise_leaves_the_model_as_it_was(model, networks, w):
    styles = networks.styles(w)
    before = networks.images(styles)
    assert np.abs(noisy_images(model, networks, styles, 1).astype(int) - before).max() > 0
    np.testing.assert_array_equal(networks.images(styles), before)


def test_the_numbers_of_an_evaluation():
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1)).astype(np.uint8)
    half = (127.5 + (x - 127.5) / 2).astype(np.uint8)
    rows = evaluation.truncation({1.0: x, 0.5: half}, None)
    assert rows["0.5"]["lowered"] == pytest.approx(0.75, abs=0.01)
    assert evaluation.noise(x, [x], None) == {"change": 0.0}
    mixed_classes, coarse, fine = np.array([[0, 1, 2, 3], [0, 1, 5, 3], [1, 1, 2, 4]])
    row = evaluation.mixing(mixed_classes, coarse, fine)
    assert row == {"coarse": pytest.approx(2 / 3), "fine": pytest.approx(1 / 3), "count": 3}
    results = {"truncation": rows, "noise": {"change": 0.1}, "mixing": {"4": row}}
    tables = dict(evaluation.tables(results))
    assert tables["Class of mixed images"][1] == ["4", "66.7%", "33.3%", "3"]


def test_the_signatures_of_a_saved_model(model, networks, tmp_path):
    folder = export_sampler(model, tmp_path, "stylegan", 1, further=Styles().signatures(model))
    saved = tf.saved_model.load(str(folder)).signatures
    noise, label = model.latent.of_seed(0, 2), tf.constant([2, 1])
    w = saved["serving_map"](noise=noise, label=label)["w"]
    np.testing.assert_allclose(w, networks.w(noise.numpy(), label.numpy()), atol=1e-5)
    psi = tf.constant([1.0, 0.5])
    images = saved["serving_truncated"](noise=noise, label=label, truncation=psi)["image"]
    mean = model.mapping.get_layer("w").mean.value
    styles = styles_of(w, mean, psi, networks.layers)
    drawn = saved["serving_synthesize"](styles=styles)["image"]
    np.testing.assert_allclose(images, drawn, atol=1e-4)
    plain = saved["serving_default"](noise=noise, label=label)["image"]
    np.testing.assert_allclose(images[0], plain[0], atol=1e-4)
