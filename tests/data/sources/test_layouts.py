"""Layouts of folders: those that are taken, and how the error for another one helps."""

from common.data.sources import captioned, labelled, paired, super_resolution, unpaired
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise

import pytest

TRANSLATORS = paired.find_splits, unpaired.find_splits
FIND = {
    "pairs": paired.find_splits,
    "unpaired": unpaired.find_splits,
    "classes": labelled.find,
    "photos": super_resolution.find_splits,
    "captioned": captioned.find,
}


def lay_out(folder, *places):
    """Writes four images into each folder; a place with a suffix is a file of text."""
    folder.mkdir(exist_ok=True)
    for place in places:
        if place.endswith(".txt"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text("text")
        elif place.endswith("/"):
            (folder / place).mkdir(parents=True)
        else:
            for number in range(4):
                image_file.write(folder / place / f"{number}.png", noise(8, 16, number))


@pytest.mark.parametrize(
    "places",
    [
        ("trainA", "trainB", "testA", "testB"),
        ("A/train", "B/train", "A/test", "B/test"),
        ("trainA", "trainB"),
        ("A/train", "B/train"),
        ("A", "B"),
    ],
)
def test_both_translators_take_one_layout(tmp_path, places):
    lay_out(tmp_path, *places)
    (_, pairs), (_, images) = (find(str(tmp_path), None, 0) for find in TRANSLATORS)
    split = any("test" in place for place in places)
    assert (len(pairs["test"]), len(images["testA"])) == ((4, 4) if split else (1, 1))
    assert all(pair.a.name == pair.b.name for each in pairs.values() for pair in each)


@pytest.mark.parametrize(
    ("kind", "places", "said"),
    [
        (
            "pairs",
            ["cat", "dog"],
            "holds the folders cat/ and dog/; rename cat/ to A/ and dog/ to B/",
        ),
        ("pairs", ["train/A", "train/B", "test/A", "test/B"], "rename test/A to testA/, .*trainB/"),
        (
            "pairs",
            ["train/cat", "train/dog", "train/cow"],
            "train/: it holds the folders cat/, cow/",
        ),
        ("pairs", ["trainA"], "add trainB/; wanted: .* files of equal names are a pair; or files"),
        ("pairs", ["inner/trainA", "inner/trainB"], "give --dataset .*/inner; wanted"),
        (
            "unpaired",
            ["train/A", "train/B"],
            "rename train/A to trainA/, train/B to trainB/; wanted",
        ),
        (
            "unpaired",
            ["train/A", "train/B", "val/A"],
            "rename train/A to trainA/, train/B to trainB/",
        ),
        (
            "unpaired",
            ["horses", "zebras"],
            "rename horses/ to A/ and zebras/ to B/; wanted: trainA/",
        ),
        ("unpaired", ["train", "test"], "put the images of one domain into trainA/"),
        (
            "classes",
            ["cat", "dog", "notes/"],
            "notes: no images .* it is empty; .* remove the folder",
        ),
        ("classes", ["cat", "notes/a.txt"], "notes: no images .* it holds 1 .txt file; put images"),
        ("classes", ["train/cat", "train/dog", "train/x/"], "train/x: no images in this folder"),
        ("classes", ["inner/cat", "inner/dog"], "give --dataset .*/inner$"),
        (
            "classes",
            ["cat/train", "cat/test"],
            "put the splits above the classes, as in train/cat/",
        ),
        ("photos", ["cat", "dog", "test"], "give --dataset [^,]*/cat,[^,]*/dog; wanted: images"),
        ("photos", ["train/cat", "train/dog"], "give --dataset [^,]*/train/cat,[^,]*/train/dog;"),
        ("photos", ["inner/train"], "give --dataset .*/inner; wanted"),
        ("photos", ["notes/a.txt"], "it holds the folder notes/; wanted: images"),
        ("captioned", ["cat", "notes/"], "notes: no images in this folder"),
    ],
)
def test_the_error_leads_from_what_is_seen_to_what_is_wanted(tmp_path, kind, places, said):
    folder = tmp_path / "data"
    lay_out(folder, *places)
    with pytest.raises(UserError, match=said) as caught:
        FIND[kind](str(folder), None, 0)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", FIND)
@pytest.mark.parametrize(
    ("name", "said"), [("a.tar", "an archive; unpack it"), ("a.png", "one image; give the folder")]
)
def test_a_file_in_place_of_a_folder(tmp_path, kind, name, said):
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(UserError, match=said):
        FIND[kind](str(tmp_path / name), None, 0)


def test_the_domains_of_a_translator_are_said_to_be_classes(tmp_path, capsys):
    lay_out(tmp_path, "trainA", "trainB")
    assert labelled.find(str(tmp_path), None, 0).class_names == ["trainA", "trainB"]
    said = "takes trainA/, trainB/ for classes; for the images of one domain give --dataset "
    assert f"{said}{tmp_path / 'trainA'}" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "places"), [("pairs", "AB"), ("unpaired", "AB"), ("photos", ".")])
def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, kind, places):
    monkeypatch.setenv("HOME", str(tmp_path))
    lay_out(tmp_path / "data", *places)
    assert FIND[kind]("~/data", None, 0)[0] == str(tmp_path / "data")
