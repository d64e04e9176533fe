"""The answers of a demo's page: files that `predict` writes, and what it prints."""

import csv
import io
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from common.demo.panels import Panel, Upload
from common.errors import UserError
from common.images import bicubic, image_file

import numpy as np

KEPT = 600  # seconds that uploads and results are kept for
BEFORE = "before"  # folder of the input, enlarged to the size of the result

Predict = Callable[[list[str]], None]  # takes the arguments of the verb


@dataclass
class Answer:
    """What the page shows.

    Attributes:
        images: image files.
        classes: class names and their probabilities, of a classifier.
        note: what `predict` printed.
    """

    images: list[Path]
    note: str
    classes: dict[str, float] = field(default_factory=dict)


class Answers:
    """Calls `predict` for the page, each time with a new folder for the results.

    Args:
        predict: the verb.
        run: its first argument.
        folder: parent of the folders, which are deleted after KEPT seconds.
    """

    def __init__(self, predict: Predict, run: str, folder: Path):
        self._predict, self._run, self._folder = predict, run, folder

    def answer(
        self, panel: Panel, values: list, image: Path | None = None, mask: Path | None = None
    ) -> Answer:
        """Calls `predict`.

        Args:
            panel: the tab.
            values: of its fields, in their order.
            image: the input image, if the tab has one.
            mask: mask of the part to fill, if the tab has one.

        Raises:
            UserError: as the verb, without the folders of the files.
        """
        self._delete_old()
        folder = self.new_folder()
        arguments = [self._run, "--output", str(folder), *panel.arguments]
        for each, value in zip(panel.fields, values, strict=True):
            arguments += each.arguments(value)
        if mask is not None:
            arguments += ["--mask", str(mask)]
        printed = io.StringIO()
        try:
            if panel.image is not None:
                check_upload(image, panel.image)
                arguments.insert(1, str(image))
            with redirect_stdout(printed):
                self._predict(arguments)
        except UserError as error:
            raise UserError(_without_folders(str(error), image, mask)) from error
        return self._found(panel, folder, image, printed.getvalue())

    def new_folder(self) -> Path:
        """A new folder for files of one call."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _delete_old(self):
        for each in self._folder.iterdir():
            if time.time() - each.stat().st_mtime > KEPT:
                shutil.rmtree(each, ignore_errors=True)

    def _found(self, panel: Panel, folder: Path, image: Path | None, printed: str) -> Answer:
        lines = [line for line in printed.splitlines() if str(folder) not in line]
        note = _without_folders("\n".join(lines), image)
        if panel.result == "class":
            with open(folder / "predictions.csv", newline="") as file:
                rows = list(csv.DictReader(file))
            return Answer([], "", {row["class"]: float(row["probability"]) for row in rows})
        suffix = ".gif" if panel.result == "animation" else ".png"
        images = sorted(path for path in folder.iterdir() if path.suffix == suffix)
        if panel.result == "before and after":
            images = [_enlarged(image, images[0]), *images]
        return Answer(images, note)


def check_upload(image: Path | None, expected: Upload):
    """Raises a UserError where an image is missing, is none or is too large."""
    if image is None:
        raise UserError("there is no image yet: upload or draw one")
    height, width = image_file.size(image)
    if height * width > expected.most_pixels:
        raise UserError(
            f"{image.name}: has {width}x{height} pixels; the demo takes up to "
            f"{expected.most_pixels / 1e6:g} million, `predict` any number"
        )


def _enlarged(image: Path, result: Path) -> Path:
    """The input in the size of the result, by bicubic interpolation, as a file beside it."""
    folder = result.parent / BEFORE
    folder.mkdir()
    pixels = bicubic.resize(image_file.read(image), *image_file.size(result))
    image_file.write(folder / "input.png", np.asarray(pixels))
    return folder / "input.png"


def _without_folders(text: str, *paths: Path | None) -> str:
    """A text in which files are called by their names alone."""
    for path in filter(None, paths):
        text = text.replace(str(path), path.name)
    return text
