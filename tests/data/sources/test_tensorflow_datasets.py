"""TensorFlow Datasets by name: tiny datasets in both formats, and mocked ones of the library."""

import json
import sys

from common.data.labelled import LabelledImages
from common.data.sources import labelled, super_resolution, unpaired
from common.data.sources.named_arrays import CLASS_NAMES
from common.data.sources.tensorflow_datasets import TFRecords
from common.data.super_resolution import HighResolutionImages
from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.images import image_file
from common.images.image_file import BadImage
from tests.helpers.image_files import noise

import numpy as np
import pytest
import tensorflow as tf

CLASSES = ["cat", "dog", "ant"]
COUNTS = {"train": 24, "test": 6}
CIFAR = CLASS_NAMES["cifar10"].split(",")
FORMATS = ("array_record", "tfrecord")


def image(number):
    return noise(9, 8, number)


@pytest.fixture(scope="module")
def tfds():
    """The library; without it (requirements-tfds.txt) the tests that use it are skipped."""
    pytest.importorskip("array_record")
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def prepared(tfds, tmp_path_factory):
    """prepared(format) -> folder of a dataset my_set in that format; read-only."""
    made = {}

    def prepare(file_format):
        if file_format not in made:
            made[file_format] = tmp_path_factory.mktemp(file_format)
            store(tfds, made[file_format], file_format)
        return str(made[file_format])

    return prepare


def store(tfds, folder, file_format, features=None, examples=None, counts=COUNTS, name="my_set"):
    """Writes a dataset; its images are numbered through all splits, and the classes repeat."""
    of_image, of_label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel
    features = features or {"image": of_image, "label": of_label(names=CLASSES)}
    examples = examples or (lambda number: {"image": image(number), "label": number % 3})
    splits, first = {}, 0
    for split, count in counts.items():
        splits[split] = [(number, examples(number)) for number in range(first, first + count)]
        first += count
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets=splits,
        data_dir=folder,
        file_format=file_format,
    )


def find(folder, seed=0, **options):
    return labelled.find("tfds:my_set", str(folder), seed, **options)


# Without the library.


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    message = r"--dataset tfds:cifar10: needs .* pip install -r requirements-tfds.txt$"
    for search in (labelled.find, unpaired.find_splits, super_resolution.find_splits):
        with pytest.raises(UserError, match=message) as error:
            search("tfds:cifar10", None, 0)
        assert "\n" not in str(error.value)


def shard(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path), len(records)


def test_records_are_found_by_number_in_any_order(tmp_path):
    records = [b"a", b"", b"ccc" * 9, b"d" * 3000, b"e"]
    parts = records[:2], [], records[2:3], records[3:], []
    found = TFRecords([shard(tmp_path / f"{i}", part) for i, part in enumerate(parts)])
    assert len(found) == 5
    assert [found[i] for i in (4, 1, 3, 0, 2)] == [records[i] for i in (4, 1, 3, 0, 2)]
    assert len(TFRecords([])) == 0


@pytest.mark.parametrize("cut", [1, 4, 9, 20])  # bytes; the second record has 20
def test_a_truncated_file_of_records_is_named(tmp_path, cut):
    found = shard(tmp_path / "records", [b"abc", b"defg"])
    content = (tmp_path / "records").read_bytes()
    (tmp_path / "records").write_bytes(content[:-cut])
    with pytest.raises(UserError, match=r"records: (truncated|not readable)") as error:
        TFRecords([found])
    assert "\n" not in str(error.value)


# Tiny datasets on disk.


@pytest.mark.parametrize("file_format", FORMATS)
def test_labelled_images_of_both_formats(prepared, file_format):
    found = find(prepared(file_format))
    assert found.name == "tfds:my_set:1.0.0" and found.class_names == CLASSES
    assert (found.side, found.channels, found.file_side) == (8, 3, 8)
    seen, first = {}, 0
    for split, count in COUNTS.items():
        part = getattr(found, split)
        assert len(part) == count and part.labels.dtype == np.int32
        known = {image(number).tobytes(): number for number in range(first, first + count)}
        numbers = [known[part.read(index).tobytes()] for index in range(count)]
        assert sorted(numbers) == sorted(known.values())
        assert part.labels.tolist() == [number % 3 for number in numbers]
        assert part.subset(np.array([3, 1])).read(1).tobytes() == image(numbers[1]).tobytes()
        seen[split], first = numbers, first + count
    assert seen["train"] != sorted(seen["train"])  # as the library has shuffled them


