"""Labelled images: every layout, random test splits, and errors that name what is missing."""

from common.data.sources import labelled
from common.data.sources.labelled import CLASS_NAMES, find
from common.data.sources.labelled_splits import ArraySplit
from common.data.sources.splits import hash_of_names
from common.data.synthetic.digits import digits, labels
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise

import numpy as np
import pytest
from PIL import Image


def write(folder, count, first=0):
    for number in range(first, first + count):
        image_file.write(folder / f"{number}.png", noise(8, 8, number))
    return folder


def names(split):
    return [path.relative_to(split.root).as_posix() for path in split.paths]


def save(path, count=20, test=5, classes=4, seed=0):
    random = np.random.default_rng(seed)
    arrays = {}
    for split, number in (("train", count), ("test", test)):
        if number:
            arrays[f"x_{split}"] = random.integers(0, 256, (number, 6, 6), np.uint8)
            arrays[f"y_{split}"] = np.arange(number) % classes
    np.savez(path, **arrays)
    return arrays


def test_a_folder_of_images_has_no_labels(tmp_path, capsys):
    found = find(str(write(tmp_path, 30)), None, 0)
    assert (found.name, found.class_names) == (str(tmp_path), [])
    assert (found.side, found.channels) == (8, 3)
    assert len(found.train) == 27 and len(found.test) == 3
    assert not found.train.labels.any() and found.train.labels.dtype == np.int32
    assert sorted(names(found.train) + names(found.test)) == sorted(f"{i}.png" for i in range(30))
    message = f"{tmp_path}: no test split, so 3 of 30 training images are held out\n"
    assert capsys.readouterr().out == message


def test_folders_in_a_folder_are_classes(tmp_path, capsys):
    for number, name in enumerate(("dog", "ant", "cat")):
        for split, count in (("train", 3), ("test", 2)):
            write(tmp_path / split / name, count + number)
    (tmp_path / "train" / ".hidden").mkdir()
    found = find(str(tmp_path), None, 0)
    assert found.class_names == ["ant", "cat", "dog"]
    assert names(found.test) == [
        *(f"test/ant/{i}.png" for i in range(3)),
        *(f"test/cat/{i}.png" for i in range(4)),
        *(f"test/dog/{i}.png" for i in range(2)),
    ]
    np.testing.assert_array_equal(found.train.labels, [0] * 4 + [1] * 5 + [2] * 3)
    np.testing.assert_array_equal(found.test.labels, [0] * 3 + [1] * 4 + [2] * 2)
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(found.test.read(3), noise(8, 8, 0))


@pytest.mark.parametrize(
    "folders, expected",
    [
        ("1 10 11 2 0", "0 1 2 10 11"),
        ("10 2 02 -1 0.5", "-1 0.5 02 2 10"),
        ("class10 class2 Class1", "Class1 class2 class10"),
        ("2 1a 10", "1a 2 10"),
    ],
)
def test_classes_are_in_natural_order(tmp_path, folders, expected):
    for number, name in enumerate(folders.split()):
        write(tmp_path / "train" / name, 1, first=number)
        write(tmp_path / "test" / name, 1, first=number)
    found = find(str(tmp_path), None, 0)
    assert found.class_names == expected.split()
    for split in (found.train, found.test):
        assert [path.parent.name for path in split.paths] == expected.split()
        assert split.labels.tolist() == [*range(len(split.paths))]


def test_class_names_of_an_earlier_run_keep_their_order(tmp_path):
    for split, count in (("train", 3), ("test", 1)):
        for name in ("1", "2", "10"):
            write(tmp_path / split / name, count)
    stored = ["1", "10", "2"]
    natural, found = (find(str(tmp_path), None, 0, class_names=names) for names in (None, stored))
    assert natural.class_names == ["1", "2", "10"] and found.class_names == stored
    listed = [f"train/{name}/{i}.png" for name in stored for i in range(3)]
    assert names(found.train) == listed and found.train.digest() == hash_of_names(listed)
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.test.labels.tolist() == [0, 1, 2]
    assert found.train.digest() != natural.train.digest()
    for other in (["1", "10"], ["1", "10", "3"], []):
        with pytest.raises(UserError, match="has the classes 1, 2, 10, not"):
            find(str(tmp_path), None, 0, class_names=other)


