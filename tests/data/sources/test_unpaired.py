"""Unpaired images: every layout, cut by seed, and sets whose counterparts are known."""

from pathlib import Path

from common.data.sources import unpaired
from common.data.sources.unpaired import (
    DIGITS,
    EMBEDDED,
    EMBEDDED_COUNTS,
    NAMED,
    SPLITS,
    as_digits,
    find,
    negatives,
    outlines,
)
from common.data.synthetic.facades import facade
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise

import numpy as np
import pytest


def write(folder, count):
    for number in range(count):
        image_file.write(folder / f"{folder.name}_{number}.png", noise(12, 14, [number]))


def names(splits):
    return {split: [part.name(i) for i in range(len(part))] for split, part in splits.items()}


def test_the_authors_layout(tmp_path, capsys):
    for split, count in zip(SPLITS, (3, 5, 1, 2), strict=True):
        write(tmp_path / split, count)
    found = find(str(tmp_path), None, 0)
    assert found.name == str(tmp_path) and found.labelled is None
    assert list(found.splits) == list(SPLITS)
    for split, count in zip(SPLITS, (3, 5, 1, 2), strict=True):
        assert names(found.splits)[split] == [f"{split}_{n}.png" for n in range(count)]
    expected = image_file.resize(noise(12, 14, [1]), 8, 8)
    np.testing.assert_array_equal(found.splits["trainA"].read(1, 8), expected)
    assert not found.splits["testA"].known
    assert capsys.readouterr().out == ""


def test_two_heaps_are_cut_by_seed(tmp_path, capsys):
    write(tmp_path / "A", 30)
    write(tmp_path / "B", 12)
    cuts = [names(find(str(tmp_path), None, seed).splits) for seed in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert [len(part) for part in cuts[0].values()] == [27, 11, 3, 1]
    assert len({name for part in cuts[0].values() for name in part}) == 42
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        f"{tmp_path}: no testA/, so 3 of 30 images of A are held out",
        f"{tmp_path}: no testB/, so 1 of 12 images of B are held out",
    ]


def test_only_what_is_missing_is_cut(tmp_path):
    for split, count in (("trainA", 4), ("trainB", 10), ("testA", 2)):
        write(tmp_path / split, count)
    found = find(str(tmp_path), None, 0).splits
    assert [len(found[split]) for split in SPLITS] == [4, 9, 2, 1]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (["train", "test"], "has no trainA/; give a folder with trainA/ and trainB/"),
        (["trainA", "testA", "testB"], "has no trainB/"),
        (["A", "testA", "testB"], "has no trainA/"),
    ],
)
def test_other_layouts_are_refused(tmp_path, made, said):
    for folder in made:
        write(tmp_path / folder, 2)
    with pytest.raises(UserError, match=said):
        find(str(tmp_path), None, 0)


def test_too_few_to_cut_and_empty_folders_are_named(tmp_path):
    write(tmp_path / "one" / "A", 1)
    with pytest.raises(UserError, match="one image of A is too few"):
        find(str(tmp_path / "one"), None, 0)
    (tmp_path / "none" / "trainA").mkdir(parents=True)
    with pytest.raises(UserError, match=r"none/trainA: no images in this folder"):
        find(str(tmp_path / "none"), None, 0)


def test_an_unknown_set_is_refused_with_those_that_are_known():
    with pytest.raises(UserError, match="--dataset no/where: no such folder") as caught:
        find("no/where", None, 0)
    assert all(name in str(caught.value) for name in [*NAMED, *DIGITS, EMBEDDED])


@pytest.fixture
def no_network(monkeypatch):
    asked = []

    def fetch(url, folder, label):
        asked.append((url, Path(folder), label))
        raise UserError(f"{label}: downloading {url} failed")

    monkeypatch.setattr(unpaired, "fetch_archive", fetch)
    return asked


