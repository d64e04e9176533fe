"""Images with labels as streams of (x, y), an image and its class."""

from typing import ClassVar, Literal

from common.data.reading import BadImages, Cache
from common.data.sources.labelled import EMBEDDED_COUNT, ArraySplit, Split, find
from common.data.stream import batch_indices, stream, to_unit
from common.errors import UserError, at_least_one
from common.images import image_file
from common.images.image_file import BadImage

import numpy as np
import tensorflow as tf

_CHUNK = 256  # images of an array that are resized at a time


class LabelledImages:
    """A data set of (x, y): square images and their classes.

    Images are cropped to a square around their centre and resized by bicubic interpolation where
    they are not of the size that is asked for. They are not augmented.

    Args:
        seed: of a test split that has to be cut from the training images, and of the streams'
            order.
        dataset: mnist, fashion_mnist or cifar10, which are downloaded; usps; embedded, a set of
            generated digits; an .npz file with x_train, y_train, x_test and y_test, of which only
            the first must be there, read into memory whole; a folder of images, or of folders of
            images, one for each class; under train/ and test/ or not. Default: mnist if it is on
            disk or can be downloaded, else embedded.
        data_dir: where named sets lie, as NAME.npz, and are downloaded to; default
            ~/.keras/datasets.
        image_size: side of the images in pixels; default their own, 64 for those in folders.
        channels: 3 for RGB, 1 for grey; default their own, 3 for those in folders.
        embedded_count: training images of the embedded set; half as many are held out.
        skip_bad_images: let the next image stand in for one that cannot be read, instead of
            stopping.
        cache_mb: megabytes of training images that were read from files, or resized, and may
            stay in memory.

    Raises:
        UserError: the set cannot be found or read; the message says where it was looked for.
    """

    decides: ClassVar[tuple[str, ...]] = ("image_size", "channels", "classes")

    def __init__(
        self,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        embedded_count: int = EMBEDDED_COUNT,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ):
        if channels not in (None, 1, 3):
            raise UserError(f"--channels {channels}: give 3 for RGB or 1 for grey")
        at_least_one(image_size=image_size)
        found = find(dataset, data_dir, seed, embedded_count)
        self.seed = seed
        self.name = found.name
        self.splits: dict[str, Split] = {"train": found.train, "test": found.test}
        self.image_size = image_size or found.side
        self.channels = channels or found.channels
        self.class_names = found.class_names
        self._bad = BadImages(skip_bad_images)
        self._cache = Cache(cache_mb)

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def classes(self) -> int:
        """0: there are no labels."""
        return len(self.class_names)

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    @property
    def found(self) -> dict:
        """Options as resolved: a resumed run must not find another set, or other images."""
        return {
            "dataset": self.name,
            "image_size": self.image_size,
            "channels": self.channels,
            "classes": self.classes,
            "class_names": self.class_names,
        }

    @property
    def described(self) -> str:
        """The set in a few words."""
        size = f"{self.image_size}x{self.image_size}"
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        classes = f"{self.classes} classes" if self.classes else "no labels"
        return f"{self.name} ({self.training_count} images, {size}, {channels}, {classes})"

    def fingerprint(self) -> dict[str, str]:
        """What tells this data from other data: by split, the count and a hash.

        The order of the batches and the cut of a split depend on the count.
        """
        return {
            split: f"{len(part)} images, {part.digest()[:16]}"
            for split, part in self.splits.items()
        }

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (x, y) of the steps from `start` to before `stop`, whatever epoch.

        x is float32 (batch_size, image_size, image_size, channels) in [-1, 1], y int32
        (batch_size,), zeros if there are no labels. With `rows`, only these rows are made.
        """

        def load(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            indices = batch_indices(numbers, self.training_count, batch_size, self.seed)
            return self._training_batch(indices)

        specs = [tf.TensorSpec(self._shape, tf.uint8), tf.TensorSpec((), tf.int32)]
        return stream(load, specs, batch_size, start, stop, rows, finish=images_to_unit)

    def arrays(
        self, split: Literal["train", "test"], count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` images of a split, or all, in a shuffled order that stays the same.

        Returns:
            x uint8 (N, image_size, image_size, channels) and y int32 (N,), zeros if there are no
            labels. N is less than `count` if the split has not so many that can be read.

        Raises:
            UserError: an image cannot be read and bad ones are not skipped, or none can be read.
        """
        part = self.splits[split]
        order = np.random.default_rng([self.seed, 2]).permutation(len(part))
        wanted = len(part) if count is None else min(count, len(part))
        if self._as_is(part):
            return part.take(order[:wanted]), part.labels[order[:wanted]]
        x, numbers = np.empty((wanted, *self._shape), np.uint8), []
        if isinstance(part, ArraySplit):
            for first in range(0, wanted, _CHUNK):
                some = order[first : min(first + _CHUNK, wanted)]
                x[first : first + len(some)] = [self._fitted(one) for one in part.take(some)]
            return x, part.labels[order[:wanted]]
        for number in order.tolist():
            if len(numbers) == wanted:
                break
            try:
                x[len(numbers)] = self._fitted(part.read(number))
            except BadImage as error:
                self._bad.report(error)
                continue
            numbers.append(number)
        if wanted and not numbers:
            raise UserError(f"--dataset {self.name}: no {split} image can be read")
        return x[: len(numbers)], part.labels[numbers]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.image_size, self.image_size, self.channels

    def _as_is(self, part: Split) -> bool:
        """Whether the images lie in an array and need no change."""
        return isinstance(part, ArraySplit) and part.shape == self._shape

    def _training_batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        train = self.splits["train"]
        if self._as_is(train):
            return train.take(indices), train.labels[indices]
        if isinstance(train, ArraySplit):
            return self._resized(train, indices), train.labels[indices]
        numbers, shown = zip(*map(self._readable, indices.tolist()), strict=True)
        return np.stack(shown), train.labels[list(numbers)]

    def _resized(self, train: ArraySplit, indices: np.ndarray) -> np.ndarray:
        """Training images of an array as they are asked for, (N, *self._shape)."""
        numbers = indices.tolist()
        missing = [number for number in numbers if number not in self._cache]
        images = map(self._fitted, train.take(np.array(missing, int)))
        made = dict(zip(missing, images, strict=True))
        return np.stack([self._cache.get(n, lambda n=n: made[n]) for n in numbers])

    def _readable(self, index: int) -> tuple[int, np.ndarray]:
        """The training image at `index`, or the next one that can be read, and its number."""

        def read(number: int) -> np.ndarray:
            return self._cache.get(number, lambda: self._fitted(self.splits["train"].read(number)))

        message = f"--dataset {self.name}: no training image can be read"
        return self._bad.next_readable(read, index, self.training_count, message)

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        """An image as it is asked for: uint8 (image_size, image_size, channels), own memory."""
        return image_file.square(image_file.to_channels(image, self.channels), self.image_size)


def images_to_unit(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Images uint8 -> float32 in [-1, 1], and their labels."""
    return to_unit(x), y