def test_images_keep_their_labels_when_a_test_split_is_taken(tmp_path):
    write(tmp_path / "a", 20)
    write(tmp_path / "b", 30, first=20)
    cuts = [find(str(tmp_path), None, seed) for seed in (1, 1, 2)]
    for found in cuts:
        assert (len(found.train), len(found.test)) == (45, 5)
        for split in (found.train, found.test):
            assert names(split) == sorted(names(split), key=lambda n: (n[0], len(n), n))
            np.testing.assert_array_equal(split.labels, [n[0] == "b" for n in names(split)])
        assert len({*names(found.train), *names(found.test)}) == 50
    assert names(cuts[0].test) == names(cuts[1].test) != names(cuts[2].test)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("classes", [("",), ("ant", "cat")])
def test_a_validation_folder_beside_the_training_images_is_held_out(
    tmp_path, capsys, name, classes
):
    for label in classes:
        write(tmp_path / label, 4)
        write(tmp_path / name / label, 2, first=4)
    found = find(str(tmp_path), None, 0)
    assert found.class_names == [*filter(None, classes)]
    places = [f"{label}/" if label else "" for label in classes]
    assert names(found.train) == [f"{place}{i}.png" for place in places for i in range(4)]
    assert names(found.test) == [f"{name}/{place}{i}.png" for place in places for i in (4, 5)]
    assert found.test.labels.tolist() == [i for i in range(len(classes)) for _ in range(2)]
    assert capsys.readouterr().out == ""
    write(tmp_path / name / "dog", 1)
    if classes != ("",):
        with pytest.raises(UserError, match=f"{name}/dog has no match in {tmp_path.name}/"):
            find(str(tmp_path), None, 0)


@pytest.mark.parametrize("test", [[], ["test"]])
def test_a_validation_folder_beside_train_is_not_used_and_said_to_be(tmp_path, capsys, test):
    for split in ("train", "val", "valid", *test):
        write(tmp_path / split / "a", 10)
    found = find(str(tmp_path), None, 0)
    assert (len(found.train), len(found.test)) == ((10, 10) if test else (9, 1))
    out = capsys.readouterr().out.splitlines()
    remedy = "to hold out a folder of its own, name it test/"
    assert out[0] == f"{tmp_path}: does not use val/ and valid/; {remedy}"
    assert len(out) == (1 if test else 2)


def test_a_class_named_like_a_split_is_said_to_be_one(tmp_path, capsys):
    for name in ("cat", "dog", "val"):
        write(tmp_path / name, 10)
    assert find(str(tmp_path), None, 0).class_names == ["cat", "dog", "val"]
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path}: takes val/ for a class; give train/ and test/ to hold")


@pytest.mark.parametrize(
    "made, message",
    [
        ([], "no images in this folder"),
        (["train"], "train: no images in this folder"),
        (["a", "b"], "a: no images in this folder"),
        (["test/1.png"], "has test/, but no train/"),
        (["1.png", "a/1.png"], "has both images and folders of images"),
        (["train/a/1.png", "test/b/1.png"], "test/b has no match in train/"),
        (["train/a/1.png", "test/1.png"], "test/ has no match in train/"),
        (["train/1.png", "test/a/1.png"], "test/a has no match in train/"),
        (["1.png"], "one image is too few"),
    ],
)
def test_folders_that_are_refused(tmp_path, made, message):
    for place in made:
        if place.endswith(".png"):
            image_file.write(tmp_path / place, noise(8, 8, 0))
        else:
            (tmp_path / place).mkdir()
    with pytest.raises(UserError, match=rf"{tmp_path}\S* ?.*{message}"):
        find(str(tmp_path), None, 0)


def test_all_jpeg_suffixes_are_read_and_other_formats_are_counted(tmp_path, capsys):
    for name in ("a", "b"):
        for split in ("train", "test"):
            write(tmp_path / split / name, 2)
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "3.jfif", "jpeg")
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "4.jpe", "jpeg")
            (tmp_path / split / name / "5.avif").touch()
    found = find(str(tmp_path), None, 0)
    assert len(found.train) == len(found.test) == 8
    assert found.train.read(3).shape == (8, 8, 3) and not found.train.read(2).any()
    assert capsys.readouterr().out == (
        f"{tmp_path}: ignored 4 .avif: these formats are not read; convert to PNG or JPEG\n"
    )


