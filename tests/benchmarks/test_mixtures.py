"""Several generators on points: their networks, samples and colours."""

from benchmarks import mixtures
from benchmarks.gaussian_mixtures import line, ring
from common.errors import UserError
from madgan.madgan import MADGAN
from tests.helpers.models import weight_counts

import numpy as np
import pytest
import tensorflow as tf


def test_the_generators_share_all_layers_but_the_last_or_none():
    # Shared: 64 to 128 and 128 to 128, 24,832. Of each: 258. D: 2 to 128, 128 to 128, 9 classes.
    _, options = mixtures.MODELS["madgan"]
    model = mixtures.on_points(MADGAN)(**mixtures.COMMON | options)
    counts = {name: weight_counts(model)[name] for name in ("generator", model.discriminator.name)}
    assert [*counts.values()] == [24_832 + 8 * 258, 18_057]
    model = mixtures.on_points(MADGAN)(**mixtures.COMMON | options | {"shared_layers": 0})
    assert weight_counts(model)["generator"] == 8 * (24_832 + 258)
    model = mixtures.on_points(MADGAN, 1)(**mixtures.COMMON | options | {"generators": 4})
    assert weight_counts(model)[model.discriminator.name] == 17_413


def test_samples_are_those_of_the_generators_that_the_noise_chooses():
    model = mixtures.on_points(MADGAN)(generators=3, latent_size=4)
    samples, makers = mixtures.sample(model, 2**17, 5)
    noise = model.latent.of_seed(5, 2**17)
    of_all = model.generator(noise[:, :-1], training=False).numpy()
    np.testing.assert_allclose(samples, of_all[np.arange(len(makers)), makers], atol=1e-5)
    np.testing.assert_allclose(np.bincount(makers) / len(makers), 1 / 3, atol=0.01)


def test_a_scatter_plot_has_a_colour_for_each_generator():
    samples = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    image = mixtures.scatter(samples, np.array([0, 1, 1]), ring())
    colours = {tuple(each) for each in image.reshape(-1, 3)}
    assert colours == {(255, 255, 255), (255, 0, 0), *map(tuple, mixtures.COLOURS[:2])}
    assert tuple(image[200, 200]) == (0, 0, 0)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run")
def test_a_run_on_a_line_prints_the_divergence(capsys, monkeypatch):
    monkeypatch.setattr(mixtures, "HISTOGRAM", 2**10)
    tf.config.run_functions_eagerly(True)
    try:
        mixtures.main("madgan", "line", steps=1, batch_size=8, generators=2)
    finally:
        tf.config.run_functions_eagerly(False)
    out = capsys.readouterr().out
    assert f"of {len(line().centres)}" in out and "histograms: kl" in out
    assert "each generator's share nearest to two modes: " in out


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="--generators 3: gan has one generator"):
        mixtures.main("gan", generators=3)
    with pytest.raises(UserError, match=r"--image a\.png: is for samples in a plane"):
        mixtures.main("madgan", "line", image="a.png")
    with pytest.raises(UserError, match="--model gan: choose from discogan"):
        mixtures.main("gan", "five_to_ten")