def test_the_formats_have_one_order_and_one_fingerprint(prepared):
    found = [find(prepared(file_format)) for file_format in FORMATS]
    assert found[0].train.digest() == found[1].train.digest() != found[0].test.digest()
    some = found[0].train.subset(np.arange(23))
    assert some.digest() != found[0].train.digest()


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_stream_is_a_function_of_seed_and_step(prepared, file_format):
    def batches(start, stop, **options):
        data = LabelledImages(3, "tfds:my_set", prepared(file_format), **options)
        x, y = zip(*data.stream(4, start, stop).as_numpy_iterator(), strict=True)
        return np.stack(x), np.stack(y)

    x, y = batches(0, 9)  # an epoch has 6 steps
    for again, whole in zip(batches(5, 9), (x, y), strict=True):
        np.testing.assert_array_equal(again, whole[5:])
    np.testing.assert_array_equal(batches(5, 9, cache_mb=0)[0], x[5:])
    assert sorted(y[:6].ravel()) == sorted([0, 1, 2] * 8)


def test_the_resolved_options_find_the_same_data(prepared):
    folder = prepared("tfrecord")
    names = ["ant", "cat", "dog"]
    data = LabelledImages(0, "tfds:my_set", folder, train_count=20, class_names=names)
    assert data.found["dataset"] == "tfds:my_set:1.0.0"
    again = LabelledImages(
        0, data.found["dataset"], folder, train_count=20, class_names=data.found["class_names"]
    )
    assert again.fingerprint() == data.fingerprint()
    (x, y), usual = again.arrays("test"), LabelledImages(0, "tfds:my_set", folder).arrays("test")
    np.testing.assert_array_equal(x, usual[0])
    assert [again.class_names[label] for label in y] == [CLASSES[label] for label in usual[1]]


def test_other_class_names_are_refused(prepared):
    with pytest.raises(UserError, match="has the classes ant, cat, dog, not the classes cat, emu"):
        find(prepared("tfrecord"), class_names=["cat", "emu"])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("tfds:no_set", "--dataset tfds:no_set: .*no_set not found; check the name, prepare"),
        ("tfds:", "--dataset tfds:: .*; check the name"),
        ("tfds:my_set/blue", "--dataset tfds:my_set/blue: .*; check the name"),
    ],
)
def test_an_unknown_name_is_one_line(prepared, dataset, message):
    with pytest.raises(UserError, match=message) as error:
        labelled.find(dataset, prepared("tfrecord"), 0)
    assert "\n" not in str(error.value)


def test_a_missing_split_or_image_is_one_line(tfds, prepared, tmp_path):
    folder = prepared("tfrecord")
    with pytest.raises(UserError, match="has the splits train, test, not trainA; give a dataset"):
        unpaired.find_splits("tfds:my_set", folder, 0)
    numbers = {"number": tfds.features.Scalar(np.int64)}
    store(tfds, tmp_path, "tfrecord", numbers, lambda number: {"number": number})
    with pytest.raises(UserError, match="its examples have number, and no one image"):
        find(tmp_path)


def test_test_images_of_unknown_class_are_passed_over(tfds, tmp_path, capsys):
    counts = {"train": 20, "test": 4, "validation": 3}

    def example(number):
        unknown = 20 <= number < 24
        return {"image": image(number), "label": -1 if unknown else number % 3}

    store(tfds, tmp_path, "tfrecord", None, example, counts)
    assert len(find(tmp_path).test) == 3
    assert "held out" not in capsys.readouterr().out


def test_a_missing_test_split_is_taken_from_the_training_images(tfds, tmp_path, capsys):
    store(tfds, tmp_path, "tfrecord", None, None, {"train": 20})
    capsys.readouterr()
    found = find(tmp_path)
    assert (len(found.train), len(found.test)) == (18, 2)
    assert not set(found.train.rows) & set(found.test.rows)
    message = "tfds:my_set:1.0.0: no test split, so 2 of 20 training images are held out"
    assert message in capsys.readouterr().out


def test_a_damaged_example_is_named_or_skipped(prepared, monkeypatch):
    train = find(prepared("tfrecord")).train
    content = train.encoded(5)
    place = r"--dataset tfds:my_set:1.0.0 train, example 5: "
    monkeypatch.setattr(type(train), "encoded", lambda *_: content[:60])
    with pytest.raises(BadImage, match=place + "an image of 60 bytes: "):
        train.read(5)
    monkeypatch.undo()
    train.records = [b"damaged"] * len(train)
    with pytest.raises(BadImage, match=place + "not readable") as error:
        train.read(5)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_are_one_line(tfds, tmp_path, file_format):
    store(tfds, tmp_path, file_format)
    (file,) = tmp_path.glob(f"my_set/1.0.0/*train.{file_format}*")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match=r"(not readable|truncated).*; restore ") as error:
        find(tmp_path)
    assert "\n" not in str(error.value)


def test_another_format_is_refused(tfds, tmp_path):
    store(tfds, tmp_path, "parquet")
    place = tmp_path / "my_set" / "1.0.0"
    with pytest.raises(UserError, match=f"{place} has parquet files; convert them with tfds"):
        find(tmp_path)


# Datasets of the library itself, mocked.


