"""Lists image files: those of a folder, the inputs of a command, and its outputs."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from common.errors import UserError, reason_of
from common.images.image_file import SUFFIXES


def find(folder: str | Path) -> list[Path]:
    """Returns the image files of a folder, without subfolders and hidden files.

    They are recognized by their suffix and sorted in natural order (`2.png` before `10.png`), the
    same on every machine.

    Raises:
        UserError: the folder is missing, cannot be listed or has no images.
    """
    folder = Path(folder)
    try:
        paths = [path for path in folder.iterdir() if _is_image(path)]
    except OSError as error:
        raise UserError(f"{folder}: {reason_of(error)}; give a folder of images") from error
    if not paths:
        raise UserError(f"{folder}: no images in this folder; put {' '.join(SUFFIXES)} files there")
    return sorted(paths, key=lambda path: natural_order(path.name))


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
        files += find(source) if source.is_dir() else [source]
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
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def natural_order(name: str) -> tuple[str, str]:
    """Sort key: numbers are zero-padded, so text order is number order; the name breaks ties."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), name), name
