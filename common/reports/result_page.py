"""HTML pages of results: images, tables and curves in one file that opens from disk, no server.

A page embeds everything except linked images, which are in its own folder, so the folder can be
moved or mailed as a whole. The layout is `result_page.html`.
"""

import base64
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from common.images import image_file
from common.io.atomic import atomic_file

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

NAME = "index.html"
LIMIT = 1000  # images or rows per page; browsers are slow with more
SIDE = 512  # px, maximum side of an embedded image
THUMBNAIL = 256  # px, the same for pages of whole folders
_EXACT = 128  # px, up to this side images are stored losslessly and shown without smoothing
_HEAVY = 16_000_000  # pixels from which a linked image is not displayed on the page

GENERATOR = "zoo of GANs"  # distinguishes our pages from another program's index.html
_FILES = re.compile(r'<script type="application/json" id="files">(.*?)</script>')
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class LinkedImage:
    """An image file in the page's folder, which the page links to instead of embedding it.

    Attributes:
        name: file name.
        height, width: size of the image in pixels.
    """

    name: str
    height: int
    width: int

    @classmethod
    def of(cls, file: Path) -> "LinkedImage":
        """The link to an existing file."""
        with Image.open(file) as image:
            return cls(file.name, image.height, image.width)


class ResultPage:
    """A page of results: tables, notes, charts, and images in rows or in a gallery.

    Args:
        title: heading of the page.
        facts: values shown below the heading, by name.
        options: values in a collapsed section, by name, such as the options of a run.
        side: maximum side in pixels of embedded images; larger ones are scaled down.
    """

    def __init__(self, title: str, facts: dict, options: dict | None = None, side: int = SIDE):
        self.title, self.facts, self.options, self.side = title, facts, options or {}, side
        self.tables: list[dict] = []
        self.notes: list[str] = []
        self.charts: list[dict] = []
        self.groups: list[dict] = []
        self.files: list[str] = []  # written beside the page; `files_in` reads them back
        self.left_out = 0
        self._path: Path | None = None

    def table(self, rows: Sequence[Sequence[str]], caption: str = ""):
        """Adds a table; its first row and first column are headers."""
        self.tables.append({"caption": _text(caption), "rows": [[*map(_text, r)] for r in rows]})

    def note(self, text: str):
        """Adds preformatted text."""
        self.notes.append(_text(text))

    def chart(self, title: str, image: np.ndarray):
        """Adds a full-width image, uint8 (H, W, 3), in a collapsed section."""
        height, width = image.shape[:2]
        shown = {"source": data_url(image), "height": height, "width": width}
        self.charts.append(shown | {"title": _text(title)})

    def row(self, name: str, shown: dict[str, np.ndarray | LinkedImage]):
        """Adds a row of images side by side.

        Args:
            name: heading of the row, such as the file name of the input.
            shown: images by caption, uint8 (H, W, 1 or 3) or linked.
        """
        if self._has_room():
            figures = [self._figure(*item, f"{item[0]}: {name}") for item in shown.items()]
            self.groups.append({"name": _text(name), "figures": figures, "gallery": False})

    def single(self, caption: str, shown: np.ndarray | LinkedImage):
        """Adds an independent image to the gallery."""
        if self._has_room():
            if not (self.groups and self.groups[-1]["gallery"]):
                self.groups.append({"name": "", "figures": [], "gallery": True})
            self.groups[-1]["figures"].append(self._figure(caption, shown, caption))

    def write(self, path: Path):
        """Writes the page atomically; an existing file that is not a result page is kept.

        Raises:
            UserError: it cannot be written.
        """
        if path.exists() and not _is_ours(path):
            print(f"{path}: not a result page, left unchanged")
            return
        shown = vars(self) | {"generator": GENERATOR, "title": _text(self.title)}
        shown["files"] = [quote(os.fsencode(name)) for name in self.files]
        shown["facts"], shown["options"] = _written(self.facts), _written(self.options)
        content = _TEMPLATES.get_template("result_page.html").render(shown)
        with atomic_file(path) as part:
            part.write_text(content, encoding="utf-8")
        if self._path != path:  # a page may be extended and written again
            print(f"page: {path}")
            self._path = path

    def _has_room(self) -> bool:
        room = sum(len(g["figures"]) if g["gallery"] else 1 for g in self.groups) < LIMIT
        self.left_out += not room
        return room

    def _figure(self, caption: str, shown: np.ndarray | LinkedImage, alt: str) -> dict:
        """The variables of the template for one image."""
        figure = {"caption": _text(caption), "alt": _text(alt), "link": None, "source": None}
        if isinstance(shown, LinkedImage):
            height, width = shown.height, shown.width
            figure["link"] = quote(os.fsencode(shown.name))  # any bytes may be in a file name
            if height * width < _HEAVY:
                figure["source"] = figure["link"]
        else:
            shown = scaled_down(shown, self.side)
            height, width = shown.shape[:2]
            figure["source"] = data_url(shown)
        exact = max(height, width) <= _EXACT
        return figure | {"height": height, "width": width, "exact": exact}


def files_in(folder: Path) -> list[str]:
    """The `files` of the page in a folder; empty if there is no page of this project."""
    path = folder / NAME
    if not _is_ours(path):
        return []
    found = _FILES.search(path.read_text(encoding="utf-8", errors="replace"))
    return [os.fsdecode(unquote_to_bytes(name)) for name in json.loads(found[1])] if found else []


def scaled_down(image: np.ndarray, side: int) -> np.ndarray:
    """The image, uint8 (H, W, C), shrunk if necessary so that no side exceeds `side` pixels."""
    height, width = image.shape[:2]
    factor = side / max(height, width, side)
    if factor == 1:
        return image
    return image_file.resize(image, max(1, round(height * factor)), max(1, round(width * factor)))


def data_url(image: np.ndarray) -> str:
    """uint8 (H, W, 1 or 3) as a data URL: PNG if it is small, otherwise WebP."""
    suffix = "png" if max(image.shape[:2]) <= _EXACT else "webp"
    content = base64.b64encode(image_file.encode(image, f".{suffix}")).decode()
    return f"data:image/{suffix};base64,{content}"


def _text(value: object) -> str:
    """As valid UTF-8: file names need not be."""
    return str(value).encode("utf-8", "replace").decode()


def _written(values: dict) -> dict[str, str]:
    return {
        _text(name): ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)
        for name, value in values.items()
        if value is not None
    }


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return f'content="{GENERATOR}"'.encode() in file.read(500)
