"""What a generator's samples are worth, beside real pictures: one table.

Everything is measured with the data set's oracle against pictures that were held out. The floor is
what real pictures of the other split score, as many as there are samples: the best that can be had.
"""

from collections.abc import Iterable

from common import files
from common.data.pictures import to_unit
from common.metrics import classifier, neighbours
from common.metrics import oracle as oracles
from common.metrics.frechet import frechet_distance, keras_inception_fid, statistics
from common.metrics.kernel import kernel_distance
from common.metrics.tables import aligned

import numpy as np

COUNT = 10_000

# What `Yardstick.measure` gives, and whether more (+1) or less (-1) of it is better.
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
    "count": ("pictures", "{}"),
}


class Yardstick:
    """Measures samples against real pictures of one data set, as often as is wanted.

    What does not depend on the samples is computed once: the oracle (which may have to be trained),
    the reference's features here, the floor when it is first asked for.

    Args:
        data: labelled pictures, as `oracle.Labelled`.
        count: real pictures to compare with; fewer if the split has fewer.
        split: "test" or "train", where they are from; the floor's are from the other one.
        cache_dir: of the oracle; default in the Keras cache.

    Attributes:
        oracle: the data set's.
        count: real pictures that are compared with.

    Raises:
        UserError: the data have no labels, or too few pictures.
    """

    def __init__(self, data: oracles.Labelled, count: int = COUNT, split="test", cache_dir=None):
        self.oracle = oracles.oracle(data, cache_dir)
        self.data, self.split = data, split
        x, y = data.arrays(split, count)
        self.count = len(x)
        self._features = self.oracle.features(x)
        self._statistics = statistics(self._features)
        self._radii2 = neighbours.radii2(self._features)
        self._variances = classifier.class_variances(x, y, data.classes)
        self._floors: dict[int, tuple[dict, dict]] = {}

    def measure(self, pictures: np.ndarray, labels: np.ndarray | None = None) -> dict[str, float]:
        """The numbers of METRICS for samples, and with labels those of CLASS_METRICS.

        `fid` is the Frechet distance and `kernel_distance` the mean of the MMD^2 over subsets, both
        on the oracle's features. `smallest_class` and `largest_class` are shares of the samples,
        by the oracle's verdict. With labels there are also `accuracy`, the share that shows the
        class asked for, `worst_class`, the least such share of one class, and `spread` and
        `least_spread`, mean and minimum over classes of the variance within an asked class,
        relative to that of real pictures.

        Args:
            pictures: uint8 (N, S, S, C), N at least 4.
            labels: int (N,), the classes that were asked for; None if none were.

        Raises:
            UserError: there are too few samples.
            ValueError: the pictures are not of the data set's shape, or not one has one label.
        """
        row, _ = self._row(pictures, labels)
        return {name: row[name] for name in METRICS | CLASS_METRICS if name in row}

    def table(self, pictures: np.ndarray, labels: np.ndarray | None = None) -> dict:
        """The numbers of `measure` for samples and for the floor, to be written as JSON.

        Args, raises: as `measure`.

        Returns:
            {"dataset", "split", "reference_count", "oracle_accuracy",
            "rows": {"model": {...}, "real (floor)": {...}},
            "by_class": {"model": {...}, "real (floor)": {...}}}. A row has the numbers of
            `measure`, `kernel_distance_std`, the deviation over subsets, and `count`, its pictures.
            By class there are lists of `share`, and with labels `accuracy` and `spread`. A number
            that is not defined is None.
        """
        rows = {MODEL: self._row(pictures, labels), FLOOR: self._floor(len(pictures))}
        content = {
            "dataset": self.data.name,
            "split": self.split,
            "reference_count": self.count,
            "oracle_accuracy": self.oracle.accuracy,
            # What the model was not asked for is left out of the floor, too.
            "rows": {name: {k: row[k] for k in rows[MODEL][0]} for name, (row, _) in rows.items()},
            "by_class": {
                name: {k: by_class[k].tolist() for k in rows[MODEL][1]}
                for name, (_, by_class) in rows.items()
            },
        }
        return files.finite(content)

    def _floor(self, count):
        if count not in self._floors:
            other = "train" if self.split == "test" else "test"
            self._floors[count] = self._row(*self.data.arrays(other, count))
        return self._floors[count]

    def _row(self, pictures, labels):
        """Numbers by name, and arrays by class by name."""
        features, logits = self.oracle.judge(pictures)
        probabilities, predicted = oracles.probabilities(logits), logits.argmax(axis=1)
        distance, deviation = kernel_distance(features, self._features)
        near = neighbours.neighbour_scores(self._features, features, real_radii2=self._radii2)
        shares = classifier.class_shares(predicted, self.data.classes)
        row = {
            "fid": frechet_distance(*self._statistics, *statistics(features)),
            "kernel_distance": distance,
            "kernel_distance_std": deviation,
            **near,
            "inception_score": classifier.inception_score(probabilities)[0],
            "smallest_class": float(shares.min()),
            "largest_class": float(shares.max()),
            "count": len(pictures),
        }
        by_class = {"share": shares}
        if labels is not None:
            accuracies = classifier.class_accuracies(predicted, labels, self.data.classes)
            variances = classifier.class_variances(pictures, labels, self.data.classes)
            spreads = classifier.spreads(variances, self._variances)
            by_class |= {"accuracy": accuracies, "spread": spreads}
            row["accuracy"] = float(np.mean(predicted == labels))
            row["worst_class"] = classifier.mean_and_least(accuracies)[1]
            row["spread"], row["least_spread"] = classifier.mean_and_least(spreads)
        return row, by_class


