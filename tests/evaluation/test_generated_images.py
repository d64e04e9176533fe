import json
from types import SimpleNamespace

from common.errors import UserError
from common.evaluation import generated_images, reference_classifier
from common.evaluation.generated_images import CLASS_METRICS, METRICS, ReferenceSet, format_table
from common.metrics import classifier_scores
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance
from common.metrics.kernel_distance import kernel_distance
from common.metrics.precision_recall import neighbour_scores

import numpy as np
import pytest

CLASSES = 4
ALL = METRICS | CLASS_METRICS


class Dots:
    """4x4 noise images with a bright pixel in the first row, whose column is the class."""

    name, image_size, channels, classes = "dots", 4, 1, CLASSES

    def __init__(self, train=300, test=200):
        self.counts = {"train": train, "test": test}
        self.requests = []

    def arrays(self, split, count=None):
        self.requests.append((split, count))
        y = np.arange(self.counts[split], dtype=np.int32) % CLASSES
        return dots(y, 0 if split == "train" else 1)[:count], y[:count]


def dots(labels, seed):
    x = np.random.default_rng(seed).integers(0, 100, (len(labels), 4, 4, 1), np.uint8)
    x[np.arange(len(labels)), 0, labels] = 200
    return x


class BrightPixelClassifier:
    """A reference classifier that predicts the class from the bright pixel."""

    accuracy = 0.875

    def features_and_logits(self, x):
        return x[:, 1:3].reshape(len(x), 8).astype(np.float32), x[:, 0, :, 0].astype(np.float32)

    def features(self, x):
        return self.features_and_logits(x)[0]


@pytest.fixture(autouse=True)
def classifier(monkeypatch):
    monkeypatch.setattr(
        reference_classifier, "trained_classifier", lambda data, cache_dir: BrightPixelClassifier()
    )


def labels(count=160):
    return np.arange(count, dtype=np.int32) % CLASSES


def test_all_metrics_equal_their_functions():
    data = Dots()
    requested = labels()
    generated = dots(requested, 2) // 2
    generated[:20, 0] = [[0], [0], [200], [0]]  # not the requested class for most
    row = ReferenceSet(data, 150).measure(generated, requested)
    real, y = data.arrays("test", 150)
    features, logits = BrightPixelClassifier().features_and_logits(generated)
    predicted = logits.argmax(axis=1)
    accuracies = classifier_scores.class_accuracies(predicted, requested, CLASSES)
    assert accuracies.min() < 0.9
    variances = [
        classifier_scores.class_variances(*of, CLASSES)
        for of in ((generated, requested), (real, y))
    ]
    reference = BrightPixelClassifier().features(real)
    expected = {
        "fid": frechet_distance(*mean_and_covariance(reference), *mean_and_covariance(features)),
        "kernel_distance": kernel_distance(features, reference)[0],
        **neighbour_scores(reference, features),
        "inception_score": classifier_scores.inception_score(
            reference_classifier.probabilities(logits)
        )[0],
        "smallest_class": np.bincount(predicted).min() / 160,
        "largest_class": np.bincount(predicted).max() / 160,
        "accuracy": np.mean(predicted == requested),
        "worst_class": accuracies.min(),
        "spread": np.mean(variances[0] / variances[1]),
        "least_spread": np.min(variances[0] / variances[1]),
    }
    assert row == pytest.approx(expected)
    assert list(row) == list(ALL)
    assert {type(value) for value in row.values()} == {float}


def test_without_labels_there_are_no_class_metrics():
    row = ReferenceSet(Dots()).measure(dots(labels(), 2))
    assert list(row) == list(METRICS)


def test_every_metric_ranks_good_samples_above_bad_ones():
    reference_set = ReferenceSet(Dots())
    requested = labels()
    good = reference_set.measure(dots(requested, 2), requested)
    bad = dots(requested, 2) // 4 + 120
    bad[:50] = bad[0]
    bad[40:60, 0] = [[0], [0], [200], [0]]
    row = reference_set.measure(bad, requested)
    for metric, direction in ALL.items():
        assert direction * good[metric] > direction * row[metric], metric


def test_a_missing_class_and_mode_collapse_within_classes():
    requested = labels()
    reference_set = ReferenceSet(Dots())
    row = reference_set.measure(dots(np.minimum(requested, 2), 2), requested)
    assert row["smallest_class"] == 0 and row["largest_class"] == 0.5
    assert row["worst_class"] == 0 and row["accuracy"] == 0.75
    collapsed = reference_set.measure(dots(requested[:CLASSES], 2)[requested], requested)
    assert collapsed["accuracy"] == collapsed["worst_class"] == 1
    assert collapsed["spread"] == collapsed["least_spread"] == 0


