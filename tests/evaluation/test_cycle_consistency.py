"""Scores of translators with known results."""

from common.data.unpaired import HeldOut
from common.errors import UserError
from common.evaluation import cycle_consistency
from common.evaluation.cycle_consistency import format_table, measure
from common.metrics.checkerboard import checkerboard, power_spectrum
from common.metrics.image_quality import ssim

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)


def held_out(count, known=True):
    x = RANDOM.uniform(-1, 1, (count, 4, 4, 1)).astype("float32")
    return [HeldOut(f"{n}", x[n], -x[n] if known else None, n % 3) for n in range(count)]


def test_perfect_translator():
    scores = measure(lambda x: -x, lambda y: -y, held_out(5))
    identity = scores.pop("identity_l1")
    assert scores == {"cycle_l1": 0, "target_l1": 0, "ratio": 0, "images": 5}
    assert 0.5 < identity < 1.5


def test_means_over_all_batches():
    """Over more than two batches, the last one smaller, each image has the same weight."""
    images = held_out(2 * cycle_consistency.BATCH + 3)
    scores = measure(lambda x: 0.5 * x, lambda y: y, images)
    size = np.mean([np.abs(one.x).mean() for one in images])
    assert scores["cycle_l1"] == pytest.approx(0.5 * size, rel=1e-6)
    assert scores["target_l1"] == pytest.approx(1.5 * size, rel=1e-6)
    assert scores["identity_l1"] == pytest.approx(2 * size, rel=1e-6)
    assert scores["ratio"] == pytest.approx(0.75, rel=1e-6)
    assert scores["images"] == len(images)


def test_the_mean_image_and_ssim_are_measured_together():
    x, y = RANDOM.uniform(-1, 1, (2, 17, 32, 32, 3)).astype("float32")
    images = [HeldOut("", *pair, None) for pair in zip(x, y, strict=True)]
    mean = y.mean(axis=0)
    scores = measure(lambda x: x / 2, lambda x: x, images, mean_image=mean)
    for name, guess in {"target": x / 2, "identity": x, "mean": np.stack([mean] * 17)}.items():
        assert scores[f"{name}_l1"] == pytest.approx(np.abs(guess - y).mean(), rel=1e-5)
        assert scores[f"{name}_ssim"] == pytest.approx(ssim(guess, y).mean(), rel=1e-5)
    expected = checkerboard(power_spectrum(x)) / checkerboard(power_spectrum(y))
    assert scores["checkerboard"] == pytest.approx(expected, rel=1e-5)


def test_without_targets_only_the_cycle_is_measured():
    scores = measure(lambda x: -x, lambda y: -y, held_out(3, known=False))
    assert scores == {"cycle_l1": 0, "images": 3}


def test_classifiers_are_applied_in_their_domains():
    """The classifier reads the first pixel; `forth` adds 1, `back` undoes it for one image only."""
    x = [np.full((2, 2, 1), n, "float32") for n in range(4)]
    images = [HeldOut("", one, None, label) for one, label in zip(x, (1, 2, 3, 9), strict=True)]

    def classify(images):
        return images[:, 0, 0, 0].astype(int)

    def forth(x):
        return x + 1

    def back(y):
        return np.where(y == 2, y - 1, y)

    assert measure(forth, back, images, classify_source=classify)["digit_preserved"] == 0.25
    scores = measure(forth, back, images, classify_target=classify)
    assert scores["digit_accuracy"] == 0.75 and "digit_preserved" not in scores
    assert scores["relation_accuracy"] == 1  # 9 is always translated to 4


def test_no_images_is_a_user_error():
    with pytest.raises(UserError, match="no held-out images"):
        measure(lambda x: x, lambda y: y, [])


def test_the_table_has_a_column_for_each_direction():
    results = {
        "AtoB": {"cycle_l1": 0.12345, "digit_preserved": 0.5, "images": 7},
        "BtoA": {"cycle_l1": 1.5, "digit_accuracy": 0.25, "images": 7},
    }
    lines = format_table(results).splitlines()
    assert lines[0].split() == ["AtoB", "BtoA"]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "cycle L1 ↓",
        "same digit after the cycle ↑",
        "translated to the right digit ↑",
        "images",
    ]
    assert lines[1].split()[-2:] == ["0.1235", "1.5000"]
    assert lines[2].split()[-1] == "50.00%" and lines[3].split()[-1] == "25.00%"
    assert len({len(line) for line in lines}) == 1
