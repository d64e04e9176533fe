"""Reads a result page as a browser would."""

import base64
import os
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes, urlsplit

from common.images import image_file

VOID = ("meta", "img", "br")


class Reader(HTMLParser):
    """Checks that tags are balanced; collects images, charts, links, URLs and text."""

    def __init__(self, path):
        super().__init__()
        self.images, self.charts, self.links = [], [], []
        self.text, self.urls, self._open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "img":
            (self.charts if "details" in self._open else self.images).append(found)
        if tag == "a":
            self.links.append(found["href"])
        self.urls += [found[name] for name in ("src", "href", "srcset", "action") if name in found]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += [data.strip()] if data.strip() and "style" not in self._open else []


def image_of(url, folder, channels=3):
    """The image that a browser would load for the URL of a page in the folder."""
    if url.startswith("data:"):
        return image_file.read(base64.b64decode(url.split(",", 1)[1]), channels)
    parts = urlsplit(url)
    assert not (parts.scheme or parts.netloc or parts.query or parts.fragment)
    path = os.path.join(os.fsencode(folder), unquote_to_bytes(parts.path))
    return image_file.read(os.fsdecode(path), channels)


def shown_on(path, channels=3):
    """The images of a page in order: (alternative text, image)."""
    images = Reader(path).images
    return [(image["alt"], image_of(image["src"], path.parent, channels)) for image in images]
