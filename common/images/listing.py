"""Lists image files: those of a folder, the inputs of a command, and its outputs."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
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


def image_files(inputs: Sequence[str]) -> list[Path]:
    """Image files among the inputs, and those in the folders among them.

    Raises:
        UserError: an input is missing, or a folder holds no image.
    """
    files = []
    for source in map(Path, inputs):
        if not source.exists():
            raise UserError(f"{source}: no such image or folder")
        if source.is_dir():
            files += (found := find(source))
            print_ignored(source, found)
        else:
            files.append(source)
    return files


def output_paths(inputs: Sequence[str], folder: Path) -> dict[Path, Path]:
    """Maps each image file among the inputs (see `image_files`) to a PNG file in `folder`.

    Raises:
        UserError: an input is missing, an input would be overwritten, or two inputs would be
            written to the same file.
    """
    targets: dict[Path, Path] = {}
    taken = set()
    for source in image_files(inputs):
        target = folder / f"{source.stem}.png"
        if target in taken:
            raise UserError(
                f"{source}: another input would be written to {target} too; "
                "use a separate --output for each"
            )
        if target.exists() and target.samefile(source):
            raise UserError(f"--output {folder}: {source} would be overwritten; name another one")
        targets[source] = target
        taken.add(target)
    return targets


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and _is_visible_file(path)


def _is_other(path: Path) -> bool:
    return path.suffix.lower() in OTHER_SUFFIXES and _is_visible_file(path)


def _is_visible_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def natural_order(name: str) -> tuple[str, str]:
    """Sort key: numbers are zero-padded, so text order is number order; the name breaks ties."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), name), name