def test_folders_without_images_beside_images_are_ignored(tmp_path):
    write(tmp_path, 4)
    (tmp_path / "notes").mkdir()
    assert len(find(str(tmp_path), None, 0).train) == 3


def test_an_npz_file(tmp_path, monkeypatch, capsys):
    arrays = save(tmp_path / "a.npz")
    monkeypatch.chdir(tmp_path)
    found = find("a.npz", None, 0)
    assert found.name == str(tmp_path / "a.npz")  # a run may be resumed from elsewhere
    assert (found.side, found.channels, found.class_names) == (6, 1, ["0", "1", "2", "3"])
    np.testing.assert_array_equal(found.train.take(np.arange(20))[..., 0], arrays["x_train"])
    np.testing.assert_array_equal(
        found.test.take(np.array([4, 1]))[..., 0], arrays["x_test"][[4, 1]]
    )
    np.testing.assert_array_equal(found.test.labels, arrays["y_test"])
    assert capsys.readouterr().out == ""


def test_a_test_split_is_taken_from_an_array(tmp_path, capsys):
    arrays = save(tmp_path / "a.npz", count=50, test=0)
    whole = {x.tobytes(): y for x, y in zip(arrays["x_train"], arrays["y_train"], strict=True)}
    cuts = [find(str(tmp_path / "a.npz"), None, seed) for seed in (1, 1, 2)]
    message = "a.npz: no test split, so 5 of 50 training images are held out\n"
    assert capsys.readouterr().out.endswith(message)
    held_out = []
    for found in cuts:
        seen = [found.train.take(np.arange(45)), found.test.take(np.arange(5))]
        labels_of = {
            x.tobytes(): y
            for x, y in zip(
                np.concatenate(seen),
                np.concatenate([found.train.labels, found.test.labels]),
                strict=True,
            )
        }
        assert labels_of == whole  # every image once, with its label
        held_out.append(seen[1].tobytes())
    assert held_out[0] == held_out[1] != held_out[2]


def test_a_test_split_has_at_most_ten_thousand_images():
    pixels = np.zeros((150_000, 1, 1, 1), np.uint8)
    train = ArraySplit(pixels, np.arange(150_000), np.zeros(150_000, np.int32))
    assert [len(part) for part in labelled.split_off_test(train, "a", 0)] == [140_000, 10_000]


def test_named_datasets_are_in_the_data_folder_or_in_keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    save(tmp_path / "keras" / "datasets" / "usps.npz", count=20)
    save(tmp_path / "usps.npz", count=30)
    assert len(find("usps", None, 0).train) == 20
    assert len(find("usps", str(tmp_path), 0).train) == 30


def test_class_names_of_named_datasets(tmp_path):
    for name in CLASS_NAMES:
        save(tmp_path / f"{name}.npz", classes=10, test=10)
    assert find("cifar10", str(tmp_path), 0).class_names[3] == "cat"
    found = find("fashion_mnist", str(tmp_path), 0)
    stored = find("fashion_mnist", str(tmp_path), 0, class_names=found.class_names)
    assert stored.class_names == found.class_names
    np.testing.assert_array_equal(stored.train.labels, found.train.labels)
    assert found.name == "fashion_mnist"
    assert len(found.class_names) == 10 and found.class_names[9] == "ankle boot"
    save(tmp_path / "cifar10.npz", classes=4)  # another file of that name
    assert find("cifar10", str(tmp_path), 0).class_names == ["0", "1", "2", "3"]


@pytest.fixture
def no_network(monkeypatch):
    def named_arrays(name, folder):
        raise UserError(f"--dataset {name}: {folder / name}.npz does not exist")

    monkeypatch.setattr(labelled, "named_arrays", named_arrays)


def test_the_default_is_mnist_or_else_the_embedded_dataset(tmp_path, no_network, capsys):
    found = find(None, str(tmp_path), 7)
    assert found.name == "embedded"
    out = capsys.readouterr().out
    assert f"{tmp_path}/mnist.npz does not exist" in out and "embedded generated" in out
    with pytest.raises(UserError, match="--dataset mnist"):  # asked for by name, it is not replaced
        find("mnist", str(tmp_path), 7)


