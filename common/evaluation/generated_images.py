"""Evaluation of generated images: metrics on the features and predictions of a classifier.

Samples are compared with real images by the dataset's reference classifier, or without labels by
the distributions of their patches. A second row, the floor, is the same for as many real images of
the other split: the best scores one can expect.
"""

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path

from common.evaluation import reference_classifier
from common.evaluation.formatting import text_table
from common.evaluation.inception import keras_inception_fid
from common.images.image_file import to_unit
from common.io import records
from common.metrics import classifier_scores, precision_recall
from common.metrics.directions import better, marked
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance
from common.metrics.kernel_distance import kernel_distance
from common.metrics.sliced_wasserstein import PATCH, sliced_wasserstein

import numpy as np

COUNT = 10_000
PATCH_IMAGES = 2048  # at most, whose patches are compared
PATCH_PIXELS = 2**25  # of each set of them at most, which bounds the memory to some GiB

# Metrics of `ReferenceSet.measure`, with their directions.
METRICS = better(
    *("fid", "kernel_distance", "precision", "recall", "density", "coverage", "inception_score"),
    *("smallest_class", "largest_class"),
)
# Further metrics of class-conditional models.
CLASS_METRICS = better("accuracy", "worst_class", "spread", "least_spread")

MODEL, FLOOR = "model", "real (floor)"

