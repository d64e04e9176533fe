"""The input images of `predict`, file by file: one that cannot be read does not stop the others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import UserError
from common.images import image_file, listing
from common.images.image_file import BadImage
from common.reports import result_page
from common.reports.result_page import ResultPage

import numpy as np

NAMED = 10  # bad images in the error; a line for each is printed before it
Result = TypeVar("Result")


@dataclass(frozen=True)
class InputOptions:
    """Input images.

    Args:
        recursive: also take the images in the subfolders of folders; OUTPUT gets the same
            subfolders.
        skip_bad_images: exit with status 0 even if some images cannot be read; the others are
            processed in any case.
    """

    recursive: bool = False
    skip_bad_images: bool = False


class InputFiles:
    """Input images, and the files that results are written to.

    Args:
        inputs: images, or folders of images.
        output: folder for the results.
        options: which images count.

    Attributes:
        folder: folder for the results.
        targets: for each image a PNG file of its name in the folder.
        bad: errors of those that cannot be read.

    Raises:
        UserError: an input is missing, would be overwritten, or would be written to the same file
            as another one; or the folder is a file.
    """

    def __init__(self, inputs: list[str], output: str | Path, options: InputOptions):
        self.folder, self._skip = Path(output), options.skip_bad_images
        check_folder(self.folder)
        self._made = result_page.files_in(self.folder)
        self.targets = listing.output_paths(inputs, self.folder, options.recursive, self._made)
        self.bad: dict[Path, BadImage] = {}
        self._written: list[str] = []

    def __len__(self) -> int:
        """Number of images that are not known to be bad."""
        return len(self.targets) - len(self.bad)

    def name(self, source: Path) -> str:
        """Name of an image; one of a subfolder has the path from the folder that was given."""
        below = self.targets[source].parent.relative_to(self.folder)
        return (below / source.name).as_posix()

    def each(
        self, convert: Callable[[Path, Path], Result], files=None
    ) -> Iterator[tuple[Path, Path, Result]]:
        """Yields each image, its target and what `convert` makes of both.

        Args:
            convert: reads an image and may write its target; a BadImage that it raises is kept.
            files: the items of `targets`, wrapped in a progress bar.

        Raises:
            UserError: none of the images can be read.
        """
        for source, target in self.targets.items() if files is None else files:
            try:
                yield source, target, convert(source, target)
            except BadImage as error:
                self.bad[source] = error
        if not len(self):
            first = next(iter(self.bad.values()))
            others = len(self.bad) - 1
            also = f" ({others} more cannot be used either)" if others else ""
            raise UserError(f"{first}{also}") from first

    def read(self, convert: Callable[[Path], np.ndarray]) -> dict[Path, np.ndarray]:
        """What `convert` makes of each image that can be read."""
        return {source: x for source, _, x in self.each(lambda source, _: convert(source))}

    def write(self, path: Path, image: np.ndarray):
        """Writes an image, uint8 (H, W, C), as a result."""
        image_file.write(path, image)
        self.record(path)

    def record(self, path: Path):
        """Notes that a file is a result, and so no input of the next `predict`."""
        self._written.append(self.link_name(path))

    def link_name(self, path: Path) -> str:
        """The name of a result as a page in the folder links to it."""
        return path.relative_to(self.folder).as_posix()

    def write_page(self, page: ResultPage):
        """Writes the page, which names the bad images, to the folder."""
        if self.bad:
            page.note("\n".join(["left out:", *map(str, self.bad.values())]))
        before = [name for name in self._made if (self.folder / name).is_file()]
        page.files = list(dict.fromkeys([*before, *self._written]))
        page.write(self.folder / result_page.NAME)

    def finish(self):
        """`name_bad` images; raises a UserError if there are some that are not to be skipped."""
        name_bad(self.bad, len(self.targets), self._skip)


def name_bad(bad: dict[Path, BadImage], count: int, skip: bool):
    """Prints a line about each image that could not be used, after the others are done.

    Args:
        bad: errors of these images.
        count: number of all images.
        skip: whether they are to be skipped.

    Raises:
        UserError: there are some, and they are not to be skipped.
    """
    for error in bad.values():
        print(f"left out: {error}")
    if bad and not skip:
        names = [str(path) for path in bad]
        listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        raise UserError(
            f"{len(names)} of {count} images cannot be used, the others are done: {listed}; "
            "replace or remove them, or add --skip_bad_images for exit status 0"
        )


def check_folder(folder: Path):
    """Raises a UserError if the folder for results is a file."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder}: is a file; name a folder")