def compare(
    drawn: Iterable[np.ndarray],
    labels: np.ndarray | None,
    data: oracles.Labelled,
    split: str,
    count: int,
) -> tuple[dict, list[list[str]] | None, str]:
    """Measures samples beside real pictures, and prints the results.

    Args:
        drawn: the samples in batches, uint8 (B, S, S, C) each; walked once.
        labels: int (N,), the classes that were asked for; None if none were.
        data: the real pictures. Where they can have no oracle (`oracle.obstacle`), there is
            Keras-Inception FID alone, as `keras_inception_fid` gives it.
        split: of the real pictures, "test" or "train".
        count: real pictures to compare with; fewer if the split has fewer.

    Returns:
        The results by name, to be written as JSON; a `table` of them, or None without an oracle;
        and a line that says what they are against, or why there is no table.

    Raises:
        UserError: there are too few samples or real pictures.
    """
    if reason := oracles.obstacle(data):
        said = f"fid, precision and so on: left out; {reason}"
        print(said)
        fid = keras_inception_fid(
            map(to_unit, data.arrays(split, count)[0]),
            (to_unit(one) for batch in drawn for one in batch),
            data.channels,
        )
        return {"keras_inception_fid": fid}, None, said
    results = Yardstick(data, count, split).table(np.concatenate(list(drawn)), labels)
    print(format_table(results))
    return {"results": results}, table(results), reference(results)


def table(results: dict) -> list[list[str]]:
    """The results of `Yardstick.table`: a head, the model's row, the floor's."""
    rows = results["rows"]
    columns = [name for name in COLUMNS if name in rows[MODEL]]
    cells = [["", *(COLUMNS[name][0] for name in columns)]]
    return cells + [
        [name, *(_written(row, column) for column in columns)] for name, row in rows.items()
    ]


def reference(results: dict) -> str:
    """What the results of `Yardstick.table` are against, in a line."""
    return (
        f"against {results['reference_count']} {results['split']} pictures of "
        f"{results['dataset']}, by features and verdicts of an oracle "
        f"(test accuracy {results['oracle_accuracy']:.2%}); precision to coverage with k = 3"
    )


def format_table(results: dict) -> str:
    """`table` as aligned lines, and under it `reference`."""
    return f"{aligned(table(results))}\n{reference(results)}"


def _written(row, column):
    value = row[column]
    if value is None:
        return "-"
    return COLUMNS[column][1].format(value, row.get(f"{column}_std"))