@pytest.fixture
def mocked(tfds, tmp_path):
    """mocked(name, splits) -> folder with the metadata of a dataset of the library."""

    def mock(name, splits, labels=()):
        builder = tfds.builder(name, data_dir=tmp_path)
        folder = tmp_path / builder.info.full_name
        folder.mkdir(parents=True)
        described = {
            "name": builder.name,
            "configName": builder.info.config_name or "",
            "version": str(builder.version),
            "fileFormat": "array_record",
            "splits": [{"name": each, "shardLengths": ["12"]} for each in splits],
        }
        (folder / "label.labels.txt").write_text("\n".join(labels))
        (folder / "dataset_info.json").write_text(json.dumps(described))
        return str(tmp_path)

    return mock


def test_cifar10(tfds, mocked):
    folder = mocked("cifar10", ["train", "test"], CIFAR)
    with tfds.testing.mock_data(num_examples=12, data_dir=folder):
        data = LabelledImages(0, "tfds:cifar10", folder)
        assert data.class_names == CIFAR and data.shape == (32, 32, 3)
        assert data.name.startswith("tfds:cifar10:3.")
        whole = [*data.stream(4, 0, 6).as_numpy_iterator()]
        for (x, y), (x_again, y_again) in zip(
            whole[4:], data.stream(4, 4, 6).as_numpy_iterator(), strict=True
        ):
            np.testing.assert_array_equal(x, x_again)
            np.testing.assert_array_equal(y, y_again)
        assert data.fingerprint() == LabelledImages(0, data.name, folder).fingerprint()


def test_celeb_a_has_no_labels(tfds, mocked):
    folder = mocked("celeb_a", ["train", "validation", "test"])
    with tfds.testing.mock_data(num_examples=3, data_dir=folder):
        found = labelled.find("tfds:celeb_a", folder, 0)
        assert (found.class_names, found.file_side, found.side) == ([], 178, 64)


def test_two_domains(tfds, mocked, capsys):
    folder = mocked("cycle_gan/horse2zebra", ["trainA", "trainB", "testA", "testB"])
    with tfds.testing.mock_data(num_examples=12, data_dir=folder):
        data = UnpairedImages(0, "tfds:cycle_gan/horse2zebra", folder, image_size=16)
        assert data.name.startswith("tfds:cycle_gan/horse2zebra:")
        assert "held out" not in capsys.readouterr().out
        whole = [*data.stream(2, 0, 8).as_numpy_iterator()]
        for (a, b), (a_again, b_again) in zip(
            whole[5:], data.stream(2, 5, 8).as_numpy_iterator(), strict=True
        ):
            np.testing.assert_array_equal(a, a_again)
            np.testing.assert_array_equal(b, b_again)
        (shown,) = data.held_out("B", "test", 1)
        assert shown.name == "testB_0000000.png" and shown.target is None
        expected = image_file.resize(data.splits["testB"].examples.read(0), 16, 16)
        np.testing.assert_array_equal(shown.x, image_file.to_unit(expected))


def test_domains_without_test_images(tfds, mocked, capsys):
    folder = mocked("cycle_gan/maps", ["trainA", "trainB"])
    with tfds.testing.mock_data(num_examples=12, data_dir=folder):
        name, splits = unpaired.find_splits("tfds:cycle_gan/maps", folder, 0)
    assert [len(splits[split]) for split in unpaired.SPLITS] == [11, 11, 1, 1]
    output = capsys.readouterr().out
    assert f"{name}: no testA, so 1 of 12 images of A are held out" in output


def test_photographs(tfds, mocked, capsys):
    folder = mocked("div2k", ["train", "validation"])
    with tfds.testing.mock_data(num_examples=12, data_dir=folder):
        data = HighResolutionImages(4, 4, 0, f"tfds:div2k,{super_resolution.EMBEDDED}", folder)
        assert [len(data.splits[split]) for split in ("train", "val")] == [212, 32]
        assert data.name.startswith("tfds:div2k/") and data.name.endswith(",embedded")
        assert "held out" not in capsys.readouterr().out
        whole = [*data.stream(2, 0, 4).as_numpy_iterator()]
        (again,) = data.stream(2, 3, 4).as_numpy_iterator()
        np.testing.assert_array_equal(whole[3][1], again[1])
        name, shown = next(data.originals("val", 1))
        assert name == "validation_0000000.png"
        assert shown.shape == data.splits["val"][0].read().shape


def test_photographs_without_validation_images(tfds, mocked, capsys):
    folder = mocked("cifar10", ["train"])
    with tfds.testing.mock_data(num_examples=12, data_dir=folder):
        _, splits = super_resolution.find_splits("tfds:cifar10", folder, 0)
    assert [len(splits[split]) for split in ("train", "val")] == [11, 1]
    assert "no validation split, so 1 of 12 images are held out" in capsys.readouterr().out
