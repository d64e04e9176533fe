"""Labelled images as streams of (x, y), an image and its class."""

from typing import ClassVar, Literal

from common.data.reading import BadImages, Cache
from common.data.sources.labelled import EMBEDDED_COUNT, Found, Split, find
from common.data.sources.labelled_splits import ArraySplit
from common.data.stream import batch_indices, stream, to_unit
from common.errors import UserError, at_least_one
from common.images import image_file
from common.images.image_file import BadImage

import numpy as np
import tensorflow as tf

_CHUNK = 256  # number of images of an array that are resized at a time


class LabelledImages:
    """A dataset of pairs (x, y), square images and their classes.

    Images are center-cropped to a square and resized to `image_size` by bicubic interpolation.
    They are not augmented.

    Args:
        seed: seed for shuffling, and for a test split taken from the training images.
        dataset: mnist, fashion_mnist or cifar10, which are downloaded; usps; embedded, generated
            digits; stacked_mnist or stacked_digits, RGB images with a digit in each channel; an
            .npz file with x_train and optionally y_train, x_test and y_test, read into memory at
            once; tfds:NAME, images of TensorFlow Datasets; or a folder of images, or of one folder
            of images per class, each under train/ and test/ or without. Default: mnist if on disk
            or downloadable, else embedded.
        data_dir: folder of named datasets, NAME.npz each, where they are also downloaded to;
            default ~/.keras/datasets, for tfds:NAME ~/tensorflow_datasets.
        image_size: side of the images in pixels; default that of the arrays, or for image files the
            usual shorter side, rounded to 4 to 7 times a power of two and at most 64.
        channels: 3 for RGB, 1 for grayscale; default those of the arrays or of most image files.
        embedded_count: number of training images of the embedded dataset, which has half as many
            test images.
        train_count: number of training images to use, drawn by the seed; default all.
        skip_bad_images: replace an unreadable image by the next readable one instead of failing.
        cache_mb: megabytes of training images, read from files or resized, to keep in memory.
        class_names: names of the classes in the order of their labels, as in [cat,dog]; default by
            size if all are numbers, else in natural order: a2, a10, b.

    Raises:
        UserError: the dataset cannot be found or read; the message says where it was looked for.
    """

    model_arguments: ClassVar[tuple[str, ...]] = ("image_size", "channels", "classes")

    def __init__(
        self,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        embedded_count: int = EMBEDDED_COUNT,
        train_count: int | None = None,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
        class_names: list[str] | None = None,
    ):
        check_form(image_size, channels)
        found = find(dataset, data_dir, seed, embedded_count, class_names, train_count)
        self._take(found, seed, image_size, channels, skip_bad_images, cache_mb)

    @classmethod
    def of(
        cls,
        found: Found,
        seed: int,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ) -> "LabelledImages":
        """The images of a dataset that is already found; arguments as for the constructor."""
        data = cls.__new__(cls)
        data._take(found, seed, image_size, channels, skip_bad_images, cache_mb)
        return data

    def _take(
        self,
        found: Found,
        seed: int,
        image_size: int | None,
        channels: int | None,
        skip_bad_images: bool,
        cache_mb: int,
    ):
        self.seed = seed
        self.name = found.name
        self.splits: dict[str, Split] = {"train": found.train, "test": found.test}
        self.image_size = image_size or found.side
        self.channels = channels or found.channels
        self.class_names = found.class_names
        self._file_side = found.file_side
        self._bad = BadImages(skip_bad_images)
        self._cache = Cache(cache_mb)

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def classes(self) -> int:
        """Number of classes; 0 without labels."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image."""
        return self.image_size, self.image_size, self.channels

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        return {
            "dataset": self.name,
            "image_size": self.image_size,
            "channels": self.channels,
            "classes": self.classes,
            "class_names": self.class_names,
        }

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        size = f"{self.image_size}x{self.image_size}"
        if self._file_side not in (None, self.image_size):
            size += f" from about {self._file_side} px"
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        classes = f"{self.classes} classes" if self.classes else "no labels"
        return f"{self.name} ({self.training_count} images, {size}, {channels}, {classes})"

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others.

        The order of the batches and a random test split depend on them.
        """
        return {
            split: f"{len(part)} images, {part.digest()[:16]}"
            for split, part in self.splits.items()
        }

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (x, y) for the steps in [start, stop), in whichever epoch they are.

        x is float32 (batch_size, image_size, image_size, channels) in [-1, 1], y int32
        (batch_size,), zeros without labels. With `rows`, only these rows of each batch are loaded.
        """

        def load(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            indices = batch_indices(numbers, self.training_count, batch_size, self.seed)
            return self.training_batch(indices)

        specs = [tf.TensorSpec(self.shape, tf.uint8), tf.TensorSpec((), tf.int32)]
        return stream(load, specs, batch_size, start, stop, rows, finish=images_to_unit)

    def training_batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Training images uint8 (n, S, S, C) and labels int32 (n,) at the indices (n,)."""
        train = self.splits["train"]
        if self._ready(train):
            return train.take(indices), train.labels[indices]
        if isinstance(train, ArraySplit):
            return self._resized(train, indices), train.labels[indices]
        numbers, images = zip(*map(self._readable, indices.tolist()), strict=True)
        return np.stack(images), train.labels[list(numbers)]

    def arrays(
        self, split: Literal["train", "test"], count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the first `count` images of a split, or all, in a fixed shuffled order.

        Returns:
            x uint8 (N, image_size, image_size, channels) and y int32 (N,), zeros without labels. N
            is less than `count` if fewer images of the split can be read.

        Raises:
            UserError: an image cannot be read and bad ones are not skipped, or none can be read.
        """
        part = self.splits[split]
        order = np.random.default_rng([self.seed, 2]).permutation(len(part))
        wanted = len(part) if count is None else min(count, len(part))
        if self._ready(part):
            return part.take(order[:wanted]), part.labels[order[:wanted]]
        x, numbers = np.empty((wanted, *self.shape), np.uint8), []
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

    def _ready(self, part: Split) -> bool:
        """Whether the images are in an array and of the right size."""
        return isinstance(part, ArraySplit) and part.shape == self.shape

    def _resized(self, train: ArraySplit, indices: np.ndarray) -> np.ndarray:
        """Training images of an array, resized, uint8 (N, *self.shape)."""
        numbers = indices.tolist()
        missing = [number for number in numbers if number not in self._cache]
        images = map(self._fitted, train.take(np.array(missing, int)))
        made = dict(zip(missing, images, strict=True))
        return np.stack([self._cache.get(n, lambda n=n: made[n]) for n in numbers])

    def _readable(self, index: int) -> tuple[int, np.ndarray]:
        """The index of the training image at `index`, or of the next readable one, and it."""

        def read(number: int) -> np.ndarray:
            return self._cache.get(number, lambda: self._fitted(self.splits["train"].read(number)))

        message = f"--dataset {self.name}: no training image can be read"
        return self._bad.next_readable(read, index, self.training_count, message)

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        """An image cropped, resized and converted: uint8 *self.shape, own memory."""
        return image_file.square(image_file.to_channels(image, self.channels), self.image_size)


def check_form(image_size: int | None, channels: int | None):
    """Raises a UserError for options that no images can have."""
    if channels not in (None, 1, 3):
        raise UserError(f"--channels {channels}: give 3 for RGB or 1 for grayscale")
    at_least_one(image_size=image_size)


def images_to_unit(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Images uint8 -> float32 in [-1, 1], and their labels."""
    return to_unit(x), y
