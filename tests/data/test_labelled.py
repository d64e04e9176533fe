"""Labelled images: exact content of batches and test splits."""

from common.data.labelled import LabelledImages
from common.data.stream import sample_index
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise, truncate

import numpy as np
import pytest
from PIL import Image

RANDOM = np.random.default_rng(0)
X_TRAIN = RANDOM.integers(0, 256, (11, 6, 8, 3)).astype(np.uint8)
Y_TRAIN = np.array([4, 9, 9, 4, 4, 9, 7, 7, 7, 7, 4])
X_TEST = RANDOM.integers(0, 256, (5, 6, 8, 3)).astype(np.uint8)
Y_TEST = np.array([9, 4, 7, 7, 4])


@pytest.fixture
def square(tmp_path):
    """A file of square RGB images with labels 4, 7 and 9."""
    path = tmp_path / "square.npz"
    x_train, x_test = X_TRAIN[:, :, :6], X_TEST[:, :, :6]
    np.savez(path, x_train=x_train, y_train=Y_TRAIN, x_test=x_test, y_test=Y_TEST)
    return str(path)


@pytest.fixture
def oblong(tmp_path):
    """A file of images 6 high and 8 wide."""
    path = tmp_path / "oblong.npz"
    np.savez(path, x_train=X_TRAIN, y_train=Y_TRAIN, x_test=X_TEST, y_test=Y_TEST)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders of nine oblong images for two classes, and two to test; not to be changed."""
    top = tmp_path_factory.mktemp("images")
    for number in range(9):
        path = top / "train" / "ab"[number % 2] / f"{number}.png"
        image_file.write(path, noise(20 + number, 16, number))
    for number in (9, 10):
        image_file.write(top / "test" / "b" / f"{number}.png", noise(12, 18, number))
    return top


def training(data, batch_size=1, start=0, stop=12):
    """Training images (steps, batch_size, S, S, C) and labels (steps, batch_size)."""
    x, y = zip(*data.stream(batch_size, start, stop).as_numpy_iterator(), strict=True)
    x, y = np.stack(x), np.stack(y)
    assert x.dtype == np.float32 and y.dtype == np.int32
    assert x.shape[1:] == (batch_size, data.image_size, data.image_size, data.channels)
    return x, y


def fitted(image, side, mode="RGB"):
    """Pillow's centre crop and resize: uint8 (side, side, C)."""
    whole = Image.fromarray(image).convert(mode)
    short = min(whole.size)
    left, top = (whole.width - short) // 2, (whole.height - short) // 2
    cropped = whole.crop((left, top, left + short, top + short))
    resized = cropped.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(side, side, -1)


def test_a_batch_has_the_samples_of_its_numbers(square):
    data = LabelledImages(5, square)
    x, y = training(data, 3, stop=20)
    label = {4: 0, 7: 1, 9: 2}
    for number in range(60):
        index = sample_index(number, count=11, batch_size=3, seed=5)
        step, place = divmod(number, 3)
        np.testing.assert_array_equal(x[step, place], X_TRAIN[index, :, :6] / np.float32(127.5) - 1)
        assert y[step, place] == label[Y_TRAIN[index]]
    assert x.min() >= -1 and x.max() <= 1


@pytest.mark.parametrize("options", [{}, {"image_size": 8}, {"channels": 1}])
@pytest.mark.parametrize("start", [1, 4, 9])
def test_resume_sees_the_batches_of_the_uninterrupted_run(square, options, start):
    for whole, tail in zip(
        training(LabelledImages(5, square, **options), 3, stop=10),
        training(LabelledImages(5, square, **options), 3, start=start, stop=10),
        strict=True,
    ):
        np.testing.assert_array_equal(tail, whole[start:])


