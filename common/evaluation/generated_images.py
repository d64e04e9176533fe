"""What a generator's samples are worth, beside real images: one table.

Everything is measured with the data set's reference classifier against images that were held out. The floor is
what real images of the other split score, as many as there are samples: the best that can be had.
"""

from collections.abc import Iterable

from common.evaluation import reference_classifier
from common.evaluation.formatting import text_table
from common.evaluation.inception import keras_inception_fid
from common.images.image_file import to_unit
from common.io import records
from common.metrics import classifier_scores, precision_recall
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance
from common.metrics.kernel_distance import kernel_distance

import numpy as np

COUNT = 10_000

# What `ReferenceSet.measure` gives, and whether more (+1) or less (-1) of it is better.
METRICS = {
    "fid": -1,
    "kernel_distance": -1,
    "precision": +1,
    "recall": +1,
    "density": +1,
    "coverage": +1,
    "inception_score": +1,
    "smallest_class": +1,
    "largest_class": -1,
}
# The same of models that are asked for a class.
CLASS_METRICS = {"accuracy": +1, "worst_class": +1, "spread": +1, "least_spread": +1}

MODEL, FLOOR = "model", "real (floor)"

# The table's columns: their heads, and how a number and its deviation are written.
COLUMNS = {
    "fid": ("fid", "{:.2f}"),
    "kernel_distance": ("kernel", "{:.3f} ± {:.3f}"),
    "precision": ("precision", "{:.3f}"),
    "recall": ("recall", "{:.3f}"),
    "density": ("density", "{:.3f}"),
    "coverage": ("coverage", "{:.3f}"),
    "inception_score": ("inception", "{:.2f}"),
    "smallest_class": ("smallest", "{:.1%}"),
    "largest_class": ("largest", "{:.1%}"),
    "accuracy": ("accuracy", "{:.2%}"),
    "worst_class": ("worst", "{:.2%}"),
    "spread": ("spread", "{:.2f}"),
    "least_spread": ("least", "{:.2f}"),
    "count": ("images", "{}"),
}


class ReferenceSet:
    """Measures samples against real images of one data set, as often as is wanted.

    What does not depend on the samples is computed once: the reference classifier (which may have to be trained),
    the reference's features here, the floor when it is first asked for.

    Args:
        data: labelled images, as `reference_classifier.Labelled`.
        count: real images to compare with; fewer if the split has fewer.
        split: "test" or "train", where they are from; the floor's are from the other one.
        cache_dir: of the reference classifier; default in the Keras cache.

    Attributes:
        reference classifier: the data set's.
        count: real images that are compared with.

    Raises:
        UserError: the data have no labels, or too few images.
    """

    def __init__(
        self, data: reference_classifier.Labelled, count: int = COUNT, split="test", cache_dir=None
    ):
        self.classifier = reference_classifier.trained_classifier(data, cache_dir)
        self.data, self.split = data, split
        x, y = data.arrays(split, count)
        self.count = len(x)
        self._features = self.classifier.features(x)
        self._statistics = mean_and_covariance(self._features)
        self._radii2 = precision_recall.squared_radii(self._features)
        self._variances = classifier_scores.class_variances(x, y, data.classes)
        self._floors: dict[int, tuple[dict, dict]] = {}

    def measure(self, images: np.ndarray, labels: np.ndarray | None = None) -> dict[str, float]:
        """The numbers of METRICS for samples, and with labels those of CLASS_METRICS.

        `fid` is the Frechet distance and `kernel_distance` the mean of the MMD^2 over subsets, both
        on the reference classifier's features. `smallest_class` and `largest_class` are shares of the samples,
        by the reference classifier's verdict. With labels there are also `accuracy`, the share that shows the
        class asked for, `worst_class`, the least such share of one class, and `spread` and
        `least_spread`, mean and minimum over classes of the variance within an asked class,
        relative to that of real images.

        Args:
            images: uint8 (N, S, S, C), N at least 4.
            labels: int (N,), the classes that were asked for; None if none were.

        Raises:
            UserError: there are too few samples.
            ValueError: the images are not of the data set's shape, or not one has one label.
        """
        row, _ = self._row(images, labels)
        return {name: row[name] for name in METRICS | CLASS_METRICS if name in row}

    def table(self, images: np.ndarray, labels: np.ndarray | None = None) -> dict:
        """The numbers of `measure` for samples and for the floor, to be written as JSON.

        Args, raises: as `measure`.

        Returns:
            {"dataset", "split", "reference_count", "classifier_accuracy",
            "rows": {"model": {...}, "real (floor)": {...}},
            "by_class": {"model": {...}, "real (floor)": {...}}}. A row has the numbers of
            `measure`, `kernel_distance_std`, the deviation over subsets, and `count`, its images.
            By class there are lists of `share`, and with labels `accuracy` and `spread`. A number
            that is not defined is None.
        """
        rows = {MODEL: self._row(images, labels), FLOOR: self._floor(len(images))}
        content = {
            "dataset": self.data.name,
            "split": self.split,
            "reference_count": self.count,
            "classifier_accuracy": self.classifier.accuracy,
            # What the model was not asked for is left out of the floor, too.
            "rows": {name: {k: row[k] for k in rows[MODEL][0]} for name, (row, _) in rows.items()},
            "by_class": {
                name: {k: by_class[k].tolist() for k in rows[MODEL][1]}
                for name, (_, by_class) in rows.items()
            },
        }
        return records.finite(content)

    def _floor(self, count):
        if count not in self._floors:
            other = "train" if self.split == "test" else "test"
            self._floors[count] = self._row(*self.data.arrays(other, count))
        return self._floors[count]

    def _row(self, images, labels):
        """Numbers by name, and arrays by class by name."""
        features, logits = self.classifier.judge(images)
        probabilities, predicted = reference_classifier.probabilities(logits), logits.argmax(axis=1)
        distance, deviation = kernel_distance(features, self._features)
        near = precision_recall.neighbour_scores(
            self._features, features, real_squared_radii=self._radii2
        )
        shares = classifier_scores.class_shares(predicted, self.data.classes)
        row = {
            "fid": frechet_distance(*self._statistics, *mean_and_covariance(features)),
            "kernel_distance": distance,
            "kernel_distance_std": deviation,
            **near,
            "inception_score": classifier_scores.inception_score(probabilities)[0],
            "smallest_class": float(shares.min()),
            "largest_class": float(shares.max()),
            "count": len(images),
        }
        by_class = {"share": shares}
        if labels is not None:
            accuracies = classifier_scores.class_accuracies(predicted, labels, self.data.classes)
            variances = classifier_scores.class_variances(images, labels, self.data.classes)
            spreads = classifier_scores.variance_ratios(variances, self._variances)
            by_class |= {"accuracy": accuracies, "spread": spreads}
            row["accuracy"] = float(np.mean(predicted == labels))
            row["worst_class"] = classifier_scores.mean_and_min(accuracies)[1]
            row["spread"], row["least_spread"] = classifier_scores.mean_and_min(spreads)
        return row, by_class


