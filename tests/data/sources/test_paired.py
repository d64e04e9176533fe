"""Paired images: every layout, random splits, and errors that name what is missing."""

from pathlib import Path

from common.data.sources import paired
from common.data.sources.paired import (
    EMBEDDED,
    EMBEDDED_COUNTS,
    NAMED,
    GeneratedFacade,
    SideBySide,
    TwoFiles,
    find_splits,
)
from common.errors import UserError
from common.images import image_file
from common.images.image_file import BadImage
from tests.helpers.image_files import noise, write_pairs

import numpy as np
import pytest


def names(splits):
    return {split: [pair.name for pair in pairs] for split, pairs in splits.items()}


def write_two(folder, numbers, suffix=".png"):
    for side in "AB":
        for number in numbers:
            image = noise(12, 12, [number, ord(side)])
            image_file.write(folder / side / f"{number}{suffix}", image)
    return folder


def test_side_by_side_files_in_their_splits(pairs_folder, capsys):
    name, splits = find_splits(str(pairs_folder), None, 0)
    assert name == str(pairs_folder)
    assert names(splits) == {
        "train": [f"{n}.png" for n in range(6)],
        "val": ["6.png", "7.png"],
        "test": ["8.png", "9.png"],
    }
    assert capsys.readouterr().out == ""


def test_the_left_half_of_a_side_by_side_file_is_a(tmp_path):
    write_pairs(tmp_path, 1)
    a, b = SideBySide(tmp_path / "0.png").read(20)
    np.testing.assert_array_equal(a, noise(20, 20, [0, 0]))
    np.testing.assert_array_equal(b, noise(20, 20, [0, 1]))


def test_files_of_two_folders_may_have_different_suffixes(tmp_path):
    image_file.write(tmp_path / "A" / "x.png", noise(20, 14, 1))
    image_file.write(tmp_path / "B" / "x.bmp", noise(20, 14, 2))
    (pair,) = paired.find_pairs(tmp_path / "A", tmp_path / "B")
    assert pair == TwoFiles(tmp_path / "A" / "x.png", tmp_path / "B" / "x.bmp")
    a, b = pair.read(8)
    np.testing.assert_array_equal(a, image_file.resize(noise(20, 14, 1), 8, 8))
    np.testing.assert_array_equal(b, image_file.resize(noise(20, 14, 2), 8, 8))


def test_two_folders_with_the_same_splits(tmp_path):
    for side in "AB":
        for split, count in (("train", 3), ("val", 1), ("test", 2)):
            write_pairs(tmp_path / side / split, count)
    _, splits = find_splits(str(tmp_path), None, 0)
    assert {split: len(pairs) for split, pairs in splits.items()} == {
        "train": 3,
        "val": 1,
        "test": 2,
    }
    assert splits["val"] == [TwoFiles(tmp_path / "A/val/0.png", tmp_path / "B/val/0.png")]


@pytest.mark.parametrize("two_folders", [False, True])
def test_splits_are_taken_at_random_from_unsplit_pairs(tmp_path, capsys, two_folders):
    if two_folders:
        write_two(tmp_path, range(30))
    else:
        write_pairs(tmp_path, 30)
    cuts = [names(find_splits(str(tmp_path), None, seed)[1]) for seed in (1, 1, 2)]
    output = capsys.readouterr().out.splitlines()
    assert output[:2] == [
        f"{tmp_path}: no val/, so 3 of 30 training pairs are held out",
        f"{tmp_path}: no test/, so 3 of 30 training pairs are held out",
    ]
    assert cuts[0] == cuts[1] != cuts[2]
    for cut in cuts:
        assert {split: len(found) for split, found in cut.items()} == {
            "train": 24,
            "val": 3,
            "test": 3,
        }
        assert len({name for found in cut.values() for name in found}) == 30


