"""Unpaired images: every folder layout, random test splits, datasets with known targets."""

from pathlib import Path

from common.data.sources import unpaired
from common.data.sources.changed_digits import (
    DIGITS,
    as_digits,
    digit_splits,
    negatives,
    outlines,
)
from common.data.sources.labelled_splits import ArraySplit
from common.data.sources.unpaired import (
    EMBEDDED,
    EMBEDDED_COUNTS,
    NAMED,
    SPLITS,
    find_splits,
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
    name, splits = find_splits(str(tmp_path), None, 0)
    assert name == str(tmp_path)
    assert list(splits) == list(SPLITS)
    for split, count in zip(SPLITS, (3, 5, 1, 2), strict=True):
        assert names(splits)[split] == [f"{split}_{n}.png" for n in range(count)]
    expected = image_file.resize(noise(12, 14, [1]), 8, 8)
    np.testing.assert_array_equal(splits["trainA"].read(1, 8), expected)
    assert not splits["testA"].has_targets
    assert capsys.readouterr().out == ""


def test_test_splits_are_taken_at_random(tmp_path, capsys):
    write(tmp_path / "A", 30)
    write(tmp_path / "B", 12)
    cuts = [names(find_splits(str(tmp_path), None, seed)[1]) for seed in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert [len(part) for part in cuts[0].values()] == [27, 11, 3, 1]
    assert len({name for part in cuts[0].values() for name in part}) == 42
    output = capsys.readouterr().out.splitlines()
    assert output[:2] == [
        f"{tmp_path}: no testA/, so 3 of 30 images of A are held out",
        f"{tmp_path}: no testB/, so 1 of 12 images of B are held out",
    ]


def test_only_missing_test_splits_are_taken(tmp_path):
    for split, count in (("trainA", 4), ("trainB", 10), ("testA", 2)):
        write(tmp_path / split, count)
    _, splits = find_splits(str(tmp_path), None, 0)
    assert [len(splits[split]) for split in SPLITS] == [4, 9, 2, 1]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            ["train", "test"],
            "put the images of one domain into trainA/.*wanted: trainA/ and trainB/",
        ),
        (["trainA", "testA", "testB"], "add trainB/; wanted"),
        (["A", "testA", "testB"], "add B/; wanted"),
    ],
)
def test_other_layouts_are_refused(tmp_path, made, message):
    for folder in made:
        write(tmp_path / folder, 2)
    with pytest.raises(UserError, match=message):
        find_splits(str(tmp_path), None, 0)


def test_too_few_images_and_empty_folders_are_named(tmp_path):
    write(tmp_path / "one" / "A", 1)
    with pytest.raises(UserError, match="one image of A is too few"):
        find_splits(str(tmp_path / "one"), None, 0)
    (tmp_path / "none" / "trainA").mkdir(parents=True)
    with pytest.raises(UserError, match=r"none/trainA: no images in this folder"):
        find_splits(str(tmp_path / "none"), None, 0)


