"""Pages of results: images side by side in one HTML file that opens from disk, without a server.

A page needs no other file but the images that lie beside it: everything else is within it, so
that it can be moved or mailed with its folder. The layout is `result_page.html`.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from common.images import image_file
from common.io.atomic import atomic_file

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

NAME = "index.html"
LIMIT = 1000  # images or rows on a page; a browser takes its time over more
SIDE = 512  # px, the most that a page holds of an image
THUMBNAIL = 256  # px, the same where the pages are of whole folders
_EXACT = 128  # px: up to here an image is kept exactly, and shown with its pixels
_HEAVY = 16_000_000  # px: from here on an image is linked to, and not shown

GENERATOR = "zoo of GANs"  # tells a page from an index.html that is somebody else's
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Beside:
    """An image file that lies beside the page.

    Attributes:
        name: of the file.
        height, width: of the image, in pixels.
    """

    name: str
    height: int
    width: int

    @classmethod
    def of(cls, file: Path) -> "Beside":
        """Of a file that is there."""
        with Image.open(file) as image:
            return cls(file.name, image.height, image.width)


class Page:
    """A page of results in the making: tables, notes, charts, and images in rows or in a heap.

    Args:
        title: its head.
        facts: what the results are of, by name.
        options: more of the same, which is shown when asked for; such as a run's options.
        side: pixels; images that the page holds itself are scaled down to this side.
    """

    def __init__(self, title: str, facts: dict, options: dict | None = None, side: int = SIDE):
        self.title, self.facts, self.options, self.side = title, facts, options or {}, side
        self.tables: list[dict] = []
        self.notes: list[str] = []
        self.charts: list[dict] = []
        self.groups: list[dict] = []
        self.left_out = 0
        self._path: Path | None = None

    def table(self, rows: Sequence[Sequence[str]], caption: str = ""):
        """Adds a table; the first row and the first column are heads."""
        self.tables.append({"caption": _text(caption), "rows": [[*map(_text, r)] for r in rows]})

    def note(self, text: str):
        """Adds lines of text, which keep their spaces."""
        self.notes.append(_text(text))

    def chart(self, title: str, image: np.ndarray):
        """Adds an image, uint8 (H, W, 3), as wide as the page, which is shown when asked for."""
        height, width = image.shape[:2]
        shown = {"source": data_url(image), "height": height, "width": width}
        self.charts.append(shown | {"title": _text(title)})

    def row(self, name: str, shown: dict[str, np.ndarray | Beside]):
        """Adds images that belong together, side by side.

        Args:
            name: of the row, such as the input's file name.
            shown: by caption, uint8 (H, W, 1 or 3) or a file beside the page.
        """
        if self._has_room():
            figures = [self._figure(*item, f"{item[0]}: {name}") for item in shown.items()]
            self.groups.append({"name": _text(name), "figures": figures, "heap": False})

    def single(self, caption: str, shown: np.ndarray | Beside):
        """Adds an image to the heap, in which each stands for itself."""
        if self._has_room():
            if not (self.groups and self.groups[-1]["heap"]):
                self.groups.append({"name": "", "figures": [], "heap": True})
            self.groups[-1]["figures"].append(self._figure(caption, shown, caption))

    def write(self, path: Path):
        """Writes the page, unless a file of that name is there that is no such page.

        Raises:
            UserError: it cannot be written.
        """
        if path.exists() and not _is_ours(path):
            print(f"{path}: is no page of results, and is left as it is")
            return
        shown = vars(self) | {"generator": GENERATOR, "title": _text(self.title)}
        shown["facts"], shown["options"] = _written(self.facts), _written(self.options)
        content = _TEMPLATES.get_template("result_page.html").render(shown)
        with atomic_file(path) as part:
            part.write_text(content, encoding="utf-8")
        if self._path != path:  # more may be added, and the page be written again
            print(f"page: {path}")
            self._path = path

    def _has_room(self) -> bool:
        room = sum(len(g["figures"]) if g["heap"] else 1 for g in self.groups) < LIMIT
        self.left_out += not room
        return room

    def _figure(self, caption: str, shown: np.ndarray | Beside, alt: str) -> dict:
        """What the layout needs to know of an image."""
        figure = {"caption": _text(caption), "alt": _text(alt), "link": None, "source": None}
        if isinstance(shown, Beside):
            height, width = shown.height, shown.width
            figure["link"] = quote(os.fsencode(shown.name))  # as a URL, whatever the name
            if height * width < _HEAVY:
                figure["source"] = figure["link"]
        else:
            shown = scaled_down(shown, self.side)
            height, width = shown.shape[:2]
            figure["source"] = data_url(shown)
        exact = max(height, width) <= _EXACT
        return figure | {"height": height, "width": width, "exact": exact}


def scaled_down(image: np.ndarray, side: int) -> np.ndarray:
    """The image, uint8 (H, W, C), made so small that no side is longer than `side`."""
    height, width = image.shape[:2]
    factor = side / max(height, width, side)
    if factor == 1:
        return image
    return image_file.resize(image, max(1, round(height * factor)), max(1, round(width * factor)))


def data_url(image: np.ndarray) -> str:
    """uint8 (H, W, 1 or 3) as a URL that holds it: PNG where it is small, else WebP."""
    suffix = "png" if max(image.shape[:2]) <= _EXACT else "webp"
    content = base64.b64encode(image_file.encode(image, f".{suffix}")).decode()
    return f"data:image/{suffix};base64,{content}"


def _text(value: object) -> str:
    """As UTF-8 can write it: a file's name need not be text."""
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