def test_only_a_missing_split_is_taken(tmp_path, capsys):
    write_pairs(tmp_path / "train", 5)
    write_pairs(tmp_path / "val", 2, first=5)
    _, splits = find_splits(str(tmp_path), None, 0)
    assert [len(splits[split]) for split in ("train", "val", "test")] == [4, 2, 1]
    output = capsys.readouterr().out
    assert output == f"{tmp_path}: no test/, so 1 of 5 training pairs are held out\n"


def test_a_held_out_split_has_at_most_a_hundred_pairs(tmp_path, capsys):
    splits = {"train": [GeneratedFacade(0, i) for i in range(3000)]}
    parts = paired.split_off_missing(splits, tmp_path, 0)
    assert [len(parts[split]) for split in ("train", "val", "test")] == [2800, 100, 100]


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pairs_to_split(tmp_path, count):
    write_pairs(tmp_path, count)
    with pytest.raises(UserError, match=rf"{tmp_path}: {count} pairs are too few"):
        find_splits(str(tmp_path), None, 0)


def test_a_file_without_a_partner_is_named(tmp_path):
    write_two(tmp_path, range(4))
    (tmp_path / "B" / "2.png").unlink()
    said = rf"A/2.png: no image named 2 in {tmp_path / 'B'}; add it there, or .*--skip_bad_images"
    with pytest.raises(UserError, match=said):
        find_splits(str(tmp_path), None, 0)


@pytest.mark.parametrize("layout", ["{}", "train{}"])
def test_files_without_a_partner_are_left_out(tmp_path, capsys, layout):
    for side, numbers in (("A", range(5)), ("B", range(1, 7))):
        for number in numbers:
            image_file.write(tmp_path / layout.format(side) / f"{number}.png", noise(8, 8, number))
    _, splits = find_splits(str(tmp_path), None, 0, skip_alone=True)
    names = {pair.name for pairs in splits.values() for pair in pairs}
    assert names == {"1.png", "2.png", "3.png", "4.png"}
    a, b = (tmp_path / layout.format(side) for side in "AB")
    said = f"skipped 3 images without counterpart: {a / '0.png'}, {b / '5.png'}, {b / '6.png'}"
    assert said in capsys.readouterr().out.splitlines()


def test_two_folders_without_equal_names_are_refused(tmp_path):
    write_two(tmp_path, range(4))
    for path in (tmp_path / "B").iterdir():
        path.rename(path.with_stem(f"{path.stem}_B"))
    with pytest.raises(UserError, match=r"/A and .*/B: no file has the name of one in the other"):
        find_splits(str(tmp_path), None, 0, skip_alone=True)


def test_halves_that_do_not_match_are_named(tmp_path):
    image_file.write(tmp_path / "odd.png", noise(10, 21, 0))
    with pytest.raises(BadImage, match=r"odd.png: 21 pixels wide"):
        SideBySide(tmp_path / "odd.png").read(8)
    for side, width in (("A", 12), ("B", 14)):
        image_file.write(tmp_path / side / "x.png", noise(10, width, 0))
    with pytest.raises(BadImage, match=r"A/x.png and .*B/x.png: 12x10 and 14x10"):
        TwoFiles(tmp_path / "A/x.png", tmp_path / "B/x.png").read(8)


@pytest.mark.parametrize("made", [[], ["train"], ["A", "B"], ["train/deeper"]])
def test_an_empty_folder_is_named(tmp_path, made):
    for folder in made:
        (tmp_path / folder).mkdir(parents=True)
    said = (
        rf"^(--dataset )?{tmp_path}\S*: (no images in this folder: )?it (is empty|holds the folder)"
    )
    with pytest.raises(UserError, match=said):
        find_splits(str(tmp_path), None, 0)


def test_an_unknown_dataset_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="--dataset no/where: no such folder") as caught:
        find_splits("no/where", None, 0)
    assert all(name in str(caught.value) for name in [*NAMED, EMBEDDED])


