"""Generated digits: functions of seed and index, drawn exactly, legible, placed as in MNIST."""

from common.data.synthetic import digits as module
from common.data.synthetic.digits import Digits, digits, labels
from common.data.synthetic.glyphs import CLASSES, GLYPHS, SEGMENTS, glyphs

import numpy as np
import pytest


@pytest.fixture(scope="module")
def drawn():
    """600 digits and their labels."""
    return digits(3, range(600))[..., 0], labels(3, range(600))


@pytest.fixture(scope="module")
def lines():
    """Arguments of `_ink` for some digits: starts, ends, radius, softness."""
    given = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ink", lambda *a, **k: given.append(a) or ink(*a, **k))
        digits(5, range(300))
    return [np.concatenate(part) for part in zip(*given, strict=True)]


ink = module._ink


def test_a_digit_depends_on_seed_and_index_alone(drawn):
    whole, names = drawn
    some = np.random.default_rng(0).permutation(600)[:70]  # more than one chunk
    np.testing.assert_array_equal(digits(3, some)[..., 0], whole[some])
    np.testing.assert_array_equal(labels(3, some), names[some])
    for index in (0, 7, 599):
        np.testing.assert_array_equal(digits(3, [index])[0, ..., 0], whole[index])
    assert (digits(4, range(20))[..., 0] != whole[:20]).any((1, 2)).all()


def test_no_two_digits_are_equal(drawn):
    whole, _ = drawn
    assert whole.dtype == np.uint8 and whole.shape == (600, 28, 28)
    assert len({image.tobytes() for image in whole}) == 600


def test_every_ten_digits_have_each_class_once_in_random_order(drawn):
    _, names = drawn
    assert names.dtype == np.int32
    tens = names.reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(tens), np.tile(np.arange(10), (60, 1)))
    assert len({tuple(ten) for ten in tens}) > 55
    assert (labels(4, range(600)) != names).mean() > 0.8  # nine of ten by chance


def test_an_empty_selection():
    assert digits(0, []).shape == (0, 28, 28, 1)
    assert labels(0, []).shape == (0,)


def test_digits_look_like_their_labels(drawn):
    """A nearest-neighbour classifier of the digits of one seed recognizes those of another."""

    def features(images):
        coarse = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(len(images), -1)
        return coarse / np.linalg.norm(coarse, axis=1, keepdims=True)

    known, names = drawn
    asked = features(digits(8, range(200))[..., 0])
    nearest = (asked @ features(known).T).argmax(1)
    right = names[nearest] == labels(8, range(200))
    assert right.mean() > 0.85
    assert min(right[labels(8, range(200)) == digit].mean() for digit in range(10)) > 0.5


def test_size_and_position_are_those_of_mnist(drawn):
    whole, _ = drawn
    there = whole > 64
    heights, widths = (
        np.array([np.ptp(np.flatnonzero(image.any(axis))) + 1 for image in there])
        for axis in (1, 0)
    )
    longer = np.maximum(heights, widths)
    assert longer.min() >= 16 and longer.max() <= 23 and 19 <= longer.mean() <= 20.5
    weight = whole / whole.sum((1, 2), keepdims=True)
    y, x = (weight.sum(axis) @ np.arange(28) for axis in (2, 1))
    off = np.hypot(x - 13.5, y - 13.5)
    assert np.median(off) < 1 and off.max() < 4
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    assert whole[:, border].max() < 128
    assert 0.09 < whole.mean() / 255 < 0.18  # MNIST: 0.13


def test_pen_widths_vary(drawn):
    whole, names = drawn
    ones = whole[names == 1].sum((1, 2)) / 255 / 20  # px of breadth
    assert ones.min() < 2 < 3.5 < ones.max()


def test_ink_follows_the_distance_to_the_line(lines):
    """Compares with a brute-force float64 computation over all segments and pixels."""
    starts, ends, radius, softness = (part[:40].astype(np.float64) for part in lines)
    pixel = np.stack(np.meshgrid(np.arange(28.0), np.arange(28.0)), -1)  # (28, 28, 2): x, y
    along = (ends - starts)[:, :, None, None]
    to = pixel - starts[:, :, None, None]
    t = np.clip((to * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
    away = np.linalg.norm(to - t[..., None] * along, axis=-1)
    depth = (radius[..., None, None] - away).max(1)
    expected = 255 * np.clip(depth / softness[:, None, None] + 0.5, 0, 1)
    made = ink(*(part[:40] for part in lines))
    assert np.abs(made - expected).max() <= 0.51


def test_the_window_around_a_segment_covers_all_its_ink(lines):
    starts, ends, radius, softness = lines
    reach = radius + softness[:, None] / 2 + np.abs(ends - starts).max(-1) / 2
    assert reach.max() < module._WINDOW / 2 - 0.5


def test_a_straight_glyph_is_a_straight_line():
    known, first_of_class, _ = glyphs()
    one = first_of_class[1]
    starts, ends = known.starts[one] @ known.points[one], known.ends[one] @ known.points[one]
    places = np.linspace(0, 1, SEGMENTS + 1)
    np.testing.assert_allclose(starts, np.stack([0.3 + 0 * places, places], 1)[:-1], atol=1e-6)
    np.testing.assert_allclose(ends, np.stack([0.3 + 0 * places, places], 1)[1:], atol=1e-6)


def test_lines_go_through_their_points_and_break_where_the_pen_is_lifted():
    known, _, _ = glyphs()
    texts = [text for variants in GLYPHS.values() for text in variants]
    assert len(texts) == len(known.points)
    for number, text in enumerate(texts):
        points = [word.rstrip("!").split(",") for word in text.split() if word != "|"]
        points = np.array(points, float) / 100
        np.testing.assert_allclose(known.points[number, : len(points)], points, atol=1e-6)
        starts, ends = (part[number] @ known.points[number] for part in (known.starts, known.ends))
        t = np.linspace(0, 1, 20)[:, None, None]
        line = (starts + t * (ends - starts)).reshape(-1, 2)
        apart = np.linalg.norm(points[:, None] - line, axis=-1).min(1)
        assert apart.max() < 0.03, text  # of its height: half a pixel
        jumps = np.linalg.norm(starts[1:] - ends[:-1], axis=-1)
        assert (jumps > 1e-5).sum() == text.count("|"), text


def test_glyphs_have_the_frequencies_of_the_table():
    _, first_of_class, odds = glyphs()
    counts = [len(variants) for variants in GLYPHS.values()]
    assert len(counts) == CLASSES
    np.testing.assert_array_equal(np.diff(first_of_class), counts[:-1])
    np.testing.assert_allclose(odds[1][:3], [0.8, 0.92, 1.0], atol=1e-6)
    assert (np.diff(odds) >= 0).all() and (odds[:, -1] == 1).all()


def test_an_array_of_digits_draws_each_digit_once(monkeypatch):
    asked = []
    draw = module.digits
    monkeypatch.setattr(module, "digits", lambda seed, i: asked.extend(i) or draw(seed, i))
    array = Digits(2, 100, 50)
    assert len(array) == 50 and array.shape == (50, 28, 28, 1)
    rows = np.array([7, 3, 7, 49])
    np.testing.assert_array_equal(array[rows], draw(2, 100 + rows))
    np.testing.assert_array_equal(array[rows[::-1]], draw(2, 100 + rows[::-1]))
    assert sorted(asked) == [103, 107, 149]