@pytest.mark.parametrize("name", NAMED)
def test_a_named_set_is_never_replaced(no_network, tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: downloading .*/{name}\.zip failed"):
        find(name, str(tmp_path), 0)
    # pix2pix has sets of these names too, in another layout, in the same folder.
    place = {"maps": "maps_unpaired", "facades": "facades_unpaired"}.get(name, name)
    assert [(folder, label) for _, folder, label in no_network] == [(tmp_path / place, name)]


def test_a_fetched_set_is_read_where_it_lies(tmp_path, monkeypatch):
    def fetch(url, folder, label):
        for split in SPLITS:
            write(folder / split, 2)

    monkeypatch.setattr(unpaired, "fetch_archive", fetch)
    found = find("horse2zebra", str(tmp_path), 0)
    assert found.name == "horse2zebra"
    assert found.splits["testB"].paths[1] == tmp_path / "horse2zebra" / "testB" / "testB_1.png"


def test_without_a_name_the_embedded_set_stands_in_and_says_so(no_network, tmp_path, capsys):
    assert find(None, str(tmp_path), 0).name == EMBEDDED
    assert [label for _, _, label in no_network] == ["apple2orange"]
    assert "embedded set of facades by day and by night instead" in capsys.readouterr().out


def test_embedded_domains_share_no_place_and_know_their_counterparts():
    splits = find(EMBEDDED, None, 7).splits
    assert [len(splits[split]) for split in SPLITS] == [EMBEDDED_COUNTS[s[:-1]] for s in SPLITS]
    places = [name for part in names(splits).values() for name in part]
    assert len(set(places)) == len(places)
    day, night = splits["testA"], splits["testB"]
    index = int(day.name(3)[6:10])
    np.testing.assert_array_equal(day.read(3, 32), facade(7, index, 32)[0])
    index = int(night.name(3)[6:10])
    np.testing.assert_array_equal(night.counterpart(3, 32), facade(7, index, 32)[0])
    for part in (day, night):  # the same place: what is bright by day is not black at night
        assert (part.read(0, 32) != part.counterpart(0, 32)).any()


def test_nights_are_dark_but_for_lamps_and_in_line_with_their_days():
    splits = find(EMBEDDED, None, 0).splits
    for index in range(10):
        night = splits["testB"].read(index, 64).astype(float)
        day = splits["testB"].counterpart(index, 64).astype(float)
        assert night.mean() < 0.55 * day.mean()
        red, _, blue = night.reshape(-1, 3).T
        assert ((red > 150) & (red > blue + 40)).mean() > 0.01  # somebody is at home
        edges = [np.abs(np.diff(x.mean(-1), axis=1)).sum(0) for x in (day, night)]
        assert np.corrcoef(*edges)[0, 1] > 0.3


@pytest.fixture
def few_digits(tmp_path):
    """MNIST's file with 20 training digits and 6 to test, each with a pixel of its own."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (26, 28, 28), np.uint8)
    x[:, 0, 0] = np.arange(26)
    y = np.arange(26) % 10
    np.savez(tmp_path / "mnist.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    return tmp_path, x, y


@pytest.mark.parametrize(("name", "change"), [(n, change) for n, (_, change) in DIGITS.items()])
def test_digits_and_others_changed(few_digits, name, change):
    if not name.startswith("mnist"):
        found = find(name, None, 3)
        assert len(found.splits["trainA"]) == len(found.splits["trainB"]) == 10_000
        return
    folder, x, y = few_digits
    found = find(name, str(folder), 3)
    assert [len(found.splits[split]) for split in SPLITS] == [10, 10, 6, 6]
    shown = {}
    for split, part in found.splits.items():
        known = part.counterpart if split.endswith("B") else part.read
        shown[split] = [int(known(i, 32)[2, 2, 0]) for i in range(len(part))]
        for i, number in enumerate(shown[split]):
            assert part.label(i) == y[number]
            plain = np.pad(x[number], 2)[None, ..., None]
            other = part.read if split.endswith("B") else part.counterpart
            np.testing.assert_array_equal(known(i, 32), plain[0])
            np.testing.assert_array_equal(other(i, 32), change(plain)[0])
    assert sorted(shown["trainA"] + shown["trainB"]) == list(range(20))  # no digit in both
    assert shown["testA"] == shown["testB"] == list(range(20, 26))


def test_outlines_are_the_pixels_around_the_ink():
    x = np.random.default_rng(1).integers(0, 256, (2, 9, 7, 1), np.uint8)
    x[:, 3:6] = 0
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    np.testing.assert_array_equal(outlines(x), windows.max((-1, -2)) - x)
    np.testing.assert_array_equal(negatives(x), 255 - x.astype(int))


def test_digits_come_back_without_their_margin():
    x = np.random.default_rng(2).integers(0, 256, (3, 28, 28, 1), np.uint8)
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    np.testing.assert_array_equal(as_digits(padded), x)
    np.testing.assert_array_equal(as_digits(np.repeat(padded, 3, axis=-1)), x)
    assert as_digits(np.zeros((2, 64, 64, 1), np.uint8)).shape == (2, 28, 28, 1)
