"""Attention maps: predict --attention."""

import re
from dataclasses import replace

from common.errors import UserError
from common.images import image_file
from common.inference.attention_maps import (
    AttentionMaps,
    around_the_centre,
    draw_attention,
    marked,
    shown_map,
)
from common.inference.sampler import sampler_of
from common.nn.attention import attention_of
from common.reports.result_page import ResultPage
from common.tasks.attention import Attention, AttentionSampling, parse
from common.tasks.generation import Generation
from common.training import checkpoint
from common.training.run_folder import Run
from sagan.sagan import SAGAN
from tests.helpers.command_line import command_line, refusal
from tests.helpers.models import randomize

import keras
import numpy as np
import pytest

OPTIONS = {"width": 2, "latent_size": 4, "ema": 0.9}


def model_of(**options):
    keras.utils.set_random_seed(3)
    model = SAGAN(classes=2, **OPTIONS | options)
    randomize(model.sampler, 0.5)
    return model


def make_run(folder, **options):
    labels = np.arange(6) % 2
    x = np.random.default_rng(0).integers(0, 256, (6, 32, 32)).astype(np.uint8)
    np.savez(folder / "images.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    data = Generation.data(seed=5, dataset=str(folder / "images.npz"))
    run = Run(folder / "run")
    run.write_config("sagan", {"seed": 5} | data.found | OPTIONS | options, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model_of(**options))
    return run.folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("attention"))


@pytest.fixture
def cli(capsys):
    return command_line(capsys, SAGAN, Generation, Attention)


def test_predict_writes_a_row_for_each_image_and_a_map_for_each_point(cli, run, tmp_path):
    points = [(3, 4), (20, 31)]
    line = f"predict '{run}' --output '{tmp_path}' --attention --points 3,4+20,31 --count 3"
    result = cli(f"{line} --seed 7 --label 1")
    assert result.status == 0, result.err
    written = image_file.read(tmp_path / "attention.png", 3)
    assert len(written) > 3 * 130 + 2 < written.shape[1]
    written = written[-3 * 130 - 2 :, -3 * 130 - 2 :]  # without text above and on the left
    model = Run(run).load_sampler(SAGAN)
    z, classes = model.latent.array_of_seed(7, 3), np.eye(2, dtype="float32")[[1, 1, 1]]
    images, maps = AttentionMaps(model.sampler)(z, classes, points)
    assert np.array_equal(written[2:130, 2:130], marked(images[0], points))
    assert np.array_equal(
        written[132:260, 262:390], marked(shown_map(maps[1, 1], 32), [(20, 31)], 1)
    )
    assert not list(tmp_path.glob("0*.png"))
    assert "attention.png" in (tmp_path / "index.html").read_text()


def test_the_weights_are_those_of_the_point_in_the_layer():
    network = model_of().sampler
    z, classes = np.ones((2, 4), "float32"), np.eye(2, dtype="float32")
    images, maps = AttentionMaps(network)(z, classes, [(0, 0), (5, 31)])
    layer = attention_of(network)
    features = keras.Model(network.inputs, layer.input)([z, classes])
    weights = layer.attention(features).numpy().reshape(2, 16, 16, 8, 8)
    np.testing.assert_allclose(maps[:, 0], weights[:, 0, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(maps[:, 1], weights[:, 2, 15], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, rtol=1e-4)
    expected = image_file.to_uint8(network([z, classes], training=False))
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_a_map_is_white_where_its_weight_is_largest():
    shown = shown_map(np.array([[0.1, 0.4], [0.2, 0.3]], "float32"), 4)
    assert shown[..., 0].tolist() == [[64, 64, 255, 255]] * 2 + [[128, 128, 191, 191]] * 2


def test_points_are_marked_in_their_colors():
    canvas = marked(np.zeros((32, 32, 1), np.uint8), around_the_centre(32))
    assert canvas.shape == (128, 128, 3)
    assert canvas[66, 66].tolist() == [255, 0, 0]  # the centre of pixel 16, 16
    assert len(np.unique(canvas.reshape(-1, 3), axis=0)) == 6
    assert marked(np.zeros((32, 32, 3), np.uint8), [(31, 0)])[127, 0].any()


def test_points_are_read_from_text():
    assert parse("8,12+20,16") == [(8, 12), (20, 16)]
    for wrong in ("8", "8,12+", "8,-1", "a,b"):
        with pytest.raises(UserError, match=re.escape(f"--points {wrong}: give ROW,COLUMN")):
            parse(wrong)


def test_what_cannot_be_is_refused(cli, run, tmp_path):
    check = refusal(cli)
    line = f"predict '{run}' --output '{tmp_path / 'o'}'"
    check(f"{line} --points 3,4", "--points 3,4", "needs --attention")
    check(f"{line} --attention --points 3,32", "--points: 3,32 is outside the image, 0 to 31")
    check(f"{line} --attention --grid", "--grid", "leave one of them out")
    check(f"{line} --attention --interpolate 4", "--attention", "leave one of them out")
    check(f"{line} --attention --arithmetic 1,2-3 --label 0", "--attention", "leave one of them")


def test_a_generator_without_attention_and_a_saved_model_are_refused(tmp_path):
    with pytest.raises(UserError, match="--attention: the generator has none"):
        AttentionMaps(model_of(attention_size=0).sampler)
    saved = replace(sampler_of(model_of()), network=None)
    page = ResultPage("", {})
    with pytest.raises(UserError, match="--attention: a SavedModel only"):
        draw_attention(saved, [0, 1], AttentionSampling(attention=True), tmp_path, page)
