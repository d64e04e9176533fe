import json
from types import SimpleNamespace

from common.errors import UserError
from common.metrics import classifier, samples
from common.metrics import oracle as oracles
from common.metrics.frechet import frechet_distance, statistics
from common.metrics.kernel import kernel_distance
from common.metrics.neighbours import neighbour_scores
from common.metrics.samples import CLASS_METRICS, METRICS, Yardstick, format_table

import numpy as np
import pytest

CLASSES = 4
ALL = METRICS | CLASS_METRICS


class Dots:
    """4x4 pictures of noise with a bright pixel in the first row, whose place is the class."""

    name, image_size, channels, classes = "dots", 4, 1, CLASSES

    def __init__(self, train=300, test=200):
        self.counts = {"train": train, "test": test}
        self.asked = []

    def arrays(self, split, count=None):
        self.asked.append((split, count))
        y = np.arange(self.counts[split], dtype=np.int32) % CLASSES
        return dots(y, 0 if split == "train" else 1)[:count], y[:count]


def dots(labels, seed):
    x = np.random.default_rng(seed).integers(0, 100, (len(labels), 4, 4, 1), np.uint8)
    x[np.arange(len(labels)), 0, labels] = 200
    return x


class Judge:
    """An oracle that sees the bright pixel."""

    accuracy = 0.875

    def judge(self, x):
        return x[:, 1:3].reshape(len(x), 8).astype(np.float32), x[:, 0, :, 0].astype(np.float32)

    def features(self, x):
        return self.judge(x)[0]


@pytest.fixture(autouse=True)
def judge(monkeypatch):
    monkeypatch.setattr(oracles, "oracle", lambda data, cache_dir: Judge())


def labels(count=160):
    return np.arange(count, dtype=np.int32) % CLASSES


def test_every_number_is_that_of_its_function():
    data = Dots()
    asked = labels()
    generated = dots(asked, 2) // 2
    generated[:20, 0] = [[0], [0], [200], [0]]  # of another class than most were asked for
    row = Yardstick(data, 150).measure(generated, asked)
    real, y = data.arrays("test", 150)
    features, logits = Judge().judge(generated)
    predicted = logits.argmax(axis=1)
    accuracies = classifier.class_accuracies(predicted, asked, CLASSES)
    assert accuracies.min() < 0.9
    variances = [classifier.class_variances(*of, CLASSES) for of in ((generated, asked), (real, y))]
    reference = Judge().features(real)
    expected = {
        "fid": frechet_distance(*statistics(reference), *statistics(features)),
        "kernel_distance": kernel_distance(features, reference)[0],
        **neighbour_scores(reference, features),
        "inception_score": classifier.inception_score(oracles.probabilities(logits))[0],
        "smallest_class": np.bincount(predicted).min() / 160,
        "largest_class": np.bincount(predicted).max() / 160,
        "accuracy": np.mean(predicted == asked),
        "worst_class": accuracies.min(),
        "spread": np.mean(variances[0] / variances[1]),
        "least_spread": np.min(variances[0] / variances[1]),
    }
    assert row == pytest.approx(expected)
    assert list(row) == list(ALL)
    assert {type(value) for value in row.values()} == {float}


def test_without_labels_there_is_nothing_of_labels():
    row = Yardstick(Dots()).measure(dots(labels(), 2))
    assert list(row) == list(METRICS)


def test_directions_tell_good_samples_from_bad_ones():
    yardstick = Yardstick(Dots())
    asked = labels()
    good = yardstick.measure(dots(asked, 2), asked)
    bad = dots(asked, 2) // 4 + 120
    bad[:50] = bad[0]
    bad[40:60, 0] = [[0], [0], [200], [0]]
    row = yardstick.measure(bad, asked)
    for metric, direction in ALL.items():
        assert direction * good[metric] > direction * row[metric], metric


def test_a_class_that_never_comes_and_one_picture_a_class():
    asked = labels()
    yardstick = Yardstick(Dots())
    row = yardstick.measure(dots(np.minimum(asked, 2), 2), asked)
    assert row["smallest_class"] == 0 and row["largest_class"] == 0.5
    assert row["worst_class"] == 0 and row["accuracy"] == 0.75
    collapsed = yardstick.measure(dots(asked[:CLASSES], 2)[asked], asked)
    assert collapsed["accuracy"] == collapsed["worst_class"] == 1
    assert collapsed["spread"] == collapsed["least_spread"] == 0


