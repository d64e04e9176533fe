"""The schedule of a network that grows: images seen to resolution and fade."""

from common.errors import UserError
from common.growth import Growth, Phase, growth, powers_of_two

import pytest

SMALL = growth((4, 8, 16, 32), [40_000, 60_000, 100_000, 100_000], 60_000, 32)


def test_the_phases_of_the_small_preset():
    assert SMALL.phases == [
        Phase(4, False, 1250),
        Phase(8, True, 1875),
        Phase(8, False, 1875),
        Phase(16, True, 1875),
        Phase(16, False, 3125),
        Phase(32, True, 1875),
        Phase(32, False, 3125),
    ]
    assert [SMALL.start(side) for side in SMALL.sides] == [0, 1250, 5000, 10_000]
    assert [SMALL.fade_steps(side) for side in SMALL.sides] == [0, 1875, 1875, 1875]


def test_the_ends_of_the_resolutions():
    assert SMALL.ends == {4: 1250, 8: 5000, 16: 10_000, 32: 15_000}


@pytest.mark.parametrize(
    ("step", "level"),
    [
        *((0, 0), (1249, 0)),
        *((1250, 0), (1251, 1 / 1875), (1250 + 1500, 0.8), (3125, 1), (4999, 1)),
        *((5000, 1), (5000 + 750, 1.4), (6875, 2), (9999, 2)),
        *((10_000, 2), (10_000 + 375, 2.2), (11_875, 3), (15_000, 3), (99_999, 3)),
    ],
)
def test_the_level_after_a_number_of_steps(step, level):
    assert SMALL.level(step) == pytest.approx(level)


def test_the_authors_schedule():
    """Their lod falls from 8 to 0, over 600,000 images for each fade, 1.2 M apart."""
    sides = powers_of_two(4, 1024)
    schedule = growth(sides, 600_000, 600_000, 8)
    for images in range(0, 12_000_000, 150_000):
        phase, done = divmod(images, 1_200_000)
        lod = 8 - phase - max(0, done - 600_000) / 600_000
        assert schedule.level(images // 8) == pytest.approx(8 - max(0, lod))


def test_steps_are_rounded_up():
    assert growth((4, 8), [9, 1], 3, 4).phases == [
        Phase(4, False, 3),
        Phase(8, True, 1),
        Phase(8, False, 1),
    ]


def test_no_images_for_a_fade_are_no_fade():
    schedule = growth((4, 8, 16), 8, [0, 4], 4)
    assert [(p.side, p.fades) for p in schedule.phases] == [
        (4, False),
        (8, False),
        (16, True),
        (16, False),
    ]
    assert [schedule.level(step) for step in range(7)] == [0, 0, 1, 1, 1, 2, 2]


def test_one_number_for_all_or_one_for_each():
    assert growth((8, 16), 5, [7], 1) == Growth((8, 16), (5, 5), (0, 7), 1)
    with pytest.raises(UserError, match=r"--stable_images 3 numbers: give one .* each of the 2"):
        growth((8, 16), [1, 2, 3], 1, 1)
    with pytest.raises(UserError, match=r"--fade_images 2 numbers: .* sides 16, as in \[60000\]"):
        growth((8, 16), 5, [1, 2], 1)


@pytest.mark.parametrize(
    ("stable", "fade", "batch_size", "said"),
    [
        *((0, 1, 1, "stable_images"), ([3, 0], 1, 1, "stable_images")),
        *((1, -1, 1, "fade_images"), (1, 1, 0, "batch_size")),
    ],
)
def test_numbers_out_of_range_are_refused(stable, fade, batch_size, said):
    with pytest.raises(UserError, match=f"--{said} [-0-9]+: give"):
        growth((4, 8), stable, fade, batch_size)


@pytest.mark.parametrize(("first", "last"), [(4, 28), (4, 4), (8, 8), (8, 4), (4, 0)])
def test_sides_that_do_not_double_are_refused(first, last):
    with pytest.raises(UserError, match=f"--image_size {last}: give {first} times a power of two"):
        powers_of_two(first, last)


def test_sides_double():
    assert powers_of_two(8, 64) == (8, 16, 32, 64)
