"""Sources of unpaired images: named datasets, folders, and generated ones with known targets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.data.sources import emoji, layouts, tensorflow_datasets
from common.data.sources.changed_digits import DIGITS, ChangedDigits
from common.data.sources.paired import NAMED as PAIRED
from common.data.sources.paired import TwoFiles
from common.data.sources.paired import emoji_splits as emoji_pairs
from common.data.sources.splits import hash_of_names, random_split
from common.data.sources.survey import Survey, survey
from common.data.sources.tensorflow_datasets import Examples
from common.data.synthetic.facades import facade_by_day, facade_by_night
from common.errors import UserError
from common.images import image_file, listing
from common.io.archives import fetch_archive
from common.io.keras_cache import datasets_folder

import numpy as np

ARCHIVES = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
NAMED = (
    *("apple2orange", "horse2zebra", "summer2winter_yosemite", "monet2photo", "cezanne2photo"),
    *("ukiyoe2photo", "vangogh2photo", "maps", "facades", "iphone2dslr_flower", "ae_photos"),
)
EMBEDDED = "embedded"
EMBEDDED_COUNTS = {"train": 400, "test": 100}  # images of each domain
SIDE, MIN_SIDE = 128, 16  # px; default side of the images, and the least for smaller ones
SPLITS = ("trainA", "trainB", "testA", "testB")


# A split of a domain: images by index. Those of a generated dataset have a target, the same image
# in the other domain; digits have a label too.


@dataclass
class Files:
    """Images of a folder."""

    paths: list[Path]
    has_targets = False

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index].name

    def read(self, index: int, size: int) -> np.ndarray:
        """uint8 (size, size, 3). Raises BadImage."""
        return image_file.resize(image_file.read(self.paths[index]), size, size)

    def digest(self) -> str:
        """A hash of the file names."""
        return hash_of_names(path.name for path in self.paths)

    def survey(self) -> Survey:
        return survey(self.paths)


@dataclass
class Emoji(Files):
    """Emoji in one of two styles.

    Attributes:
        others: their files in the other style.
    """

    others: list[Path]
    has_targets = True

    def target(self, index: int, size: int) -> np.ndarray:
        """The same emoji in the other style, uint8 (size, size, 3)."""
        return image_file.resize(image_file.read(self.others[index]), size, size)


@dataclass
class ExampleImages:
    """Images of a split of TensorFlow Datasets."""

    examples: Examples
    has_targets = False

    def __len__(self) -> int:
        return len(self.examples)

    def name(self, index: int) -> str:
        return self.examples.name(index)

    def read(self, index: int, size: int) -> np.ndarray:
        """uint8 (size, size, 3). Raises BadImage."""
        return image_file.resize(self.examples.read(index), size, size)

    def digest(self) -> str:
        return self.examples.digest()

    def survey(self) -> Survey:
        return self.examples.survey()


@dataclass
class GeneratedFacades:
    """Generated facades with the numbers [first, first + count), by day or by night."""

    seed: int
    first: int
    count: int
    night: bool
    has_targets = True

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"scene_{self.first + index:04d}.png"

    def read(self, index: int, size: int) -> np.ndarray:
        """uint8 (size, size, 3)."""
        return self._photo(index, size, self.night)

    def target(self, index: int, size: int) -> np.ndarray:
        """The same facade at the other time of day, uint8 (size, size, 3)."""
        return self._photo(index, size, not self.night)

    def _photo(self, index: int, size: int, night: bool) -> np.ndarray:
        photo = facade_by_night if night else facade_by_day
        return photo(self.seed, self.first + index, size)

    def digest(self) -> str:
        return hashlib.sha256(f"{self.seed} {self.first} {self.night}".encode()).hexdigest()


Domain = Files | Emoji | ExampleImages | GeneratedFacades | ChangedDigits


def find_splits(
    dataset: str | None, data_dir: str | None, seed: int, skip_alone: bool = False
) -> tuple[str, dict[str, Domain]]:
    """Returns the name or absolute path of a dataset, and its images by `SPLITS`.

    See `UnpairedImages` for the arguments; with `skip_alone` emoji in one style only are left out.
    The datasets of `DIGITS` are made from a labelled one: see `changed_digits.digit_splits`.
    """
    if dataset == EMBEDDED:
        return EMBEDDED, embedded_splits(seed)
    if dataset is None:
        try:
            return find_splits("apple2orange", data_dir, seed)
        except UserError as error:
            print(f"{error}\ntraining on the embedded facades by day and by night instead")
            return find_splits(EMBEDDED, data_dir, seed)
    if dataset in NAMED:  # a folder of that name: ./maps
        place = f"{dataset}_unpaired" if dataset in PAIRED else dataset  # beside pix2pix's
        folder = datasets_folder(data_dir) / place
        fetch_archive(f"{ARCHIVES}/{dataset}.zip", folder, dataset)
        return dataset, folder_splits(folder, seed)
    if dataset == emoji.NAME:
        return dataset, emoji_splits(emoji.folder_of(data_dir), skip_alone)
    if tensorflow_datasets.is_named(dataset):
        source = tensorflow_datasets.Dataset(dataset, data_dir)
        return source.name, example_splits(source, seed)
    folder = Path(dataset).expanduser()
    if not folder.is_dir():
        names = *NAMED, *DIGITS, emoji.NAME, EMBEDDED
        raise layouts.no_dataset(dataset, f"a folder, {tensorflow_datasets.GIVEN}", *names)
    folder = folder.resolve()  # a run may be resumed from another working directory
    return str(folder), folder_splits(folder, seed)


def embedded_splits(seed: int) -> dict[str, Domain]:
    """Facades by day (A) and by night (B); no facade is in two splits."""
    splits, first = {}, 0
    for split in SPLITS:
        count = EMBEDDED_COUNTS[split[:-1]]
        splits[split] = GeneratedFacades(seed, first, count, night=split.endswith("B"))
        first += count
    return splits


def emoji_splits(folder: Path, skip_alone: bool = False) -> dict[str, Domain]:
    """Emoji in one style (A), and others in the other style (B).

    The training pairs of the paired dataset are divided between the two: no emoji is in both, in
    whatever skin tones. Its test pairs are the test images of both domains.
    """
    pairs = emoji_pairs(folder, skip_alone)
    halves = emoji.parts_by_base([pair.a.stem for pair in pairs["train"]], 0.5)
    in_a, in_b = ([pairs["train"][i] for i in half] for half in halves)
    splits = {"trainA": in_a, "trainB": in_b, "testA": pairs["test"], "testB": pairs["test"]}
    return {split: of_style(some, split[-1]) for split, some in splits.items()}


def of_style(pairs: list[TwoFiles], domain: str) -> Emoji:
    """The emoji of pairs in the style of a domain, "A" or "B"."""
    a, b = [pair.a for pair in pairs], [pair.b for pair in pairs]
    return Emoji(a, b) if domain == "A" else Emoji(b, a)


def folder_splits(folder: Path, seed: int) -> dict[str, Domain]:
    """The images of a folder; a missing testA or testB is split off the training images."""
    splits = {}
    for domain in "AB":
        train, test = layouts.domain_folders(folder, domain)
        splits[f"train{domain}"] = listing.find(train)
        if test.is_dir():
            splits[f"test{domain}"] = listing.find(test)
        else:
            found = splits[f"train{domain}"]
            rows = split_off_test(len(found), f"{folder}: no test{domain}/", domain, seed)
            for split, each in zip(("train", "test"), rows, strict=True):
                splits[f"{split}{domain}"] = [found[i] for i in each]
    listing.print_ignored(folder, (path for paths in splits.values() for path in paths))
    return {split: Files(splits[split]) for split in SPLITS}


class Usual(NamedTuple):
    """The default side, in pixels, and channels of the images of a dataset."""

    side: int
    channels: int


def usual_form(name: str, splits: dict[str, Domain]) -> Usual:
    """The form of most images of a folder, of the domain with more pixels or channels.

    The side is rounded to a multiple of 4, at most `SIDE`. Other datasets have RGB images of `SIDE`
    pixels, emoji of theirs.
    """
    if name == emoji.NAME:
        return Usual(emoji.SIDE, 3)
    if name in (*NAMED, EMBEDDED):
        return Usual(SIDE, 3)
    usual = [splits[split].survey() for split in ("trainA", "trainB")]
    side = max(SIDE if each.side is None else each.side for each in usual)
    rounded = min(SIDE, max(MIN_SIDE, round(side / 4) * 4))
    return Usual(rounded, max(each.channels for each in usual))


def example_splits(dataset: tensorflow_datasets.Dataset, seed: int) -> dict[str, Domain]:
    """The splits of `SPLITS` of a dataset; a missing one of test images as for folders."""
    splits = {}
    for domain in "AB":
        train = dataset.examples(f"train{domain}")
        test = dataset.first_of([f"test{domain}"])
        if test is None:
            missing = f"{dataset.name}: no test{domain}"
            rows = split_off_test(len(train), missing, domain, seed)
            train, test = map(train.subset, rows)
        splits[f"train{domain}"], splits[f"test{domain}"] = train, test
    return {split: ExampleImages(splits[split]) for split in SPLITS}


def split_off_test(total: int, missing: str, domain: str, seed: int) -> list[np.ndarray]:
    """Divides the training images of a domain: a tenth, 100 at most, are test images.

    Args:
        total: number of images.
        missing: name of the dataset and of what it lacks, for the message.
        domain: name of the domain.
        seed: seed of the split.

    Returns:
        The indices of the training and of the test images.
    """
    count = min(100, max(1, total // 10))
    if count >= total:
        origin = missing.partition(": ")[0]
        raise UserError(f"--dataset {origin}: one image of {domain} is too few to train on")
    print(f"{missing}, so {count} of {total} images of {domain} are held out")
    return random_split(total, seed, count)
