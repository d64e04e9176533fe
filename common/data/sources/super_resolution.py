"""Sources of high-resolution images: folders, DIV2K, generated textures; and their splits."""

from pathlib import Path
from typing import NamedTuple

from common.data.sources import layouts, tensorflow_datasets
from common.data.sources.splits import VALIDATION, print_unused, random_split
from common.data.sources.tensorflow_datasets import Examples
from common.data.synthetic.textures import texture
from common.errors import UserError
from common.images import image_file, listing
from common.io.archives import fetch_archive
from common.io.keras_cache import datasets_folder

import numpy as np

DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
# Agustsson and Timofte 2017: 800 training and 100 validation images, 3.3 and 0.4 GB.
NAMED = {"div2k": {"train": f"{DIV2K}/DIV2K_train_HR.zip", "val": f"{DIV2K}/DIV2K_valid_HR.zip"}}
EMBEDDED = "embedded"
EMBEDDED_COUNTS = {"train": 200, "val": 20}
EMBEDDED_SIZE = 160  # px
MAX_HELD_OUT = 20


class ImageFile(NamedTuple):
    """An image in a file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def read(self) -> np.ndarray:
        """uint8 (H, W, 3). Raises BadImage."""
        return image_file.read(self.path)


class Texture(NamedTuple):
    """A generated image."""

    seed: int
    index: int

    @property
    def name(self) -> str:
        return f"texture_{self.index:04d}.png"

    @property
    def path(self) -> Path:
        """Its name; it is not in a file."""
        return Path(self.name)

    def read(self) -> np.ndarray:
        """uint8 (EMBEDDED_SIZE, EMBEDDED_SIZE, 3)."""
        return texture(self.seed, self.index, EMBEDDED_SIZE)


class Example(NamedTuple):
    """An image of TensorFlow Datasets."""

    examples: Examples
    index: int

    @property
    def name(self) -> str:
        return self.examples.name(self.index)

    @property
    def path(self) -> Path:
        """Its name; it is not in a file of its own."""
        return Path(self.name)

    def read(self) -> np.ndarray:
        """uint8 (H, W, 3). Raises BadImage."""
        return self.examples.read(self.index)


Source = ImageFile | Texture | Example
Splits = dict[str, list[Source]]


def find_splits(dataset: str | None, data_dir: str | None, seed: int) -> tuple[str, Splits]:
    """Returns the name or absolute path of a dataset, and its images by split.

    See `HighResolutionImages` for the arguments.
    """
    if dataset is None:
        try:
            return find_splits("div2k", data_dir, seed)
        except UserError as error:
            print(f"{error}\ntraining on the embedded generated textures instead")
            dataset = EMBEDDED
    names, splits = [], {"train": [], "val": []}
    for part in parts_of(dataset):
        name, found = _find_one(part, data_dir, seed)
        names.append(name)
        for split, sources in splits.items():
            sources += found[split]
    return ",".join(names), splits


def parts_of(given: str) -> list[str]:
    """Splits an option at its commas, unless it is the path of a folder."""
    return [given] if Path(given).is_dir() else [part.strip() for part in given.split(",")]


def _find_one(dataset: str, data_dir: str | None, seed: int) -> tuple[str, Splits]:
    if dataset == EMBEDDED:
        return EMBEDDED, embedded_splits(seed)
    if dataset in NAMED:  # a folder of that name: ./div2k
        home = datasets_folder(data_dir) / dataset
        for split, url in NAMED[dataset].items():
            fetch_archive(url, home / split, f"{dataset} {split}")
        return dataset, folder_splits(home, seed)
    if tensorflow_datasets.is_named(dataset):
        return example_splits(tensorflow_datasets.Dataset(dataset, data_dir), seed)
    folder = Path(dataset).expanduser()
    if not folder.is_dir():
        given = f"a folder, {tensorflow_datasets.GIVEN}, several of them separated by commas,"
        raise layouts.no_dataset(dataset, given, *NAMED, EMBEDDED)
    folder = folder.resolve()  # a run may be resumed from another working directory
    return str(folder), folder_splits(folder, seed)


def embedded_splits(seed: int) -> Splits:
    """Generated textures; none is in two splits."""
    splits, first = {}, 0
    for split, count in EMBEDDED_COUNTS.items():
        splits[split] = [Texture(seed, index) for index in range(first, first + count)]
        first += count
    return splits


def example_splits(dataset: tensorflow_datasets.Dataset, seed: int) -> tuple[str, Splits]:
    """The name of a dataset, and its images of the splits train and validation, or else test."""
    train = dataset.examples("train")
    val = dataset.first_of(("validation", "test"))
    if val is None:
        rows = split_off_val(len(train), f"{dataset.name}: no validation split", seed)
        train, val = map(train.subset, rows)
    splits = {"train": train, "val": val}
    return dataset.name, {
        split: [Example(examples, index) for index in range(len(examples))]
        for split, examples in splits.items()
    }


def folder_splits(folder: Path, seed: int) -> Splits:
    """The images of a folder by split; a missing val split is taken from the training images."""
    root = folder / "train" if (folder / "train").is_dir() else folder
    if not listing.has_images(root):
        raise layouts.wrong_photos(folder, root)
    paths = {"train": listing.find(root)}
    if root != folder and (folder / "val").is_dir():
        paths["val"] = listing.find(folder / "val")
    unused = [name for name in (*VALIDATION, "test") if "val" not in paths or name != "val"]
    print_unused(folder, unused, "held-out images are those of val/, beside train/")
    listing.print_ignored(folder, (path for found in paths.values() for path in found))
    splits = {split: [*map(ImageFile, found)] for split, found in paths.items()}
    if "val" in splits:
        return splits
    train = splits["train"]
    if len(train) < 2:
        held = listing.contents(folder)
        raise UserError(f"--dataset {folder}: one image is too few to train on: {held}")
    rest, val = split_off_val(len(train), f"{folder}: no val/", seed)
    return {"train": [train[i] for i in rest], "val": [train[i] for i in val]}


def split_off_val(total: int, missing: str, seed: int) -> list[np.ndarray]:
    """Divides training images: a twentieth, `MAX_HELD_OUT` at most, are held out.

    Args:
        total: number of images, two or more.
        missing: name of the dataset and of what it lacks, for the message.
        seed: seed of the split.

    Returns:
        The indices of the training and of the held-out images.
    """
    count = min(MAX_HELD_OUT, max(1, total // 20))
    print(f"{missing}, so {count} of {total} images are held out")
    return random_split(total, seed, count)