# Columns of the table: header, and format of a value and its standard deviation.
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
    """Caches real-image features; computes the metrics of any number of sample sets.

    The reference classifier (which may have to be trained) and the features are computed by the
    constructor, the floor at its first use.

    Args:
        data: labelled images.
        count: number of real images; fewer if the split has fewer.
        split: "test" or "train", the split of the real images; the floor uses the other one.
        cache_dir: folder of the reference classifier; default in the Keras cache.

    Attributes:
        classifier: the reference classifier.
        count: number of real images.

    Raises:
        UserError: the dataset has no labels, or too few images.
    """

    def __init__(
        self,
        data: reference_classifier.LabelledData,
        count: int = COUNT,
        split: str = "test",
        cache_dir: Path | str | None = None,
    ):
        self.classifier = reference_classifier.trained_classifier(data, cache_dir)
        self.data, self.split = data, split
        x, y = data.arrays(split, count)
        self.count = len(x)
        self._features = self.classifier.features(x)
        self._statistics = mean_and_covariance(self._features)
        self._squared_radii = precision_recall.squared_radii(self._features)
        self._variances = classifier_scores.class_variances(x, y, data.classes)
        self._floors: dict[int, tuple[dict, dict]] = {}

    def measure(self, images: np.ndarray, labels: np.ndarray | None = None) -> dict[str, float]:
        """The METRICS of samples, and with labels also the CLASS_METRICS.

        All are computed with the reference classifier. `fid` is the FID (Frechet distance) and
        `kernel_distance` the KID-style distance (mean of MMD^2 over subsets) on its features.
        `smallest_class` and `largest_class` are shares of the samples by predicted class.
        `accuracy` is the share of samples predicted as the requested class, and `worst_class` its
        minimum over classes. `spread` and `least_spread` are mean and minimum over classes of the
        variance within a requested class, relative to that of real images.

        Args:
            images: samples, uint8 (N, S, S, C), N at least 4.
            labels: requested classes, int (N,); None for an unconditional model.

        Raises:
            UserError: there are too few samples.
            ValueError: the images do not have the dataset's shape, or the numbers of images and
                labels differ.
        """
        row, _ = self._scores(images, labels)
        return {name: row[name] for name in METRICS | CLASS_METRICS if name in row}

    def table(self, images: np.ndarray, labels: np.ndarray | None = None) -> dict:
        """The metrics of `measure` for samples and for the floor, as content for a JSON file.

        Args, raises: as `measure`.

        Returns:
            {"dataset", "split", "reference_count", "classifier_accuracy",
            "rows": {"model": {...}, "real (floor)": {...}},
            "by_class": {"model": {...}, "real (floor)": {...}}}. A row has the metrics of
            `measure`, `kernel_distance_std`, the standard deviation over subsets, and `count`, the
            number of images. By class there are lists of `share`, and with labels of `accuracy`
            and `spread`. Undefined values are None.
        """
        rows = {MODEL: self._scores(images, labels), FLOOR: self._floor(len(images))}
        content = {
            "dataset": self.data.name,
            "split": self.split,
            "reference_count": self.count,
            "classifier_accuracy": self.classifier.accuracy,
            # Without requested classes the floor has no CLASS_METRICS either.
            "rows": {name: {k: row[k] for k in rows[MODEL][0]} for name, (row, _) in rows.items()},
            "by_class": {
                name: {k: by_class[k].tolist() for k in rows[MODEL][1]}
                for name, (_, by_class) in rows.items()
            },
        }
        return records.nan_to_none(content)

    def _floor(self, count: int) -> tuple[dict, dict]:
        if count not in self._floors:
            self._floors[count] = self._scores(*self.data.arrays(other(self.split), count))
        return self._floors[count]

    def _scores(self, images: np.ndarray, labels: np.ndarray | None) -> tuple[dict, dict]:
        """Scalars by name, and arrays by class by name."""
        features, logits = self.classifier.features_and_logits(images)
        probabilities, predicted = reference_classifier.probabilities(logits), logits.argmax(axis=1)
        distance, deviation = kernel_distance(features, self._features)
        near = precision_recall.neighbour_scores(
            self._features, features, real_squared_radii=self._squared_radii
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


def other(split: str) -> str:
    """The split of the floor's images: the one that the real images are not of."""
    return "train" if split == "test" else "test"


def compare(
    drawn: Iterable[np.ndarray],
    labels: np.ndarray | None,
    data: reference_classifier.LabelledData,
    split: str,
    count: int,
) -> tuple[dict, list[list[str]] | None, str]:
    """Compares samples with real images and prints the results.

    Args:
        drawn: samples in batches, uint8 (B, S, S, C) each; consumed once.
        labels: requested classes, int (N,); None for an unconditional model.
        data: real images. Without a reference classifier for them (see
            `reference_classifier.unavailable_reason`), only the distances of patches and
            Keras-Inception FID are computed.
        split: "test" or "train", the split of the real images.
        count: number of real images; fewer if the split has fewer.

    Returns:
        The results by name, as content for a JSON file; a table of them, or None if there is none
        for such images; and one line that describes the reference, or what is left out.

    Raises:
        UserError: there are too few samples or real images.
    """
    if reason := reference_classifier.unavailable_reason(data):
        note = f"fid, precision and the other metrics: skipped; {reason}"
        print(note)
        images, (real, _) = chain.from_iterable(drawn), data.arrays(split, count)
        first = list(islice(images, min(PATCH_IMAGES, PATCH_PIXELS // data.image_size**2)))
        results, cells = compare_patches(np.stack(first), real, data, split)
        every = map(to_unit, chain(first, images))
        fid = keras_inception_fid(map(to_unit, real), every, data.channels)
        return results | {"keras_inception_fid": fid}, cells, note
    results = ReferenceSet(data, count, split).table(np.concatenate(list(drawn)), labels)
    print(format_table(results))
    return {"results": results}, table(results), reference_note(results)


def compare_patches(
    images: np.ndarray, real: np.ndarray, data: reference_classifier.LabelledData, split: str
) -> tuple[dict, list[list[str]] | None]:
    """Compares the patches of samples and real images, equally many, and prints the distances.

    Args:
        images, real: uint8 (N, S, S, C) and (M, S, S, C).
        data: real images of both splits.
        split: that of `real`; the floor is the other one.

    Returns:
        {"sliced_wasserstein": {"count", "rows": {"model": {side: distance}, "real (floor)": ...}}}
        and a table; {} and None for images that are smaller than a patch.
    """
    if data.image_size < PATCH:
        return {}, None
    others, _ = data.arrays(other(split), len(images))
    count = min(len(images), len(real), len(others))
    rows = {
        name: sliced_wasserstein(real[:count], each[:count])
        for name, each in ((MODEL, images), (FLOOR, others))
    }
    sides = list(rows[MODEL])
    title = marked("sliced_wasserstein", "sliced Wasserstein, {} px")
    cells = [["", *(title.format(side) for side in sides)]]
    cells += [[name, *(f"{row[side]:.1f}" for side in sides)] for name, row in rows.items()]
    print(text_table(cells))
    print(f"distances of the patches of {count} {split} images of {data.name} and as many others")
    return {"sliced_wasserstein": {"count": count, "rows": rows}}, cells


def table(results: dict) -> list[list[str]]:
    """The results of `ReferenceSet.table` as cells: a header, the model's row and the floor's."""
    rows = results["rows"]
    columns = [name for name in COLUMNS if name in rows[MODEL]]
    cells = [["", *(marked(name, COLUMNS[name][0]) for name in columns)]]
    return cells + [
        [name, *(_formatted(row, column) for column in columns)] for name, row in rows.items()
    ]


def reference_note(results: dict) -> str:
    """One line about the reference of the results of `ReferenceSet.table`."""
    return (
        f"compared with {results['reference_count']} {results['split']} images of "
        f"{results['dataset']}, on features and predictions of a reference classifier "
        f"(test accuracy {results['classifier_accuracy']:.2%}); precision to coverage with k = 3"
    )


def format_table(results: dict) -> str:
    """`table` as aligned lines, followed by `reference_note`."""
    return f"{text_table(table(results))}\n{reference_note(results)}"


def _formatted(row: dict, column: str) -> str:
    value = row[column]
    if value is None:
        return "-"
    return COLUMNS[column][1].format(value, row.get(f"{column}_std"))