def compare(
    drawn: Iterable[np.ndarray],
    labels: np.ndarray | None,
    data: reference_classifier.Labelled,
    split: str,
    count: int,
) -> tuple[dict, list[list[str]] | None, str]:
    """Measures samples beside real images, and prints the results.

    Args:
        drawn: the samples in batches, uint8 (B, S, S, C) each; walked once.
        labels: int (N,), the classes that were asked for; None if none were.
        data: the real images. Where they can have no reference classifier (`reference_classifier.obstacle`), there is
            Keras-Inception FID alone, as `keras_inception_fid` gives it.
        split: of the real images, "test" or "train".
        count: real images to compare with; fewer if the split has fewer.

    Returns:
        The results by name, to be written as JSON; a `table` of them, or None without a reference classifier;
        and a line that says what they are against, or why there is no table.

    Raises:
        UserError: there are too few samples or real images.
    """
    if reason := reference_classifier.obstacle(data):
        said = f"fid, precision and so on: left out; {reason}"
        print(said)
        fid = keras_inception_fid(
            map(to_unit, data.arrays(split, count)[0]),
            (to_unit(one) for batch in drawn for one in batch),
            data.channels,
        )
        return {"keras_inception_fid": fid}, None, said
    results = ReferenceSet(data, count, split).table(np.concatenate(list(drawn)), labels)
    print(format_table(results))
    return {"results": results}, table(results), reference(results)


def table(results: dict) -> list[list[str]]:
    """The results of `ReferenceSet.table`: a head, the model's row, the floor's."""
    rows = results["rows"]
    columns = [name for name in COLUMNS if name in rows[MODEL]]
    cells = [["", *(COLUMNS[name][0] for name in columns)]]
    return cells + [
        [name, *(_written(row, column) for column in columns)] for name, row in rows.items()
    ]


def reference(results: dict) -> str:
    """What the results of `ReferenceSet.table` are against, in a line."""
    return (
        f"against {results['reference_count']} {results['split']} images of "
        f"{results['dataset']}, by features and verdicts of a reference classifier "
        f"(test accuracy {results['classifier_accuracy']:.2%}); precision to coverage with k = 3"
    )


def format_table(results: dict) -> str:
    """`table` as aligned lines, and under it `reference`."""
    return f"{text_table(table(results))}\n{reference(results)}"


def _written(row, column):
    value = row[column]
    if value is None:
        return "-"
    return COLUMNS[column][1].format(value, row.get(f"{column}_std"))