def test_embedded_splits_share_no_facade():
    name, splits = find_splits(EMBEDDED, None, 7)
    assert name == EMBEDDED
    assert {split: len(pairs) for split, pairs in splits.items()} == EMBEDDED_COUNTS
    assert len({pair for pairs in splits.values() for pair in pairs}) == sum(
        EMBEDDED_COUNTS.values()
    )
    a, b = splits["val"][0].read(16)
    assert a.shape == b.shape == (16, 16, 3) and (a != b).any()


@pytest.fixture
def no_network(monkeypatch):
    asked = []

    def fetch(url, folder, label):
        asked.append((url, Path(folder), label))
        raise UserError(f"{label}: downloading {url} failed")

    monkeypatch.setattr(paired, "fetch_archive", fetch)
    return asked


@pytest.mark.parametrize("name", NAMED)
def test_a_named_dataset_is_never_replaced(no_network, tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: downloading .*/{name}.tar.gz failed"):
        find_splits(name, str(tmp_path), 0)
    assert [(folder, label) for _, folder, label in no_network] == [(tmp_path / name, name)]


def test_by_default_the_embedded_dataset_replaces_a_failed_download(no_network, tmp_path, capsys):
    name, splits = find_splits(None, str(tmp_path), 0)
    assert name == EMBEDDED and len(splits["train"]) == EMBEDDED_COUNTS["train"]
    assert [label for _, _, label in no_network] == ["facades"]
    out = capsys.readouterr().out
    assert "facades: downloading" in out and "embedded generated facades instead" in out


def test_named_datasets_are_in_keras_home(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(UserError):
        find_splits("maps", None, 0)
    assert no_network[0][1] == tmp_path / "datasets" / "maps"


def test_a_downloaded_dataset_is_read_from_its_folder(tmp_path, monkeypatch):
    def fetch(url, folder, label):
        for split in ("train", "val", "test"):
            write_pairs(folder / split, 2)

    monkeypatch.setattr(paired, "fetch_archive", fetch)
    name, splits = find_splits("cityscapes", str(tmp_path), 0)
    assert name == "cityscapes"
    assert splits["test"][1] == SideBySide(tmp_path / "cityscapes" / "test" / "1.png")


def test_two_images_of_one_name_are_refused(tmp_path):
    write_two(tmp_path, range(12))
    image_file.write(tmp_path / "A" / "3.bmp", noise(12, 12, [3]))
    with pytest.raises(UserError, match=r"3\.(png|bmp) and 3\.(png|bmp): two images of one name"):
        find_splits(str(tmp_path), None, 0)


def test_a_folder_is_named_by_its_absolute_path(pairs_folder, monkeypatch):
    monkeypatch.chdir(pairs_folder.parent)
    assert find_splits(pairs_folder.name, None, 0)[0] == str(pairs_folder)


def test_images_of_other_formats_are_counted(tmp_path, capsys):
    for side in "AB":
        for split in ("train", "val", "test"):
            write_pairs(tmp_path / side / split, 2)
            (tmp_path / side / split / "9.heic").touch()
    find_splits(str(tmp_path), None, 0)
    assert "ignored 6 .heic: these" in capsys.readouterr().out


@pytest.mark.parametrize("sides", [[""], ["A", "B"]])
def test_a_validation_folder_of_another_name_is_said_to_be_unused(tmp_path, capsys, sides):
    for side in sides:
        for split in ("train", "valid", "test"):
            write_pairs(tmp_path / side / split, 10)
    splits = find_splits(str(tmp_path), None, 0)[1]
    assert {name: len(pairs) for name, pairs in splits.items()} == {
        "train": 9,
        "val": 1,
        "test": 10,
    }
    assert capsys.readouterr().out.splitlines() == [
        *(
            f"{tmp_path / side}: does not use valid/; "
            "to hold out these pairs, name it val/ beside train/"
            for side in sides
        ),
        f"{tmp_path}: no val/, so 1 of 10 training pairs are held out",
    ]