def test_the_default_is_mnist_if_it_is_on_disk(tmp_path):
    save(tmp_path / "mnist.npz")
    assert find(None, str(tmp_path), 0).name == "mnist"


def test_embedded_digits_are_in_one_split_only():
    found = find("embedded", None, 7)
    assert (len(found.train), len(found.test)) == (20_000, 10_000)
    assert (found.side, found.channels) == (28, 1)
    assert found.class_names == [str(digit) for digit in range(10)]
    np.testing.assert_array_equal(found.test.take(np.array([3])), digits(0, [20_003]))
    np.testing.assert_array_equal(found.train.take(np.array([19_999])), digits(0, [19_999]))
    np.testing.assert_array_equal(found.test.labels, labels(0, range(20_000, 30_000)))
    np.testing.assert_array_equal(np.bincount(found.train.labels), [2000] * 10)


@pytest.mark.parametrize("count, held_out", [(1, 1), (30, 15), (31, 16), (20_010, 10_005)])
def test_the_number_of_embedded_digits(count, held_out):
    found = find("embedded", None, 7, count)
    assert (len(found.train), len(found.test)) == (count, held_out)
    assert len(found.class_names) == 10
    np.testing.assert_array_equal(found.train.labels, labels(0, range(count)))
    np.testing.assert_array_equal(found.test.labels, labels(0, range(count, count + held_out)))
    np.testing.assert_array_equal(found.test.take(np.array([0])), digits(0, [count]))
    assert found.train.digest() != find("embedded", None, 7).train.digest()


@pytest.mark.parametrize(
    "dataset, count, message",
    [
        ("embedded", 0, "give 1 or more"),
        ("mnist", 9, "needs --dataset embedded"),
        (None, 9, "needs --dataset embedded"),
    ],
)
def test_a_number_of_embedded_digits_that_is_refused(tmp_path, dataset, count, message):
    with pytest.raises(UserError, match=f"--embedded_count {count}: {message}"):
        find(dataset, str(tmp_path), 7, count)


def test_some_of_the_training_images():
    whole, some = find("embedded", None, 7, 40), find("embedded", None, 7, 40, train_count=6)
    assert len(some.train) == 6 and some.test.digest() == whole.test.digest()
    kept = {image.tobytes() for image in some.train.take(np.arange(6))}
    assert kept < {image.tobytes() for image in whole.train.take(np.arange(40))} and len(kept) == 6
    again, other = (find("embedded", None, seed, 40, train_count=6).train for seed in (7, 8))
    assert again.digest() == some.train.digest() != other.digest()


@pytest.mark.parametrize(
    "count, message", [(0, "give 1 or more"), (41, "embedded has 40 training")]
)
def test_more_training_images_than_there_are_are_refused(count, message):
    with pytest.raises(UserError, match=f"--train_count {count}: {message}"):
        find("embedded", None, 7, 40, train_count=count)


def test_an_unknown_dataset_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="--dataset no/where: no such folder") as caught:
        find("no/where", None, 0)
    for name in ("mnist", "fashion_mnist", "cifar10", "usps", "embedded"):
        assert name in str(caught.value)


def test_digests_differ_between_data(tmp_path):
    digests = []
    for name, seed, classes in (("a", 0, 4), ("b", 0, 4), ("c", 1, 4), ("d", 0, 5)):
        save(tmp_path / f"{name}.npz", seed=seed, classes=classes)
        digests.append(find(str(tmp_path / f"{name}.npz"), None, 0).train.digest())
    assert digests[0] == digests[1] and len(set(digests)) == 3
    embedded = find("embedded", None, 1)  # the seed of a run does not change the embedded digits
    assert embedded.train.digest() == find("embedded", None, 2).train.digest()
    assert embedded.train.digest() != embedded.test.digest()
    write(tmp_path / "one", 9)
    write(tmp_path / "two", 9)
    write(tmp_path / "three", 10)
    one, two, three = (
        find(str(tmp_path / name), None, 0).train.digest() for name in ("one", "two", "three")
    )
    assert one == two != three  # whatever the folder
