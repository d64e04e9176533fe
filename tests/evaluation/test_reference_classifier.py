import random
from types import SimpleNamespace

from common.errors import UserError
from common.evaluation import classifier_training as training
from common.evaluation import reference_classifier as module
from common.evaluation.reference_classifier import (
    ReferenceClassifier,
    probabilities,
    trained_classifier,
)

import keras
import numpy as np
import pytest
import tensorflow as tf


class Stripes:
    """Three classes of 16x16 images: horizontal stripes, vertical stripes and noise."""

    name, image_size, channels, classes = "stripes", 16, 1, 3

    def __init__(self, seed=0, **changes):
        self.seed = seed
        self.__dict__.update(changes)

    def arrays(self, split, count=None):
        rng = np.random.default_rng([self.seed, split == "test"])
        y = np.arange(200, dtype=np.int32) % 3
        x = rng.integers(0, 256, (200, 16, 16, 1), np.uint8)
        lines = np.repeat(rng.integers(0, 256, (200, 16, 1, 1), np.uint8), 16, axis=2)
        x[y == 0] = lines[y == 0]
        x[y == 1] = lines.swapaxes(1, 2)[y == 1]
        return x[:count], y[:count]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Training takes seconds."""
    monkeypatch.setattr(training, "STEPS", 40)
    monkeypatch.setattr(training, "BATCH", 32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The classifier of `Stripes()`, its folder, and random numbers drawn after its training.

    It was trained under another dtype policy.
    """
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS", 40)
        patch.setattr(training, "BATCH", 32)
        seed()
        keras.config.set_dtype_policy("mixed_float16")
        trained = trained_classifier(Stripes(), folder)
        drawn = draws()
        keras.config.set_dtype_policy("float32")
    return SimpleNamespace(folder=folder, trained=trained, drawn=drawn)


