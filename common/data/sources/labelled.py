"""Sources of labelled images: named datasets, arrays, folders, generated digits."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from common.data.sources import layouts, npz, tensorflow_datasets
from common.data.sources.classes import ordered
from common.data.sources.labelled_splits import ArraySplit, FileSplit
from common.data.sources.named_arrays import CLASS_NAMES, NAMED, named_arrays
from common.data.sources.splits import VALIDATION, print_unused, random_split
from common.data.sources.survey import nearest_side, survey
from common.data.sources.tensorflow_datasets import Examples
from common.data.stacked import DIGITS, Stacked
from common.data.synthetic.digits import Digits, labels
from common.data.synthetic.glyphs import CLASSES
from common.errors import UserError, at_least_one
from common.images import listing
from common.io.keras_cache import datasets_folder

import numpy as np

EMBEDDED = "embedded"
EMBEDDED_COUNT = 20_000  # training digits by default
SEED = 0  # fixed, so that all runs on the embedded digits share one reference classifier
MAX_SIDE = 64  # px; default side of larger images in files, for networks of bearable cost
SPLITS = ("train", "test")
_GIVEN = f"a folder, an .npz file, {tensorflow_datasets.GIVEN}"


Split = ArraySplit | FileSplit | Examples


class Found(NamedTuple):
    """A dataset.

    Attributes:
        name: name of the dataset, or its absolute path.
        train: training split.
        test: test split.
        class_names: names of the classes, by label; [] without labels.
        side: default side of the images in pixels.
        channels: default channels of the images.
        file_side: usual shorter side of images in files, if any can be read.
    """

    name: str
    train: Split
    test: Split
    class_names: list[str]
    side: int
    channels: int
    file_side: int | None = None


def find(
    dataset: str | None,
    data_dir: str | None,
    seed: int,
    embedded_count: int = EMBEDDED_COUNT,
    class_names: list[str] | None = None,
    train_count: int | None = None,
) -> Found:
    """Finds a dataset; see `LabelledImages` for the arguments."""
    at_least_one(train_count=train_count)
    found = _find(dataset, data_dir, seed, embedded_count, class_names)
    if train_count is None:
        return found
    available = len(found.train)
    if train_count > available:
        raise UserError(
            f"--train_count {train_count}: {found.name} has {available} training images"
        )
    chosen = np.random.default_rng([seed, 3]).permutation(available)[:train_count]
    return found._replace(train=found.train.subset(np.sort(chosen)))


def _find(
    dataset: str | None,
    data_dir: str | None,
    seed: int,
    embedded_count: int,
    class_names: list[str] | None,
) -> Found:
    if embedded_count != EMBEDDED_COUNT and dataset != EMBEDDED:
        raise UserError(f"--embedded_count {embedded_count}: needs --dataset {EMBEDDED}")
    if dataset == EMBEDDED:
        return embedded(embedded_count)
    if dataset is None:
        try:
            return find("mnist", data_dir, seed, class_names=class_names)
        except UserError as error:
            print(f"{error}\nusing the embedded generated digits instead")
            return embedded()
    if dataset in DIGITS:
        return stacked(dataset, find(DIGITS[dataset], data_dir, seed))
    if dataset in NAMED:  # a folder of that name: ./mnist
        arrays, known = named_arrays(dataset, datasets_folder(data_dir)), CLASS_NAMES.get(dataset)
        if known and class_names == known.split(","):  # the file has their numbers
            class_names = None
        found = of_arrays(dataset, arrays, seed, class_names)
        if known and found.class_names == [str(i) for i in range(10)]:
            found = found._replace(class_names=known.split(","))
        return found
    if tensorflow_datasets.is_named(dataset):
        return of_examples(tensorflow_datasets.Dataset(dataset, data_dir), seed, class_names)
    path = Path(dataset).expanduser().resolve()  # a run may be resumed from another directory
    if path.is_dir():
        return of_folder(path, seed, class_names)
    if path.is_file() and not layouts.other_file(path):
        return of_arrays(str(path), npz.read_npz(path), seed, class_names)
    raise layouts.no_dataset(dataset, _GIVEN, *NAMED, EMBEDDED, *DIGITS)


def embedded(count: int = EMBEDDED_COUNT) -> Found:
    """Generated digits, the same in every run: `count` for training and half as many for testing.

    No digit is in both splits.
    """
    at_least_one(embedded_count=count)
    splits, first = {}, 0
    for split, size in {"train": count, "test": -(-count // 2)}.items():
        rows = np.arange(size)
        splits[split] = ArraySplit(Digits(SEED, first, size), rows, labels(SEED, first + rows))
        first += size
    names = [str(digit) for digit in range(CLASSES)]
    return Found(EMBEDDED, **splits, class_names=names, side=28, channels=1)


def stacked(name: str, digits: Found) -> Found:
    """Stacks of three digits each, without labels, as many as there are digits in each split."""

    def split(number: int, of: ArraySplit) -> ArraySplit:
        images = Stacked(of.images, of.rows, number)
        return ArraySplit(images, np.arange(len(images)), np.zeros(len(images), np.int32))

    parts = [split(number, of) for number, of in enumerate((digits.train, digits.test))]
    return Found(name, *parts, class_names=[], side=digits.side, channels=3)


def of_arrays(
    name: str, given: dict[str, np.ndarray], seed: int, class_names: list[str] | None = None
) -> Found:
    """A dataset of arrays x_train and optionally y_train, x_test and y_test."""
    arrays = npz.validated(given, name, class_names)

    def split(x: np.ndarray, y: np.ndarray | None) -> ArraySplit:
        return ArraySplit(x, np.arange(len(x)), np.zeros(len(x), np.int32) if y is None else y)

    train = split(arrays.x_train, arrays.y_train)
    if arrays.x_test is None:
        train, test = split_off_test(train, name, seed)
    else:
        test = split(arrays.x_test, arrays.y_test)
    return Found(name, train, test, arrays.class_names, min(train.shape[:2]), train.shape[2])


def of_examples(
    dataset: tensorflow_datasets.Dataset, seed: int, class_names: list[str] | None = None
) -> Found:
    """A dataset of TensorFlow Datasets: its split train, and test or else validation.

    Raises:
        UserError: it has no split train, one without labels, or other classes.
    """
    train = dataset.examples("train", labelled=True)
    test = dataset.first_of(("test", "validation"), labelled=True)
    names = dataset.class_names
    if train.labels.min(initial=0) < 0:
        raise UserError(
            f"--dataset {dataset.name}: not all of its training images have a class; give a "
            "dataset where they have"
        )
    if class_names is not None:
        ordered(names, class_names, dataset.name)  # raises for other names
        new = np.array([class_names.index(name) for name in names], np.int32)
        train, test = (part and replace(part, labels=new[part.labels]) for part in (train, test))
        names = class_names
    usual = train.survey()
    if test is None:
        train, test = split_off_test(train, dataset.name, seed)
    side = nearest_side(usual.side, MAX_SIDE)
    return Found(dataset.name, train, test, names, side, usual.channels, usual.side)


def of_folder(folder: Path, seed: int, class_names: list[str] | None = None) -> Found:
    """A dataset of a folder of images, or of a folder with one folder of images per class."""
    roots = _split_folders(folder)
    held_out = roots.get("test", folder)
    left_out = held_out.name if roots["train"] == folder != held_out else None
    found = {
        split: _by_class(root, left_out if root == folder else None)
        for split, root in roots.items()
    }
    class_names = ordered(found["train"].keys() - {""}, class_names, str(folder))
    for name in found.get("test", {}):
        if name not in found["train"]:
            raise UserError(
                f"--dataset {folder}: {held_out.name}/{name} has no match in "
                f"{roots['train'].name}/; give both the same folders of classes, or none"
            )

    def split(of_class: dict[str, list[Path]]) -> FileSplit:
        listed = [of_class.get(name, []) for name in class_names or [""]]
        paths = [path for of_one in listed for path in of_one]
        labels_of = np.repeat(np.arange(len(listed)), [*map(len, listed)])
        return FileSplit(folder, paths, labels_of.astype(np.int32))

    train = split(found["train"])
    test = split(found["test"]) if "test" in found else None
    listing.print_ignored(folder, train.paths + (test.paths if test else []))
    usual = survey(train.paths)
    if test is None:
        train, test = split_off_test(train, folder, seed)
    side = nearest_side(usual.side, MAX_SIDE)
    return Found(str(folder), train, test, class_names, side, usual.channels, usual.side)


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders of the training and, if there are any, the test images.

    Without train/, the training images are those of the folder itself, and a folder of a usual name
    beside them has the test images, unless it has images where the others are classes.
    """
    if (folder / "train").is_dir():
        test = folder / "test"
        print_unused(folder, VALIDATION, "to hold out a folder of its own, name it test/")
        return {"train": folder / "train"} | ({"test": test} if test.is_dir() else {})
    if (folder / "test").is_dir():
        raise UserError(f"--dataset {folder}: has test/, but no train/")
    present = [name for name in VALIDATION if (folder / name).is_dir()]
    for name in present:
        if listing.has_images(folder) == listing.has_images(folder / name):
            return {"train": folder, "test": folder / name}
    for name in present:
        use = "takes {}/ for a class" if listing.has_images(folder / name) else "does not use {}/"
        print(f"{folder}: {use.format(name)}; give train/ and test/ to hold out images")
    return {"train": folder}


