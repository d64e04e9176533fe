"""Unpaired images as streams of (a, b), independent images of two domains."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Literal, NamedTuple

from common import errors
from common.data.labelled import LabelledImages
from common.data.reading import BadImages, Cache
from common.data.sources.changed_digits import DIGIT_SIDE, DIGITS, digit_splits
from common.data.sources.unpaired import (
    EMBEDDED,
    Usual,
    find_splits,
    usual_form,
)
from common.data.stream import all_to_unit, per_sample, shuffled, stream
from common.data.synthetic.facades import SMALLEST
from common.errors import UserError
from common.images import image_file

import numpy as np
import tensorflow as tf


class HeldOut(NamedTuple):
    """A held-out image.

    Attributes:
        name: name of its file.
        x: the image, float32 (image_size, image_size, channels) in [-1, 1].
        target: the same image in the other domain, if it is known; the same shape.
        label: the class of a digit, in a dataset of digits.
    """

    name: str
    x: np.ndarray
    target: np.ndarray | None
    label: int | None


class UnpairedImages:
    """An unpaired dataset: images of domain A and images of domain B, all square.

    Training images are resized to `load_size` by bicubic interpolation, randomly cropped to
    `image_size` and randomly mirrored, each independently (Zhu et al. 2017, the authors' code).
    Each domain is shuffled independently; an epoch is a pass over the larger one. Held-out images
    are only resized to `image_size`.

    Args:
        seed: seed for shuffling and augmentation, and for splits that are generated or taken from
            the training images.
        dataset: a folder; or apple2orange, horse2zebra, summer2winter_yosemite, monet2photo,
            cezanne2photo, ukiyoe2photo, vangogh2photo, maps, facades, iphone2dslr_flower or
            ae_photos, which are downloaded; embedded, generated facades by day and by night;
            mnist_outlines, mnist_negatives, digits_outlines or digits_negatives, MNIST or generated
            digits and the outlines or negatives of others; emoji, in two drawing styles, which must
            be in --data_dir; tfds:NAME, two domains of TensorFlow Datasets, such as
            tfds:cycle_gan/horse2zebra. A folder holds trainA/ and trainB/ (testA/, testB/), or A/
            and B/, each with images or with train/ (test/). Default: apple2orange if on disk or
            downloadable, else embedded.
        data_dir: folder of named datasets, where they are also downloaded to; default
            ~/.keras/datasets, for tfds:NAME ~/tensorflow_datasets.
        image_size: side of the images in pixels; default 128, for smaller images of a folder their
            usual shorter side, rounded to a multiple of 4; 32 for digits, 64 for emoji.
        channels: 3 for RGB, 1 for grayscale; default 3, 1 for digits and for a folder where most
            images of both domains are grayscale.
        load_size: side before the random crop; default 143/128 of image_size, for digits
            image_size: no crop.
        flip: whether training images are randomly mirrored; default true, false for digits.
        skip_bad_images: replace an unreadable image by the next readable one instead of failing.
        cache_mb: megabytes of resized training images to keep in memory.

    Raises:
        UserError: the dataset cannot be found or read; the message says where it was looked for.
    """

    model_arguments: ClassVar[tuple[str, ...]] = ("image_size", "channels")

    def __init__(
        self,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        load_size: int | None = None,
        flip: bool | None = None,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ):
        if channels not in (None, 1, 3):
            raise UserError(f"--channels {channels}: give 3 for RGB or 1 for grayscale")
        if image_size is not None:
            errors.at_least_one(image_size=image_size)
        self.seed = seed
        # Domain B has random numbers of its own; A takes the seed itself.
        self._seed_b = int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0])
        digits = dataset in DIGITS
        self.labelled: LabelledImages | None = None  # the dataset that digits come from
        if digits:
            base, change = DIGITS[dataset]
            self.labelled = LabelledImages(seed, base, data_dir)
            self.name = dataset
            self.splits = digit_splits(**self.labelled.splits, change=change, seed=seed)
            usual = Usual(DIGIT_SIDE, 1)
        else:
            self.name, self.splits = find_splits(dataset, data_dir, seed, skip_bad_images)
            usual = usual_form(self.name, self.splits)
        self.image_size = image_size or usual.side
        self.channels = channels or usual.channels
        margin = 1 if digits else 143 / 128
        self.load_size = round(self.image_size * margin) if load_size is None else load_size
        if self.load_size < self.image_size:
            raise UserError(f"--load_size {load_size}: give at least {self.image_size}, image_size")
        self.flip = not digits if flip is None else flip
        if self.name == EMBEDDED and self.image_size < SMALLEST:
            raise UserError(
                f"--image_size {self.image_size}: give at least {SMALLEST} for generated facades"
            )
        self._bad = BadImages(skip_bad_images)
        self._cache = Cache(cache_mb)

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        return {
            "dataset": self.name,
            "image_size": self.image_size,
            "channels": self.channels,
            "load_size": self.load_size,
            "flip": self.flip,
        }

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        a, b = (len(self.splits[split]) for split in ("trainA", "trainB"))
        size = f"{self.image_size}x{self.image_size}" + (
            ", grayscale" if self.channels == 1 else ""
        )
        return f"{self.name} ({a} images of A, {b} of B, {size})"

    @property
    def training_count(self) -> int:
        """Images of the larger domain."""
        return max(len(self.splits[split]) for split in ("trainA", "trainB"))

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others.

        The order of the batches and the random splits depend on them.
        """
        return {
            split: f"{len(domain)} images, {domain.digest()[:16]}"
            for split, domain in self.splits.items()
        }

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (a, b) for the steps in [start, stop), in whichever epoch they are.

        Each is float32 (batch_size, image_size, image_size, channels) in [-1, 1]. With `rows`,
        only these rows of each batch are loaded.
        """
        samples = [
            shuffled(partial(self._training_image, split), len(self.splits[split]), 1, seed)
            for split, seed in (("trainA", self.seed), ("trainB", self._seed_b))
        ]
        spec = tf.TensorSpec((self.image_size, self.image_size, self.channels), tf.uint8)
        load = per_sample(lambda number: tuple(sample(number) for sample in samples))
        arguments = [spec, spec], batch_size, start, stop, rows
        return stream(load, *arguments, finish=all_to_unit, chunk=1)

    def held_out(
        self, domain: Literal["A", "B"], split: Literal["train", "test"], count: int | None = None
    ) -> Iterator[HeldOut]:
        """The first `count` readable images of a domain's split, in order, not augmented."""
        source = self.splits[f"{split}{domain}"]

        def read(index: int) -> np.ndarray:
            return source.read(index, self.image_size)

        for index, x in self._bad.readable(read, range(len(source)), count):
            target = label = None
            if source.has_targets:
                target = self._to_float(source.target(index, self.image_size))
            if self.labelled is not None:
                label = source.label(index)
            yield HeldOut(source.name(index), self._to_float(x), target, label)

    def _training_image(self, split: str, index: int, random: np.random.Generator) -> np.ndarray:
        """The training image at `index`, augmented, uint8."""
        image = self._resized(split, index)
        room = self.load_size - self.image_size
        top, left = random.integers(0, room, size=2, endpoint=True)
        crop = image[top : top + self.image_size, left : left + self.image_size]
        mirror = self.flip and random.random() < 0.5
        return self._in_channels(image_file.mirrored(crop) if mirror else crop)

    def _resized(self, split: str, index: int) -> np.ndarray:
        """The training image at `index`, or the next readable one; resized, before the crop."""
        source = self.splits[split]

        def read(number: int) -> np.ndarray:
            return self._cache.get((split, number), lambda: source.read(number, self.load_size))

        message = f"--dataset {self.name}: no image of {split}/ can be read"
        return self._bad.next_readable(read, index, len(source), message)[1]

    def _to_float(self, image: np.ndarray) -> np.ndarray:
        return image_file.to_unit(self._in_channels(image))

    def _in_channels(self, image: np.ndarray) -> np.ndarray:
        return image_file.to_channels(np.ascontiguousarray(image), self.channels)