def test_an_unknown_dataset_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="--dataset no/where: no such folder") as caught:
        find_splits("no/where", None, 0)
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
def test_a_named_dataset_is_never_replaced(no_network, tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: downloading .*/{name}\.zip failed"):
        find_splits(name, str(tmp_path), 0)
    # pix2pix has datasets of these names too, in another layout, in the same folder.
    place = {"maps": "maps_unpaired", "facades": "facades_unpaired"}.get(name, name)
    assert [(folder, label) for _, folder, label in no_network] == [(tmp_path / place, name)]


def test_a_downloaded_dataset_is_read_from_its_folder(tmp_path, monkeypatch):
    def fetch(url, folder, label):
        for split in SPLITS:
            write(folder / split, 2)

    monkeypatch.setattr(unpaired, "fetch_archive", fetch)
    name, splits = find_splits("horse2zebra", str(tmp_path), 0)
    assert name == "horse2zebra"
    assert splits["testB"].paths[1] == tmp_path / "horse2zebra" / "testB" / "testB_1.png"


def test_by_default_the_embedded_dataset_replaces_a_failed_download(no_network, tmp_path, capsys):
    assert find_splits(None, str(tmp_path), 0)[0] == EMBEDDED
    assert [label for _, _, label in no_network] == ["apple2orange"]
    assert "embedded facades by day and by night instead" in capsys.readouterr().out


def test_embedded_domains_share_no_facade_and_know_their_targets():
    _, splits = find_splits(EMBEDDED, None, 7)
    assert [len(splits[split]) for split in SPLITS] == [EMBEDDED_COUNTS[s[:-1]] for s in SPLITS]
    facades = [name for part in names(splits).values() for name in part]
    assert len(set(facades)) == len(facades)
    day, night = splits["testA"], splits["testB"]
    index = int(day.name(3)[6:10])
    np.testing.assert_array_equal(day.read(3, 32), facade(7, index, 32)[0])
    index = int(night.name(3)[6:10])
    np.testing.assert_array_equal(night.target(3, 32), facade(7, index, 32)[0])
    for part in (day, night):
        assert (part.read(0, 32) != part.target(0, 32)).any()


def test_nights_are_dark_except_for_lit_windows_and_have_the_edges_of_their_days():
    _, splits = find_splits(EMBEDDED, None, 0)
    for index in range(10):
        night = splits["testB"].read(index, 64).astype(float)
        day = splits["testB"].target(index, 64).astype(float)
        assert night.mean() < 0.55 * day.mean()
        red, _, blue = night.reshape(-1, 3).T
        assert ((red > 150) & (red > blue + 40)).mean() > 0.01  # lit windows
        edges = [np.abs(np.diff(x.mean(-1), axis=1)).sum(0) for x in (day, night)]
        assert np.corrcoef(*edges)[0, 1] > 0.3


@pytest.mark.parametrize("change", [outlines, negatives])
def test_digits_are_unchanged_in_one_domain_and_changed_in_the_other(change):
    """20 training and 6 test digits, each with a pixel of its own."""
    x = np.random.default_rng(0).integers(0, 256, (26, 28, 28, 1), np.uint8)
    x[:, 0, 0, 0] = np.arange(26)
    y = np.arange(26, dtype=np.int32) % 10
    train, test = (ArraySplit(x, rows, y[rows]) for rows in (np.arange(20), np.arange(20, 26)))
    splits = digit_splits(train, test, change, 3)
    assert [len(splits[split]) for split in SPLITS] == [10, 10, 6, 6]
    numbers = {}
    for split, part in splits.items():
        unchanged, changed = part.read, part.target
        if split.endswith("B"):
            unchanged, changed = changed, unchanged
        numbers[split] = [int(unchanged(i, 32)[2, 2, 0]) for i in range(len(part))]
        for i, number in enumerate(numbers[split]):
            assert part.label(i) == y[number]
            padded = np.pad(x[number], [(2, 2), (2, 2), (0, 0)])
            np.testing.assert_array_equal(unchanged(i, 32), padded)
            np.testing.assert_array_equal(changed(i, 32), change(padded[None])[0])
    assert sorted(numbers["trainA"] + numbers["trainB"]) == list(range(20))  # no digit in both
    assert numbers["testA"] == numbers["testB"] == list(range(20, 26))


def test_outlines_are_the_pixels_around_the_ink():
    x = np.random.default_rng(1).integers(0, 256, (2, 9, 7, 1), np.uint8)
    x[:, 3:6] = 0
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    np.testing.assert_array_equal(outlines(x), windows.max((-1, -2)) - x)
    np.testing.assert_array_equal(negatives(x), 255 - x.astype(int))


def test_as_digits_crops_the_margin():
    x = np.random.default_rng(2).integers(0, 256, (3, 28, 28, 1), np.uint8)
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    np.testing.assert_array_equal(as_digits(padded), x)
    np.testing.assert_array_equal(as_digits(np.repeat(padded, 3, axis=-1)), x)
    assert as_digits(np.zeros((2, 64, 64, 1), np.uint8)).shape == (2, 28, 28, 1)


def test_images_of_other_formats_are_counted(tmp_path, capsys):
    for split in SPLITS:
        write(tmp_path / split, 2)
        (tmp_path / split / "9.heic").touch()
    find_splits(str(tmp_path), None, 0)
    assert "ignored 4 .heic: these" in capsys.readouterr().out


@pytest.mark.parametrize("train", [["trainA", "trainB"], ["A", "B"]])
def test_validation_folders_are_said_to_be_unused(tmp_path, capsys, train):
    for split in (*train, "valA", "validB"):
        write(tmp_path / split, 4)
    splits = find_splits(str(tmp_path), None, 0)[1]
    assert [len(splits[split]) for split in SPLITS] == [3, 3, 1, 1]
    out = capsys.readouterr().out.splitlines()
    for domain, name in (("A", "valA/"), ("B", "validB/")):
        remedy = f"test images are those of test{domain}/, beside train{domain}/"
        assert f"{tmp_path}: does not use {name}; {remedy}" in out