def test_the_floor_is_as_many_real_pictures_of_the_other_split_and_is_computed_once():
    data = Dots()
    yardstick = Yardstick(data, 150)
    assert data.asked == [("test", 150)]
    table = yardstick.table(dots(labels(), 2), labels())
    yardstick.table(dots(labels(), 3), labels())
    assert data.asked == [("test", 150), ("train", 160)]
    floor = table["rows"]["real (floor)"]
    assert floor["count"] == table["rows"]["model"]["count"] == 160
    expected = Yardstick(data, 150).measure(*data.arrays("train", 160))
    assert {name: floor[name] for name in ALL} == pytest.approx(expected)
    assert floor["accuracy"] == 1 and floor["spread"] == pytest.approx(1, abs=0.1)
    assert min(floor["precision"], floor["coverage"]) > 0.8


def test_against_the_training_pictures_the_floor_is_of_the_test_pictures():
    data = Dots(train=60, test=40)
    table = Yardstick(data, 100, "train").table(dots(labels(80), 2))
    assert data.asked == [("train", 100), ("test", 80)]
    assert (table["split"], table["reference_count"]) == ("train", 60)
    assert table["rows"]["real (floor)"]["count"] == 40  # there are no more


def test_the_table_is_json_with_arrays_by_class():
    asked = labels() // 2  # classes 2 and 3 are never asked for
    table = Yardstick(Dots()).table(dots(asked, 2), asked)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["dataset"] == "dots" and table["oracle_accuracy"] == 0.875
    model, floor = (table["by_class"][row] for row in ("model", "real (floor)"))
    assert model["share"] == [0.5, 0.5, 0, 0] and model["accuracy"] == [1, 1, None, None]
    assert model["spread"][2:] == [None, None] and None not in floor["spread"]
    unlabelled = Yardstick(Dots()).table(dots(asked, 2))
    assert list(unlabelled["by_class"]["real (floor)"]) == ["share"]
    assert "accuracy" not in unlabelled["rows"]["real (floor)"]


def test_the_table_in_print():
    row = dict.fromkeys(ALL, 0.5) | {"count": 7, "kernel_distance": 0.0123}
    row["kernel_distance_std"] = 0.001
    floor = row | {"fid": 12.345, "spread": None}
    results = {
        "rows": {"model": row, "real (floor)": floor},
        **{"dataset": "dots", "split": "test", "reference_count": 99, "oracle_accuracy": 0.9876},
    }
    head, model, real, note = format_table(results).splitlines()
    assert head.split()[:3] == ["fid", "kernel", "precision"] and head.endswith("pictures")
    assert model.split() == [
        *("model", "0.50", "0.012", "±", "0.001", "0.500", "0.500", "0.500", "0.500", "0.50"),
        *("50.0%", "50.0%", "50.00%", "50.00%", "0.50", "0.50", "7"),
    ]
    assert "12.35" in real and real.split()[-3] == "-"
    assert len(head) == len(model) == len(real) < 150
    assert "99 test pictures of dots" in note and "98.76%" in note
    for name in ("accuracy", "worst_class", "spread", "least_spread"):
        del row[name]
    assert "accuracy" not in format_table(results).splitlines()[0]


def test_what_it_refuses():
    with pytest.raises(UserError, match="at least 4 pictures, here are 3"):
        Yardstick(Dots(test=3))
    yardstick = Yardstick(Dots())
    with pytest.raises(UserError, match="at least 4 pictures, here are 3"):
        yardstick.measure(dots(labels(3), 2))
    with pytest.raises(ValueError, match="one class each"):
        yardstick.measure(dots(labels(), 2), labels(8))


def test_it_asks_for_the_data_sets_oracle(monkeypatch):
    asked = []

    def oracle(data, cache_dir):
        asked.append((data.name, cache_dir))
        raise UserError("no labels")

    monkeypatch.setattr(samples, "oracles", SimpleNamespace(oracle=oracle))
    with pytest.raises(UserError, match="no labels"):
        Yardstick(Dots(), cache_dir="here")
    assert asked == [("dots", "here")]
