"""Reading training samples: a cache in memory, and what happens to images that cannot be read."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from threading import Lock
from typing import TypeVar

from common.errors import UserError
from common.images.image_file import BadImage

import numpy as np

Sample = TypeVar("Sample")
Arrays = TypeVar("Arrays", np.ndarray, tuple[np.ndarray, ...])


class Cache:
    """Arrays that stay in memory while there is room for them.

    Args:
        megabytes: size of the cache.
    """

    def __init__(self, megabytes: int):
        self._room = megabytes * 2**20  # bytes
        self._kept: dict[Hashable, np.ndarray | tuple[np.ndarray, ...]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable, make: Callable[[], Arrays]) -> Arrays:
        """Returns the cached arrays of `key`, or else those of `make()`, cached if they fit."""
        if key in self._kept:
            return self._kept[key]
        arrays = make()
        size = sum(array.nbytes for array in (arrays if isinstance(arrays, tuple) else [arrays]))
        with self._lock:
            if key not in self._kept and size <= self._room:
                self._kept[key] = arrays
                self._room -= size
        return arrays


class BadImages:
    """Images that cannot be read: each is an error, or is skipped and reported once.

    Args:
        skip: whether to skip them.

    Attributes:
        error: what stopped `next_readable`; the graph of a stream loses the exception.
    """

    def __init__(self, skip: bool):
        self.skip = skip
        self.error: UserError | None = None
        self._reported: set[str] = set()

    def report(self, error: BadImage):
        """Prints a line about an image the first time that it is skipped.

        Raises:
            UserError: bad images are not skipped.
        """
        if not self.skip:
            raise UserError(f"{error}, or skip it with --skip_bad_images") from error
        if str(error) not in self._reported:
            self._reported.add(str(error))
            print(f"skipped {error}")

    def readable(
        self, read: Callable[[Sample], Arrays], samples: Iterable[Sample], count: int | None
    ) -> Iterator[tuple[Sample, Arrays]]:
        """The first samples that can be read, and their arrays.

        Args:
            read: read(sample) -> arrays; raises BadImage.
            samples: the samples, in order.
            count: number of samples; default all.

        Raises:
            UserError: one cannot be read and bad images are not skipped.
        """

        def every() -> Iterator[tuple[Sample, Arrays]]:
            for sample in samples:
                try:
                    yield sample, read(sample)
                except BadImage as error:
                    self.report(error)

        return islice(every(), count)

    def next_readable(
        self, read: Callable[[int], Arrays], index: int, count: int, message: str
    ) -> tuple[int, Arrays]:
        """Reads the sample at `index`, or the next one that can be read.

        Args:
            read: read(index) -> arrays; raises BadImage.
            index: in [0, count).
            count: number of samples; the first one follows the last.
            message: the error if no sample can be read.

        Returns:
            The index of the sample that was read, and its arrays.

        Raises:
            UserError: bad images are not skipped, or there are no others.
        """
        try:
            for number in range(index, index + count):
                try:
                    return number % count, read(number % count)
                except BadImage as error:
                    self.report(error)
            raise UserError(message)
        except UserError as error:
            self.error = error
            raise