def seed():
    """Sets all random states. Keras 3.8 keeps its own unless the session is cleared."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(5)


def draws():
    """One number from each random state that training may use."""
    keras_number = float(keras.random.uniform(()))
    return random.random(), np.random.rand(), keras_number, float(tf.random.uniform(()))  # noqa: NPY002


def no_training(*_):
    raise AssertionError("trained again")


def test_it_learns_the_classes_and_is_cached(cache, monkeypatch, capsys):
    monkeypatch.setattr(training, "train_network", no_training)
    cached = trained_classifier(Stripes(), cache.folder)
    assert capsys.readouterr().out == ""
    assert cached.accuracy == cache.trained.accuracy > 0.9
    assert cached.seconds == cache.trained.seconds > 0
    x, y = Stripes().arrays("test")
    assert np.mean(cached.logits(x).argmax(axis=1) == y) == pytest.approx(cached.accuracy)
    np.testing.assert_array_equal(cached.features(x), cache.trained.features(x))


def test_training_changes_no_random_state(cache):
    seed()
    assert cache.drawn == draws()


def test_it_is_float32_under_any_dtype_policy(cache):
    assert {w.dtype for w in cache.trained.network.weights} == {"float32"}
    assert {layer.compute_dtype for layer in cache.trained.network.layers[1:]} == {"float32"}


def test_a_damaged_file_is_replaced_by_the_same_weights(cache, tmp_path, capsys):
    (file,) = cache.folder.iterdir()
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes()[:-3000])
    again = trained_classifier(Stripes(), tmp_path)
    out = capsys.readouterr().out
    assert f"{copy} is damaged" in out and "training on stripes" in out
    assert f"cached in {copy}" in out and f"{again.accuracy:.2%} on 200 test images" in out
    assert list(tmp_path.iterdir()) == [copy]
    for one, other in zip(again.network.weights, cache.trained.network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", ["text", "shapes", "names"])
def test_damaged_files_are_detected(cache, tmp_path, content, capsys):
    path = tmp_path / "reference_classifier.npz"
    weights = {f"{n:02d}": w for n, w in enumerate(cache.trained.network.get_weights())}
    if content == "text":
        path.write_text("not an archive")
    elif content == "shapes":
        np.savez(path, accuracy=1, seconds=1, **weights | {"00": np.zeros((5, 5))})
    else:
        np.savez(path, accuracy=1, **weights)
    fresh = ReferenceClassifier(training.build_network(16, 1, 3))
    before = fresh.network.get_weights()
    assert not module._load(path, fresh)
    assert "damaged" in capsys.readouterr().out
    for one, other in zip(fresh.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def file_name(data):
    """Name of the cache file of a dataset."""
    splits = (module._digests(*data.arrays(split)) for split in ("train", "test"))
    return f"reference_classifier_{module._hash(data, True, *splits)}.npz"


class ChangedStripes(Stripes):
    """Stripes with arrays changed by a function of (split, x, y)."""

    def arrays(self, split, count=None):
        return self.change(split, *super().arrays(split, count))


def test_other_images_labels_or_recipes_have_another_file(cache, monkeypatch):
    base = file_name(Stripes())
    assert [file.name for file in cache.folder.iterdir()] == [base]
    changes = [
        lambda split, x, y: (x[1:], y[1:]) if split == "train" else (x, y),
        lambda split, x, y: (x[1:], y[1:]) if split == "test" else (x, y),
        lambda split, x, y: (x ^ (np.arange(16) == 3)[:, None].astype(np.uint8), y),
        lambda split, x, y: (x, y[::-1]),
    ]
    others = [file_name(ChangedStripes(change=change)) for change in changes]
    others.append(file_name(Stripes(classes=4)))
    for name, value in (("STEPS", 41), ("SHIFT", 0.1), ("WIDTHS", (32, 65)), ("VERSION", 99)):
        with monkeypatch.context() as patch:
            patch.setattr(training, name, value)
            others.append(file_name(Stripes()))
    assert len({base, *others}) == 1 + len(others)


def test_the_order_of_the_images_does_not_matter(monkeypatch, tmp_path):
    taken = []

    def train(network, x, y, order, measure):
        taken.append((x[order], y[order]))

    monkeypatch.setattr(training, "train_network", train)
    backwards = ChangedStripes(change=lambda _, x, y: (x[::-1], y[::-1].astype(np.int64)))
    assert file_name(Stripes()) == file_name(backwards)
    trained_classifier(Stripes(), tmp_path / "a")
    trained_classifier(backwards, tmp_path / "b")
    np.testing.assert_equal(*taken)
    x, y = Stripes().arrays("train")
    for one, other in zip(taken[0], (x, y), strict=True):
        assert sorted(item.tobytes() for item in one) == sorted(item.tobytes() for item in other)


def test_the_default_folder_is_in_the_keras_cache(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(training, "train_network", lambda *_: None)
    trained_classifier(Stripes())
    assert [file.name for file in tmp_path.glob("models/*")] == [
        file.name for file in cache.folder.iterdir()
    ]


def test_a_cache_that_cannot_be_written_is_not_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "train_network", lambda *_: None)
    (tmp_path / "file").write_text("")
    assert trained_classifier(Stripes(), tmp_path / "file" / "models").accuracy <= 1
    assert "not cached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 0}, "--dataset stripes: its images have no labels"),
        ({"classes": 1}, "--dataset stripes: its images have one class"),
        ({"image_size": 15}, "--image_size 15: the metrics need images of at least 16 px"),
    ],
)
def test_unsuitable_data_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        trained_classifier(Stripes(**changes))
    assert message in module.unavailable_reason(Stripes(**changes))


def test_two_classes_are_enough():
    assert module.unavailable_reason(Stripes(classes=2)) == ""


def test_the_number_of_large_images_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train_network", lambda *_: None)
    monkeypatch.setattr(module, "MEMORY", 10 * 16 * 16)
    requests = []

    class Data(Stripes):
        def arrays(self, split, count=None):
            requests.append((split, count))
            return super().arrays(split, count)

    trained_classifier(Data(), tmp_path)
    assert requests == [("train", 10), ("test", 10)]


def test_logits_are_computed_from_the_features_in_order(cache):
    x, _ = Stripes().arrays("test")
    assert len(x) % module.CHUNK
    features, logits = cache.trained.features_and_logits(x)
    assert features.shape == (200, 128) and features.dtype == logits.dtype == np.float32
    assert features.min() == 0 and features.std(axis=0).max() > 0.1
    kernel, bias = cache.trained.network.layers[-1].get_weights()
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-3, atol=1e-4)
    last = cache.trained.features_and_logits(x[-1:])
    np.testing.assert_allclose(features[-1:], last[0], rtol=1e-3, atol=1e-4)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities(logits), expected, rtol=1e-3)
    assert probabilities(np.float32([[1000, 0]])).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    "x",
    [np.zeros((2, 16, 16, 1)), np.zeros((2, 16, 16, 3), "uint8"), np.zeros((16, 16, 1), "uint8")],
)
def test_images_of_another_type_or_shape_are_refused(cache, x):
    with pytest.raises(ValueError, match=r"uint8 \(N, 16, 16, 1\) is needed"):
        cache.trained.features(x)


@pytest.mark.parametrize(
    ("size", "channels", "flat"),
    [
        (16, 1, 4 * 4),
        (20, 3, 5 * 5),
        (28, 1, 7 * 7),
        (31, 1, 7 * 7),
        (64, 3, 4 * 4),
        (96, 1, 6 * 6),
    ],
)
def test_any_size_and_number_of_channels(size, channels, flat):
    network = training.build_network(size, channels, 5)
    assert network.output_shape == [(None, 128), (None, 5)]
    widths = {2: [], 4: [16, 16]}[int(np.log2(size / 4))] + [32, 64]
    convolutions = sum(9 * a * b + b for a, b in zip([channels, *widths], widths, strict=False))
    dense = (64 * flat + 1) * 128 + 129 * 5
    assert network.count_params() == convolutions + dense


def test_images_are_shifted_independently_and_borders_replicated():
    x = np.zeros((300, 28, 28, 1), np.uint8)
    x[:, 9, 11] = 255
    x[:, :, 27] = 7
    shifted = training._randomly_shifted(x, np.random.default_rng(0))
    assert shifted.shape == x.shape and shifted.dtype == np.uint8
    _, rows, columns, _ = np.nonzero(shifted == 255)
    assert set(zip(rows - 9, columns - 11, strict=True)) == {
        (row, column) for row in range(-2, 3) for column in range(-2, 3)
    }
    for image, row, column in zip(shifted[..., 0], rows - 9, columns - 11, strict=True):
        expected = np.roll(x[0, ..., 0], (row, column), (0, 1))
        if column > 0:
            expected[:, :column] = 0
        else:
            expected[:, 27 + column :] = 7
        np.testing.assert_array_equal(image, expected)


# How long it is trained.


def test_the_recipe_of_published_numbers_stays_the_same(monkeypatch):
    """The file names of NO_EARLY_STOP are hashes of it."""
    monkeypatch.undo()
    steps = (1, 3000, 128, 2e-3, 1 / 14, 0)
    assert training.recipe(early_stop=False) == (steps, ((32, 64), 16, (0.25, 0.5), 128))
    assert training.recipe(early_stop=True) != training.recipe(early_stop=False)


def test_datasets_with_published_numbers_do_not_stop_early(monkeypatch, tmp_path):
    looks = []

    def train_network(network, x, y, order, measure):
        looks.append(measure)
        return 1

    monkeypatch.setattr(training, "train_network", train_network)
    data = Stripes()
    digests = [module._digests(*data.arrays(split)) for split in ("train", "test")]
    full, early = (module._hash(data, stop, *digests) for stop in (False, True))
    trained_classifier(data, tmp_path)
    assert looks.pop()() == pytest.approx(1 / 3, abs=0.34) and full != early
    monkeypatch.setitem(module.NO_EARLY_STOP, full, "stripes")
    trained_classifier(data, tmp_path)
    assert looks == [None]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"reference_classifier_{name}.npz" for name in (full, early)}


class Rates(training._Rate):
    """Notes every learning rate that is used."""

    made = ()

    def __init__(self):
        super().__init__()
        Rates.made += (self,)


@pytest.mark.parametrize(
    ("accuracies", "steps"),
    [
        ([0.5] * 9, 8),  # 2 looks without a higher one, and 2 steps of decay
        ([0.1, 0.2, 0.2, 0.3, 0.3, 0.2, 0.3, 0.9], 14),
        ([n / 100 for n in range(20)], 20),
    ],
)
def test_it_stops_when_the_accuracy_stands_still(monkeypatch, capsys, accuracies, steps):
    for name, value in {"STEPS": 20, "BATCH": 8, "CHECK": 2, "DECAY": 2}.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(training, "PATIENCE", 4)
    monkeypatch.setattr(training, "TIMED", 3)
    monkeypatch.setattr(training, "_Rate", Rates)
    looks = iter(accuracies)
    x, y = Stripes().arrays("train")
    network = training.build_network(16, 1, 3)
    order = np.arange(40)
    assert training.train_network(network, x[:40], y[:40], order, lambda: next(looks)) == steps
    assert "min at most" in capsys.readouterr().out
    rate = Rates.made[-1]
    last, full = (float(rate(step)) for step in (steps - 1, steps - 2))
    assert float(rate.cosine(steps - 2)) == pytest.approx(full)
    halved = 0.5 if steps < 20 else 1
    assert last == pytest.approx(halved * float(rate.cosine(steps - 1)))