def test_resume_from_files_and_from_generated_digits(folder):
    few = {"dataset": "embedded", "embedded_count": 20}
    for options in ({"dataset": str(folder), "image_size": 12}, few, few | {"image_size": 14}):
        whole = training(LabelledImages(1, **options), 2, stop=8)
        tail = training(LabelledImages(1, **options), 2, start=5, stop=8)
        for a, b in zip(whole, tail, strict=True):
            np.testing.assert_array_equal(a[5:], b)


def test_the_seed_changes_the_order(square):
    orders = [training(LabelledImages(seed, square), stop=11)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


@pytest.mark.parametrize("side", [6, 4, 9])
@pytest.mark.parametrize("channels, mode", [(3, "RGB"), (1, "L")])
def test_arrays_are_cropped_resized_and_converted(oblong, side, channels, mode):
    data = LabelledImages(0, oblong, image_size=side, channels=channels)
    expected = {}
    for name, pixels in (("train", X_TRAIN), ("test", X_TEST)):
        expected[name] = {fitted(one, side, mode).tobytes() for one in pixels}
        x, _ = data.arrays(name)
        assert x.shape == (len(pixels), side, side, channels) and x.dtype == np.uint8
        assert {one.tobytes() for one in x} == expected[name]
    x, y = training(data, stop=22)
    assert {image_file.to_uint8(one).tobytes() for one in x[:11, 0]} == expected["train"]
    np.testing.assert_array_equal(np.bincount(y[:11, 0]), [4, 4, 3])


def test_an_array_has_its_own_size_and_channels_by_default(square, oblong, tmp_path):
    data = LabelledImages(0, square)
    sizes = {"image_size": 6, "channels": 3, "classes": 3}
    assert data.found == sizes | {"dataset": square, "class_names": ["4", "7", "9"]}
    assert data.description == f"{square} (11 images, 6x6, 3 channels, 3 classes)"
    assert LabelledImages(0, oblong).image_size == 6
    np.savez(tmp_path / "grayscale.npz", x_train=X_TRAIN[..., 0], x_test=X_TEST[..., 0])
    grayscale = LabelledImages(0, str(tmp_path / "grayscale.npz"))
    assert (grayscale.channels, grayscale.classes, grayscale.class_names) == (1, 0, [])
    assert grayscale.description.endswith("(11 images, 6x6, 1 channel, no labels)")
    assert not training(grayscale)[1].any() and not grayscale.arrays("test")[1].any()


def test_resolved_options_find_the_same_data_again(oblong):
    data = LabelledImages(0, oblong, image_size=9, channels=1)
    options = "dataset", "image_size", "channels", "class_names"
    found = {name: data.found[name] for name in options}
    again = LabelledImages(0, **found)
    assert again.found == data.found and again.fingerprint() == data.fingerprint()
    for a, b in zip(training(data, 2), training(again, 2), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(LabelledImages.model_arguments) == data.found.keys() - {"dataset", "class_names"}


def test_files_are_cropped_resized_and_labelled(folder):
    data = LabelledImages(0, str(folder), image_size=12)
    expected = {fitted(noise(20 + n, 16, n), 12).tobytes(): n % 2 for n in range(9)}
    x, y = training(data, stop=9)
    assert data.class_names == ["a", "b"] and data.training_count == 9
    seen = {image_file.to_uint8(a).tobytes(): b for a, b in zip(x[:, 0], y[:, 0], strict=True)}
    assert seen == expected
    x, y = data.arrays("test")
    expected = [fitted(noise(12, 18, n), 12).tobytes() for n in (9, 10)]
    assert {one.tobytes() for one in x} == {*expected}
    np.testing.assert_array_equal(y, [1, 1])


@pytest.mark.parametrize(
    "side, mode, size, channels",
    [(28, "L", 28, 1), (30, "RGB", 28, 3), (100, "P", 64, 3), (64, "LA", 64, 1), (5, "1", 8, 1)],
)
def test_files_have_their_usual_side_and_channels_by_default(tmp_path, side, mode, size, channels):
    for number in range(12):
        pixels = Image.fromarray(noise(side + number % 2, side, number)).convert(mode)
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        pixels.save(tmp_path / "ab"[number % 2] / f"{number}.png")
    truncate(tmp_path / "a" / "0.png")
    data = LabelledImages(0, str(tmp_path), skip_bad_images=True)
    assert (data.found["image_size"], data.found["channels"]) == (size, channels)
    about = "" if side == size else f" from about {side} px"
    word = "1 channel" if channels == 1 else "3 channels"
    assert data.description.endswith(f"images, {size}x{size}{about}, {word}, 2 classes)")
    assert data.arrays("train", 3)[0].shape == (3, size, size, channels)
    given = LabelledImages(0, str(tmp_path), image_size=20, channels=4 - channels)
    assert (given.image_size, given.channels) == (20, 4 - channels)


def test_files_can_be_converted_to_grayscale(folder):
    grayscale = LabelledImages(0, str(folder), image_size=10, channels=1)
    expected = {fitted(noise(20 + n, 16, n), 10, "L").tobytes() for n in range(9)}
    assert {one.tobytes() for one in grayscale.arrays("train")[0]} == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_arrays_have_a_fixed_shuffled_order(square, split):
    data = LabelledImages(3, square)
    x, y = data.arrays(split)
    count = len(x)
    original = {
        image.tobytes(): label
        for pixels, names in ((X_TRAIN, Y_TRAIN), (X_TEST, Y_TEST))
        for image, label in zip(pixels[:, :, :6], names, strict=True)
    }
    labels = [int(data.class_names[label]) for label in y]
    assert [original[image.tobytes()] for image in x] == labels
    assert len({image.tobytes() for image in x}) == count == {"train": 11, "test": 5}[split]
    assert y.dtype == np.int32 and y.tolist() != sorted(y.tolist())
    training(data)
    for options in ({}, {"image_size": 9}, {"channels": 1}):
        again = LabelledImages(3, square, **options)
        for some in (0, 1, 4, 99):
            first, names = again.arrays(split, some)
            assert len(first) == len(names) == min(some, count)
            np.testing.assert_array_equal(names, y[:some])
            np.testing.assert_array_equal(first, again.arrays(split)[0][:some])
    assert (LabelledImages(4, square).arrays(split)[0] != x).any()


def test_no_more_files_are_read_than_needed(folder, monkeypatch):
    reads = []
    read = image_file.read
    monkeypatch.setattr(image_file, "read", lambda path, *a: reads.append(path) or read(path, *a))
    x, _ = LabelledImages(0, str(folder), image_size=8).arrays("train", 4)
    assert len(x) == len(reads) == 4


@pytest.mark.parametrize("kind", ["files", "array"])
def test_the_cache_changes_nothing_and_keeps_to_its_size(folder, square, kind, monkeypatch):
    dataset, side = str(folder) if kind == "files" else square, 400  # 0.46 MiB an image
    made = []
    fit = LabelledImages._fitted
    monkeypatch.setattr(LabelledImages, "_fitted", lambda self, p: made.append(1) or fit(self, p))
    without = training(LabelledImages(0, dataset, image_size=side, cache_mb=0), 3, stop=9)
    assert len(made) == 27
    made.clear()
    small = LabelledImages(0, dataset, image_size=side, cache_mb=1)
    cached = training(small, 3, stop=9)
    assert len(small._cache) == 2
    assert len(made) < 27
    large = LabelledImages(0, dataset, image_size=side)
    kept = training(large, 3, stop=9)
    assert len(large._cache) == large.training_count
    for a, b, c in zip(without, cached, kept, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@pytest.fixture
def damaged(tmp_path):
    """Four training images of two classes and two test images, one truncated in each split."""
    for split, count in (("train", 4), ("test", 2)):
        for number in range(count):
            path = tmp_path / split / "ab"[number // 2] / f"{number}.png"
            image_file.write(path, noise(8, 8, number))
    image_file.write(tmp_path / "test" / "b" / "0.png", noise(8, 8, 9))
    truncate(tmp_path / "train" / "a" / "1.png")
    truncate(tmp_path / "test" / "a" / "0.png")
    return tmp_path


def test_a_bad_image_stops_the_stream_and_is_named(damaged):
    data = LabelledImages(0, str(damaged), image_size=8)
    with pytest.raises(Exception, match=r"train/a/1\.png"):
        training(data, stop=4)
    assert isinstance(data.error, UserError)
    assert "a/1.png" in str(data.error)
    with pytest.raises(UserError, match=r"test/a/0\.png.*--skip_bad_images"):
        data.arrays("test")


def test_bad_images_can_be_skipped_with_their_labels(damaged, capsys):
    data = LabelledImages(0, str(damaged), image_size=8, skip_bad_images=True)
    good = {noise(8, 8, n).tobytes(): n for n in range(4)}
    x, y = training(data, stop=12)
    seen = [good[image_file.to_uint8(one).tobytes()] for one in x[:, 0]]
    assert sorted(seen) == [0] * 3 + [2] * 6 + [3] * 3  # replaced by the next one
    np.testing.assert_array_equal(y[:, 0], [n // 2 for n in seen])
    for count in (2, None):
        x, y = data.arrays("test", count)
        shown = {one.tobytes(): label for one, label in zip(x, y, strict=True)}
        assert shown == {noise(8, 8, 1).tobytes(): 0, noise(8, 8, 9).tobytes(): 1}
    out = capsys.readouterr().out
    assert out.count("skipped /") == 2 and out.count("1.png") == out.count("0.png") == 1


def test_a_dataset_without_readable_images_is_an_error(damaged):
    for path in damaged.rglob("*.png"):
        truncate(path)
    data = LabelledImages(0, str(damaged), skip_bad_images=True)
    with pytest.raises(Exception, match="no training image can be read"):
        training(data, stop=1)
    assert str(damaged) in str(data.error)
    with pytest.raises(UserError, match=f"{damaged}: no test image can be read"):
        data.arrays("test")


@pytest.mark.parametrize("option, value", [("channels", 4), ("channels", 0), ("image_size", 0)])
def test_invalid_options_are_refused(square, option, value):
    with pytest.raises(UserError, match=f"--{option} {value}: give "):
        LabelledImages(0, square, **{option: value})


def test_embedded_digits():
    data = LabelledImages(2, "embedded", embedded_count=40)
    assert data.description == "embedded (40 images, 28x28, 1 channel, 10 classes)"
    x, y = training(data, 10, stop=4)
    shown = {image_file.to_uint8(one).tobytes() for one in x.reshape(40, 28, 28, 1)}
    held_out, _ = data.arrays("test")
    assert len(held_out) == 20
    assert len(shown) == 40 and not shown & {one.tobytes() for one in held_out}
    np.testing.assert_array_equal(np.bincount(y.ravel()), [4] * 10)
    options = {"image_size": 32, "channels": 3, "embedded_count": 40}
    large = LabelledImages(2, "embedded", **options).arrays("test")
    np.testing.assert_array_equal(large[1], data.arrays("test")[1])
    expected = [fitted(one[..., 0], 32, "RGB") for one in held_out]
    assert np.abs(np.stack(expected) - large[0].astype(int)).max() <= 1


def test_a_fingerprint_has_a_count_and_a_hash_for_each_split(square, oblong, folder):
    prints = [LabelledImages(0, path).fingerprint() for path in (square, oblong, str(folder))]
    assert prints[0]["train"].startswith("11 images, ")
    assert prints[2]["test"].startswith("2 images, ")
    for split in ("train", "test"):
        assert len({p[split] for p in prints}) == 3
    assert prints[0] == LabelledImages(9, square, image_size=4).fingerprint()  # of the source
