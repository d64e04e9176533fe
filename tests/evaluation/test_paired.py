from common.errors import UserError
from common.evaluation.paired import evaluate_pairs, format_table, label_colour, mean_image
from common.metrics.checkerboard import checkerboard, power_spectrum
from common.metrics.image_quality import l1, psnr, ssim

import numpy as np
import pytest
import tensorflow as tf

RED, GREEN, BLUE = (1, -1, -1), (-1, 1, -1), (-1, -1, 1)
SIDE = 12


def flat(colour):
    return np.full((SIDE, SIDE, 3), colour, np.float32)


def halves(left, right):
    return np.concatenate([flat(left)[:, : SIDE // 2], flat(right)[:, SIDE // 2 :]], axis=1)


def test_mean_image_is_the_mean_target_for_any_input():
    targets = np.random.default_rng(0).uniform(-1, 1, (5, SIDE, SIDE, 3)).astype(np.float32)
    predict = mean_image((flat(0), y) for y in targets)
    np.testing.assert_allclose(predict(flat(RED)), targets.mean(0), atol=1e-6)
    np.testing.assert_array_equal(predict(flat(RED)), predict(flat(BLUE)))


def test_label_colour_predicts_the_mean_target_of_each_colour():
    pairs = [
        (halves(RED, BLUE), halves(0.2, -0.5)),
        (halves(BLUE, RED), halves(-0.1, 0.4)),
    ]
    predict = label_colour(pairs)
    np.testing.assert_allclose(predict(halves(RED, BLUE)), halves(0.3, -0.3), atol=1e-6)


def test_label_colour_ignores_noise_smaller_than_half_a_cell():
    predict = label_colour([(halves(RED, BLUE), halves(0.2, -0.5))], levels=8)
    noise = np.random.default_rng(0).uniform(-0.14, 0.14, (SIDE, SIDE, 3))  # a cell is 2 / 7
    np.testing.assert_allclose(predict(halves(RED, BLUE) + noise), halves(0.2, -0.5), atol=1e-6)


def test_an_unseen_colour_takes_the_nearest_seen_one():
    predict = label_colour([(halves(RED, BLUE), halves(0.2, -0.5))])
    np.testing.assert_allclose(predict(flat((0.2, -1, -0.3))), flat(0.2), atol=1e-6)
    np.testing.assert_allclose(predict(flat((-1, -0.4, 0.6))), flat(-0.5), atol=1e-6)


def test_label_colour_without_unseen_cells():
    x = np.array([[[-1.0], [1.0]]])
    y = np.array([[[0.3, 0.1], [-0.6, 0.5]]])
    np.testing.assert_allclose(label_colour([(x, y)], levels=2)(x), y)


def test_label_colour_takes_any_channels_and_sizes():
    x = np.linspace(-1, 1, 16).reshape(4, 4, 1)
    predict = label_colour([(x, np.concatenate([x, -x], -1))])
    assert predict(np.zeros((3, 5, 1))).shape == (3, 5, 2)
    np.testing.assert_allclose(predict(x)[..., 1], -x[..., 0])


def test_baselines_take_a_tensorflow_stream():
    pairs = tf.data.Dataset.from_tensors((flat(RED), flat(0.5))).repeat(2)
    for baseline in (mean_image, label_colour):
        np.testing.assert_allclose(baseline(pairs)(tf.constant(flat(RED))), flat(0.5), atol=1e-6)


def test_scores_are_means_over_the_pairs():
    rng = np.random.default_rng(0)
    xs, ys = rng.uniform(-1, 1, (2, 3, SIDE, SIDE, 3)).astype(np.float32)
    scores = evaluate_pairs(
        lambda x: 0.9 * x, zip(xs, ys, strict=True), {"grey": lambda x: np.zeros_like(x)}
    )
    assert list(scores) == ["model", "grey"]
    for metric in (l1, psnr, ssim):
        name = metric.__name__
        assert scores["model"][name] == pytest.approx(metric(0.9 * xs, ys).mean())
        assert scores["grey"][name] == pytest.approx(metric(np.zeros_like(ys), ys).mean())
    assert scores["model"]["pairs"] == scores["grey"]["pairs"] == 3
    assert np.isnan(scores["model"]["checkerboard"])  # of images this small


def test_checkerboards_are_those_of_all_predictions_relative_to_those_of_all_targets():
    xs, ys = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 32, 3))
    scores = evaluate_pairs(lambda x: 0.9 * x, zip(xs, ys, strict=True), {})
    expected = checkerboard(power_spectrum(xs)) / checkerboard(power_spectrum(ys))
    assert scores["model"]["checkerboard"] == pytest.approx(expected)


def test_a_colour_lookup_task_is_solved_by_label_colour_but_not_by_the_mean():
    colours = {RED: -0.5, BLUE: 0.5}
    train = [(flat(label), flat(grey)) for label, grey in colours.items()]
    baselines = {"mean photo": mean_image(train), "label colour": label_colour(train)}
    scores = evaluate_pairs(lambda x: flat(0.4), train[1:], baselines)
    assert scores["model"]["l1"] == pytest.approx(0.1)
    assert scores["model"]["psnr"] == pytest.approx(20 * np.log10(2 / 0.1))
    assert scores["mean photo"]["l1"] == pytest.approx(0.5)
    assert scores["label colour"]["l1"] == pytest.approx(0, abs=1e-7)
    assert scores["label colour"]["ssim"] == pytest.approx(1)


def test_each_pair_is_scored_before_the_next_one_is_read():
    read, read_when_scored = [], []

    def stream():
        for number in range(4):
            read.append(number)
            yield flat(RED), flat(0.5)

    def predict(x):
        read_when_scored.append(len(read))
        return flat(0)

    evaluate_pairs(predict, stream(), {})
    assert read_when_scored == [1, 2, 3, 4]


def test_no_pairs_is_a_user_error():
    for empty in (mean_image, label_colour, lambda pairs: evaluate_pairs(flat, pairs, {})):
        with pytest.raises(UserError, match=r"no .* pairs"):
            empty([])


def test_inconsistent_shapes_are_refused():
    small = np.zeros((SIDE, SIDE - 1, 3))
    with pytest.raises(ValueError, match="one shape"):
        mean_image([(flat(0), flat(0)), (flat(0), small)])
    with pytest.raises(ValueError, match="one size"):
        label_colour([(flat(0), small)])
    with pytest.raises(ValueError, match="equal shapes"):
        evaluate_pairs(lambda x: small, [(flat(0), flat(0))], {})


def test_table_is_aligned():
    results = {
        "model": {"l1": 0.25, "psnr": 14.125, "ssim": 0.3, "checkerboard": 1.234, "pairs": 106},
        "mean photo": {
            "l1": 0.32751,
            "psnr": float("inf"),
            "ssim": -0.1,
            "checkerboard": 0,
            "pairs": 106,
        },
    }
    assert format_table(results).splitlines() == [
        "              l1 ↓  psnr ↑   ssim ↑  checkerboard  pairs",
        "model       0.2500   14.12   0.3000          1.23    106",
        "mean photo  0.3275     inf  -0.1000          0.00    106",
    ]
