"""Paired images as streams of (x, y), an input image and its target."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from common.data.reading import BadImages, Cache
from common.data.sources.paired import EMBEDDED, NAMED, Pair, find_splits
from common.data.sources.splits import fingerprint
from common.data.stream import all_to_unit, per_sample, shuffled, stream
from common.errors import UserError, at_least_one
from common.images import image_file

import numpy as np
import tensorflow as tf

Direction = Literal["AtoB", "BtoA"]


class PairedImages:
    """A dataset of pairs (x, y), an input image and its target, both square.

    Training images are resized to `load_size` by bicubic interpolation, randomly cropped to
    `image_size` and randomly mirrored, x and y alike (Isola et al. 2017, appendix 6.2). Held-out
    images are only resized to `image_size`.

    Args:
        image_size: side of the images in pixels.
        channels_in: channels of x, 1 or 3.
        channels_out: channels of y, 1 or 3.
        seed: seed for shuffling and augmentation, and for splits taken from the training images.
        dataset: a folder; or facades, maps, edges2shoes, edges2handbags, cityscapes or night2day,
            which are downloaded; emoji, in two drawing styles, which must be in --data_dir; or
            embedded, a generated dataset. A folder holds train/ (val/, test/) with pairs side by
            side in one file; or trainA/ and trainB/ (valA/, ...), or A/ and B/, split in the same
            way or not at all, with files of equal names. Default: facades if on disk or
            downloadable, else embedded.
        data_dir: folder of named datasets, where they are also downloaded to; default
            ~/.keras/datasets.
        direction: which side is the input. AtoB: the left half, or folder A. Default: as in the
            paper for a named dataset, AtoB for a folder.
        load_size: side before the random crop; default 286/256 of image_size; image_size for no
            crop.
        flip: whether training images are randomly mirrored.
        skip_bad_images: replace an unreadable pair by the next readable one, and leave out images
            without counterpart, instead of failing.
        cache_mb: megabytes of resized training images to keep in memory.

    Raises:
        UserError: the dataset cannot be found or read; the message says where it was looked for.
    """

    model_arguments: ClassVar[tuple[str, ...]] = ()  # arguments of the model, given by the data

    def __init__(
        self,
        image_size: int,
        channels_in: int,
        channels_out: int,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        direction: Direction | None = None,
        load_size: int | None = None,
        flip: bool = True,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ):
        for option, channels in (("channels_in", channels_in), ("channels_out", channels_out)):
            if channels not in (1, 3):
                raise UserError(f"--{option} {channels}: give 3 for RGB or 1 for grayscale")
        at_least_one(image_size=image_size)
        self.load_size = round(image_size * 286 / 256) if load_size is None else load_size
        if self.load_size < image_size:
            raise UserError(f"--load_size {load_size}: give at least --image_size {image_size}")
        self.image_size = image_size
        self.seed = seed
        self.flip = flip
        self.name, self.splits = find_splits(dataset, data_dir, seed, skip_bad_images)
        self.direction = direction or NAMED.get(self.name, "BtoA" if self.embedded else "AtoB")
        self.channels = channels_in, channels_out  # of x and of y
        self._bad = BadImages(skip_bad_images)
        self._cache = Cache(cache_mb)

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def embedded(self) -> bool:
        return self.name == EMBEDDED

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        return {"dataset": self.name, "direction": self.direction, "load_size": self.load_size}

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        return f"{self.name} ({self.direction})"

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others.

        The order of the batches and the random splits depend on them.
        """
        names = {split: [pair.name for pair in pairs] for split, pairs in self.splits.items()}
        return fingerprint(names, "pairs")

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (x, y) for the steps in [start, stop), in whichever epoch they are.

        x is float32 (batch_size, image_size, image_size, channels_in) in [-1, 1], y likewise with
        channels_out. With `rows`, only these rows of each batch are loaded.
        """
        shapes = [(self.image_size, self.image_size, channels) for channels in self.channels]
        specs = [tf.TensorSpec(shape, tf.uint8) for shape in shapes]
        sample = shuffled(self._training_sample, self.training_count, batch_size, self.seed)
        arguments = specs, batch_size, start, stop, rows
        return stream(per_sample(sample), *arguments, finish=all_to_unit, chunk=1)

    def pairs(
        self, split: str, count: int | None = None
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(name, x, y) of the first `count` readable pairs of a split, in order, not augmented.

        x is float32 (image_size, image_size, channels_in) in [-1, 1], y likewise.
        """
        for pair, (a, b) in self._bad.readable(self._read, self.splits[split], count):
            yield pair.name, *map(image_file.to_unit, self._as_input_and_target(a, b))

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        return pair.read(self.image_size)

    def _training_sample(
        self, index: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(x, y), augmented, uint8."""
        a, b = self._resized(index)
        room = self.load_size - self.image_size
        top, left = random.integers(0, room, size=2, endpoint=True)
        mirror = self.flip and random.random() < 0.5
        crop = np.s_[top : top + self.image_size, left : left + self.image_size]
        halves = (image_file.mirrored(half[crop]) if mirror else half[crop] for half in (a, b))
        return self._as_input_and_target(*halves)

    def _resized(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair at `index`, or the next readable one; resized, before the crop."""

        def read(number: int) -> tuple[np.ndarray, np.ndarray]:
            pair = self.splits["train"][number]
            return self._cache.get(number, lambda: pair.read(self.load_size))

        message = f"--dataset {self.name}: no training image can be read"
        return self._bad.next_readable(read, index, self.training_count, message)[1]

    def _as_input_and_target(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sides = (a, b) if self.direction == "AtoB" else (b, a)
        return tuple(
            image_file.to_channels(side, channels)
            for side, channels in zip(sides, self.channels, strict=True)
        )
