"""Lists image files: those of a folder, the inputs of a command, and its outputs."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from common.errors import UserError, reason_of
from common.images import inventory
from common.images.image_file import OTHER_SUFFIXES, SUFFIXES


def find(folder: str | Path) -> list[Path]:
    """Returns the image files of a folder, without subfolders and hidden files.

    They are recognized by their suffix, and sorted in natural order (`2.png` before `10.png`), the
    same on every machine. `print_ignored` tells which images are left out.

    Raises:
        UserError: the folder is missing, cannot be listed or has no images.
    """
    folder = Path(folder)
    try:
        present = {path.name for path in folder.iterdir() if _is_image(path)}
    except OSError as error:
        raise UserError(f"{folder}: {reason_of(error)}; give a folder of images") from error
    names = inventory.note(folder, present)
    if not names:
        others = _ignored([folder])
        held = f" that can be read, but {others}" if others else f": {contents(folder)}"
        raise UserError(
            f"{folder}: no images in this folder{held}; put {' '.join(SUFFIXES)} files there"
        )
    return [folder / name for name in sorted(names, key=natural_order)]


def has_images(folder: Path) -> bool:
    """Whether `find` finds any."""
    try:
        return any(map(_is_image, folder.iterdir())) or bool(find(folder))
    except (OSError, UserError):
        return False


def contents(folder: Path) -> str:
    """What a folder holds, for an error: `it holds the folders a/ and b/ and 3 .txt files`."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    folders = sorted(f"{path.name}/" for path in paths if path.is_dir())
    shown = folders[:4] + [f"{len(folders) - 4} more"] * (len(folders) > 4)
    files = sorted(Counter(path.suffix.lower() for path in paths if path.is_file()).items())
    parts = [f"the folder{'s' * (len(folders) > 1)} {_joined(shown)}"] if folders else []
    parts += [f"{count} {suffix or 'other'} file{'s' * (count > 1)}" for suffix, count in files]
    return f"it holds {_joined(parts)}" if parts else "it is empty"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def print_ignored(where: str | Path, paths: Iterable[Path]):
    """Prints a line about the images that `find` has left out because of their format, if any.

    Args:
        where: folder that the line names.
        paths: images that were found; the folders that they are in are looked at.
    """
    if others := _ignored({path.parent for path in paths}):
        print(f"{where}: ignored {others}: these formats are not read; convert to PNG or JPEG")


def _ignored(folders: Iterable[Path]) -> str:
    """Number of image files of other formats by suffix, such as `3 .avif and 1 .heic`; or ""."""
    suffixes = (
        path.suffix.lower() for folder in folders for path in folder.iterdir() if _is_other(path)
    )
    counts = sorted(Counter(suffixes).items())
    return " and ".join(f"{count} {suffix}" for suffix, count in counts)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Returns the names of files; equal names get the folders below the common one as prefix."""
    counts = Counter(path.name for path in paths)
    levels = zip(*(path.parent.parts for path in paths), strict=False)
    shared = len([*takewhile(lambda level: len({*level}) == 1, levels)])
    return [
        path.name if counts[path.name] == 1 else Path(*path.parts[shared:]).as_posix()
        for path in paths
    ]


def image_files(inputs: Sequence[str], recursive: bool = False) -> dict[Path, Path]:
    """Image files among the inputs, and those in the folders among them.

    A file that is given twice counts once.

    Args:
        inputs: image files and folders.
        recursive: also take the images in all subfolders of the folders, but for hidden ones.

    Returns:
        For each file its name, or its path relative to the folder that it was found in.

    Raises:
        UserError: an input is missing, or a folder holds no image.
    """
    files: dict[Path, Path] = {}
    known = set()
    for source in map(Path, inputs):
        if not source.exists():
            raise UserError(f"{source}: no such image or folder")
        found = [source]
        if source.is_dir():
            found = _find_in_tree(source) if recursive else _find_flat(source)
            print_ignored(source, found)
        for path in found:
            if (real := path.resolve()) not in known:
                known.add(real)
                files[path] = path.relative_to(source) if path != source else Path(path.name)
    return files


def _find_flat(folder: Path) -> list[Path]:
    try:
        return find(folder)
    except UserError as error:
        if any(map(_has_images, _subfolders(folder))):
            raise UserError(
                f"{folder}: no images in this folder, but in subfolders; add --recursive to take "
                "those"
            ) from error
        raise


def _find_in_tree(folder: Path) -> list[Path]:
    """The images of a folder and of its subfolders, each folder in the order of `find`."""
    folders = [folder, *_subfolders(folder)]
    found = [path for each in folders if _has_images(each) for path in find(each)]
    return found or find(folder)  # which tells what is wrong


def _subfolders(folder: Path) -> list[Path]:
    """All visible subfolders at any depth, in natural order."""
    below = (path for path in folder.rglob("*") if path.is_dir())
    shown = (path for path in below if "/." not in f"/{path.relative_to(folder).as_posix()}")
    return sorted(shown, key=lambda path: [*map(natural_order, path.parts)])


def _has_images(folder: Path) -> bool:
    return any(map(_is_image, folder.iterdir()))


def output_paths(
    inputs: Sequence[str],
    folder: Path,
    recursive: bool = False,
    made: Collection[str] = (),
) -> dict[Path, Path]:
    """Maps each image file among the inputs (see `image_files`) to a PNG file in `folder`.

    The PNG file has the name of its input, in the same subfolder. Where images that differ in their
    suffix alone would be written to one file, those that are not PNG files keep theirs: a.png and
    a.jpg give a.png and a.jpg.png.

    Args:
        inputs: image files and folders.
        folder: folder of the outputs.
        recursive: also take the images in all subfolders of the folders.
        made: names of files in `folder` that were written before; they are no inputs.

    Raises:
        UserError: an input is missing, an input would be overwritten, or two inputs would be
            written to the same file.
    """
    files = image_files(inputs, recursive)
    written = {(folder / name).resolve() for name in made}
    earlier = [source for source in files if source.resolve() in written]
    if earlier and len(earlier) == len(files):
        raise UserError(
            f"{earlier[0]}: is a result of predict in this folder; give other images, or another "
            "--output"
        )
    for source in earlier:
        del files[source]
    if earlier:
        print(f"{folder}: {len(earlier)} images that predict wrote there before are no inputs")
    plain = Counter(place.with_suffix(".png") for place in files.values())
    sources: dict[Path, Path] = {}
    for source, place in files.items():
        shared = plain[place.with_suffix(".png")] > 1 and place.suffix.lower() != ".png"
        target = folder / (f"{place}.png" if shared else place.with_suffix(".png"))
        if target in sources:
            raise UserError(
                f"{sources[target]} and {source}: both would be written to {target}; use a "
                "separate --output for each, or --recursive for the folder of both"
            )
        if target.exists() and target.samefile(source):
            raise UserError(f"--output {folder}: {source} would be overwritten; name another one")
        sources[target] = source
    return {source: target for target, source in sources.items()}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and _is_visible_file(path)


def _is_other(path: Path) -> bool:
    return path.suffix.lower() in OTHER_SUFFIXES and _is_visible_file(path)


def _is_visible_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def natural_order(name: str) -> tuple[str, str]:
    """Sort key: numbers are zero-padded, so text order is number order; the name breaks ties."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), name), name
