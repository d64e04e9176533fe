"""Layouts of the folders of images: the errors for a wrong one say how to get to the one wanted."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from common.data.sources.splits import VALIDATION, print_unused
from common.errors import UserError
from common.images import listing
from common.images.image_file import SUFFIXES

DOMAINS = (
    "trainA/ and trainB/ (optional: testA/ and testB/), or A/ and B/, each with images or with "
    "train/ (optional: test/)"
)
PAIRS = (
    f"{DOMAINS}, where files of equal names are a pair; or files with A in the left half and B in "
    "the right half (optional: under train/, val/ and test/)"
)
CLASSES = "images, or one folder of images for each class (optional: under train/ and test/)"
PHOTOS = "images (optional: under train/ and val/), in one folder or several separated by commas"
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"
    )


def has_domains(folder: Path) -> bool:
    """Whether a folder has images of two domains, in one of the layouts `DOMAINS`."""
    pairs = ("A", "B"), ("trainA", "trainB")
    return any(all((folder / name).is_dir() for name in pair) for pair in pairs)


def has_photos(folder: Path) -> bool:
    """Whether a folder has images, directly or in train/."""
    return listing.has_images(folder) or listing.has_images(folder / "train")


def wrong(folder: Path, wanted: str, fits: Callable[[Path], bool], *ways: str) -> UserError:
    """The error for a folder that has another layout than the one wanted.

    Args:
        folder: the folder of `--dataset`.
        wanted: the layout to give.
        fits: whether a folder has it.
        ways: how to get there from what the folder holds, if that is known; else the remedy is to
            give its only subfolder, if that fits.
    """
    inside = subfolders(folder)
    if not ways and len(inside) == 1 and fits(inside[0]):
        ways = (f"give --dataset {inside[0]}",)
    seen = [f"--dataset {folder}: {listing.contents(folder)}"]
    if (folder / "train").is_dir():
        seen.append(f"train/: {listing.contents(folder / 'train')}")
    return UserError("; ".join([*seen, *ways, f"wanted: {wanted}"]))


def domain_folders(folder: Path, domain: str) -> tuple[Path, Path]:
    """The folders of a domain's training and test images, of which the latter need not exist.

    Raises:
        UserError: the folder has none of the layouts `DOMAINS`.
    """
    train, test, unsplit = (folder / f"{part}{domain}" for part in ("train", "test", ""))
    if not train.is_dir():
        if not unsplit.is_dir() or test.is_dir():
            ways = ways_to_domains(folder)
            raise wrong(folder, DOMAINS, has_domains, *ways)
        if not listing.has_images(unsplit) and (unsplit / "train").is_dir():
            print_unused(unsplit, VALIDATION, "test images are those of test/, beside train/")
            return unsplit / "train", unsplit / "test"
    remedy = f"test images are those of {test.name}/, beside {train.name}/"
    print_unused(folder, [f"{name}{domain}" for name in VALIDATION], remedy)
    train = train if train.is_dir() else unsplit
    return train, test


def ways_to_domains(folder: Path) -> list[str]:
    """How to get to the layouts `DOMAINS` from the folders that a folder holds."""
    for pair in ("trainA", "trainB"), ("A", "B"):
        missing = [f"{name}/" for name in pair if not (folder / name).is_dir()]
        if len(missing) == 1:
            return [f"add {missing[0]}"]
    splits = [each.name for each in subfolders(folder) if has_domains(each)]
    moves = [f"{split}/{d} to {split}{d}/" for split in splits for d in "AB"]
    if "train" in splits:
        return [f"rename {', '.join(moves)}"]
    domains = [each for each in subfolders(folder) if has_photos(each)]
    if len(domains) == 2 and not any(each.name.startswith(("train", "test")) for each in domains):
        return [f"rename {domains[0].name}/ to A/ and {domains[1].name}/ to B/"]
    if any(map(listing.has_images, (folder, folder / "train"))):
        return ["put the images of one domain into trainA/, those of the other into trainB/"]
    return []


def wrong_photos(folder: Path, root: Path) -> UserError:
    """The error for a folder of photographs of which `root`, itself or train/, has no images."""
    holding = [each for each in subfolders(root) if listing.has_images(each)]
    training = [str(each) for each in holding if not each.name.startswith(("test", "val"))]
    ways = [f"give --dataset {','.join(training)}"] if training else []
    return wrong(folder, PHOTOS, has_photos, *ways)


def class_folders(root: Path, left_out: str | None = None) -> list[Path]:
    """The folders of classes in a folder; [] if it holds none.

    Args:
        root: folder of a split.
        left_out: name of a subfolder that belongs to another split.

    Raises:
        UserError: one of them has no images.
    """
    folders = [path for path in subfolders(root) if path.name != left_out]
    empty = [path for path in folders if not listing.has_images(path)]
    if not empty:
        return folders
    first = empty[0]
    inner = [each for each in subfolders(first) if listing.has_images(each)]
    if {"train", "test"} & {each.name for each in inner}:
        way = f"put the splits above the classes, as in train/{first.name}/"
    elif inner and len(folders) == 1:
        way = f"give --dataset {first}"
    elif inner:
        way = f"put the images directly into {first.name}/, or give --dataset {first}"
    else:
        way = "put images there, or remove the folder"
    raise UserError(
        f"{first}: no images in this folder, and each folder in {root} is a class: "
        f"{listing.contents(first)}; {way}"
    )


def no_dataset(dataset: str, given: str, *named: str) -> UserError:
    """The error for a `--dataset` that is neither a folder nor the name of a dataset.

    Args:
        dataset: the value of the option.
        given: what to give, such as "a folder".
        named: names of the known datasets.
    """
    known = f"give {given} or one of {', '.join(named)}"
    if not Path(dataset).expanduser().is_file():
        return UserError(f"--dataset {dataset}: no such folder or known dataset; {known}")
    return UserError(
        f"--dataset {dataset}: {other_file(Path(dataset).expanduser()) or f'a file; {known}'}"
    )


def other_file(path: Path) -> str | None:
    """What is wrong with a file that holds no dataset, with the remedy; None if it may hold one."""
    suffix = path.suffix.lower()
    if suffix in _ARCHIVES and not _holds_arrays(path):
        return "an archive; unpack it and give its folder"
    return "one image; give the folder that it is in" if suffix in SUFFIXES else None


def _holds_arrays(path: Path) -> bool:
    """Whether a file is an archive of NumPy's arrays, as an .npz file is."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())
