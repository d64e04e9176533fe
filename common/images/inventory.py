"""Records of the image files in folders, by which a run tells files that are missing or new."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

Names = Mapping[str, Sequence[str]]  # names of files by the absolute path of their folder


class Inventory:
    """The image files that `listing.find` finds while `recording`, compared with those expected.

    Args:
        expected: files of an earlier inventory.
        keep: whether expected files are found even if they are missing, so that the others keep
            their order and their splits; reading a missing one then raises BadImage.

    Attributes:
        found: names of the files that were found, by folder.
    """

    def __init__(self, expected: Names | None = None, keep: bool = False):
        self._expected, self._keep = expected or {}, keep
        self.found: dict[str, list[str]] = {}
        self.missing: list[Path] = []
        self.new: list[Path] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def note(self, folder: Path, names: set[str]) -> set[str]:
        """Notes the names of the files in a folder and returns those that count as found."""
        key = str(folder.resolve())
        if key not in self.found and key in self._expected:
            expected = set(self._expected[key])
            self.missing += [folder / name for name in sorted(expected - names)]
            self.new += [folder / name for name in sorted(names - expected)]
        if self._keep:
            stems = {Path(name).stem for name in names}  # another format replaces a missing file
            expected = self._expected.get(key, ())
            names = names.union(name for name in expected if Path(name).stem not in stems)
        self.found[key] = sorted(names)
        return names


_current: ContextVar[Inventory | None] = ContextVar("inventory", default=None)


def note(folder: Path, names: set[str]) -> set[str]:
    """`Inventory.note` of the inventory that is recording, if one is."""
    inventory = _current.get()
    return names if inventory is None else inventory.note(folder, names)