def test_the_floor_uses_as_many_images_of_the_other_split_and_is_computed_once():
    data = Dots()
    reference_set = ReferenceSet(data, 150)
    assert data.requests == [("test", 150)]
    table = reference_set.table(dots(labels(), 2), labels())
    reference_set.table(dots(labels(), 3), labels())
    assert data.requests == [("test", 150), ("train", 160)]
    floor = table["rows"]["real (floor)"]
    assert floor["count"] == table["rows"]["model"]["count"] == 160
    expected = ReferenceSet(data, 150).measure(*data.arrays("train", 160))
    assert {name: floor[name] for name in ALL} == pytest.approx(expected)
    assert floor["accuracy"] == 1 and floor["spread"] == pytest.approx(1, abs=0.1)
    assert min(floor["precision"], floor["coverage"]) > 0.8


def test_the_floor_of_training_images_is_from_test_images():
    data = Dots(train=60, test=40)
    table = ReferenceSet(data, 100, "train").table(dots(labels(80), 2))
    assert data.requests == [("train", 100), ("test", 80)]
    assert (table["split"], table["reference_count"]) == ("train", 60)
    assert table["rows"]["real (floor)"]["count"] == 40  # all that exist


def test_the_results_are_json_with_lists_by_class():
    requested = labels() // 2  # classes 2 and 3 are not requested
    table = ReferenceSet(Dots()).table(dots(requested, 2), requested)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["dataset"] == "dots" and table["classifier_accuracy"] == 0.875
    model, floor = (table["by_class"][row] for row in ("model", "real (floor)"))
    assert model["share"] == [0.5, 0.5, 0, 0] and model["accuracy"] == [1, 1, None, None]
    assert model["spread"][2:] == [None, None] and None not in floor["spread"]
    unlabelled = ReferenceSet(Dots()).table(dots(requested, 2))
    assert list(unlabelled["by_class"]["real (floor)"]) == ["share"]
    assert "accuracy" not in unlabelled["rows"]["real (floor)"]


def test_formatted_table():
    row = dict.fromkeys(ALL, 0.5) | {"count": 7, "kernel_distance": 0.0123}
    row["kernel_distance_std"] = 0.001
    floor = row | {"fid": 12.345, "spread": None}
    results = {
        "rows": {"model": row, "real (floor)": floor},
        **{
            "dataset": "dots",
            "split": "test",
            "reference_count": 99,
            "classifier_accuracy": 0.9876,
        },
    }
    head, model, real, note = format_table(results).splitlines()
    assert head.split()[:3] == ["fid", "↓", "kernel"] and head.endswith("images")
    assert model.split() == [
        *("model", "0.50", "0.012", "±", "0.001", "0.500", "0.500", "0.500", "0.500", "0.50"),
        *("50.0%", "50.0%", "50.00%", "50.00%", "0.50", "0.50", "7"),
    ]
    assert "12.35" in real and real.split()[-3] == "-"
    assert len(head) == len(model) == len(real) < 170
    assert "99 test images of dots" in note and "98.76%" in note
    for name in ("accuracy", "worst_class", "spread", "least_spread"):
        del row[name]
    assert "accuracy" not in format_table(results).splitlines()[0]


def test_invalid_samples_are_refused():
    with pytest.raises(UserError, match="at least 4 images, not 3"):
        ReferenceSet(Dots(test=3))
    reference_set = ReferenceSet(Dots())
    with pytest.raises(UserError, match="at least 4 images, not 3"):
        reference_set.measure(dots(labels(3), 2))
    with pytest.raises(ValueError, match="one class per image"):
        reference_set.measure(dots(labels(), 2), labels(8))


def test_the_classifier_is_that_of_the_dataset(monkeypatch):
    requests = []

    def trained_classifier(data, cache_dir):
        requests.append((data.name, cache_dir))
        raise UserError("no labels")

    monkeypatch.setattr(
        generated_images,
        "reference_classifier",
        SimpleNamespace(trained_classifier=trained_classifier),
    )
    with pytest.raises(UserError, match="no labels"):
        ReferenceSet(Dots(), cache_dir="here")
    assert requests == [("dots", "here")]