def split_off_test(train: Split, name: str | Path, seed: int) -> tuple[Split, Split]:
    """Moves a random tenth of the training images, 10,000 at most, to a test split."""
    if len(train) < 2:
        raise UserError(f"--dataset {name}: one image is too few to train on")
    count = min(10_000, max(1, len(train) // 10))
    print(f"{name}: no test split, so {count} of {len(train)} training images are held out")
    rest, test = random_split(len(train), seed, count)
    return train.subset(rest), train.subset(test)


def _by_class(root: Path, left_out: str | None = None) -> dict[str, list[Path]]:
    """The image files of a split by class name; without classes, all under "".

    Args:
        root: folder of the split.
        left_out: name of a subfolder that belongs to another split.
    """
    try:
        folders = [path for path in layouts.subfolders(root) if path.name != left_out]
    except OSError as error:
        raise UserError(f"--dataset {root}: {error.strerror}; give a readable folder") from error
    if not folders or listing.has_images(root):
        if any(map(listing.has_images, folders)):
            raise UserError(
                f"--dataset {root}: has both images and folders of images; keep either the images, "
                "or the folders as classes"
            )
        return {"": listing.find(root)}
    classes = layouts.class_folders(root, left_out)
    if layouts.has_domains(root) and (root / "trainA").is_dir():
        print(
            f"{root}: takes {', '.join(f'{path.name}/' for path in classes)} for classes; for the "
            f"images of one domain give --dataset {root / 'trainA'}"
        )
    return {path.name: listing.find(path) for path in classes}
