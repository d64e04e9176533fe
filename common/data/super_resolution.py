"""High-resolution images as streams of (lr, hr), a downscaled patch and the patch itself."""

from collections.abc import Iterator
from typing import ClassVar

from common.data.reading import BadImages, Cache
from common.data.sources.splits import fingerprint
from common.data.sources.super_resolution import Source, find_splits
from common.data.stream import per_sample, shuffled, stream, to_unit
from common.errors import UserError
from common.images import bicubic, listing
from common.images.image_file import BadImage

import numpy as np
import tensorflow as tf


class HighResolutionImages:
    """A dataset of pairs (lr, hr): low-resolution patches and the patches they were made from.

    A training patch is cropped at random and downscaled by MATLAB's bicubic as a part of its image:
    the surrounding pixels contribute to those at its border, as they do in a full image.

    Args:
        image_size: side of the high-resolution patches in pixels, a multiple of `scale`.
        scale: downscaling factor.
        seed: seed for shuffling and augmentation, for a val split taken from the training images,
            and for generated images.
        dataset: a folder of images, or several separated by commas, each with train/ and val/ or
            without; div2k, which is downloaded (3.7 GB); tfds:NAME, images of TensorFlow Datasets;
            or embedded, generated textures.
            Default: div2k if on disk or downloadable, else embedded.
        data_dir: folder of named datasets, where they are also downloaded to; default
            ~/.keras/datasets, for tfds:NAME ~/tensorflow_datasets.
        augment: whether patches are randomly mirrored and rotated by quarter turns.
        skip_bad_images: replace an image that is unreadable, or smaller than a patch, by the next
            one instead of failing.
        cache_mb: megabytes of training images to keep in memory. Those that do not fit are read
            again for each patch, which for large files may take longer than the training step.

    Raises:
        UserError: the dataset cannot be found or read; the message says where it was looked for.
    """

    model_arguments: ClassVar[tuple[str, ...]] = ()  # arguments of the model, given by the data

    def __init__(
        self,
        image_size: int,
        scale: int,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        augment: bool = True,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ):
        self.image_size, self.scale = image_size, scale
        self.seed = seed
        self.augment = augment
        self.name, self.splits = find_splits(dataset, data_dir, seed)
        self._bad = BadImages(skip_bad_images)
        self._cache = Cache(cache_mb)

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        return {"dataset": self.name}

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        return f"{self.name} ({self.training_count} images, x{self.scale})"

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others."""
        names = {split: [source.name for source in each] for split, each in self.splits.items()}
        return fingerprint(names, "images")

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (lr, hr) for the steps in [start, stop), in whichever epoch they are.

        hr is float32 (batch_size, image_size, image_size, 3) in [-1, 1], lr float32 in [0, 1] with
        sides image_size / scale. An epoch takes one patch of each image. With `rows`, only these
        rows of each batch are loaded.
        """
        sides = self.image_size // self.scale, self.image_size
        specs = [tf.TensorSpec((side, side, 3), tf.uint8) for side in sides]
        sample = shuffled(self._training_sample, self.training_count, batch_size, self.seed)
        arguments = specs, batch_size, start, stop, rows
        return stream(per_sample(sample), *arguments, finish=to_ranges, chunk=1)

    def originals(
        self, split: str, count: int | None = None, least: int = 1
    ) -> Iterator[tuple[str, np.ndarray]]:
        """(name, image) of the first `count` readable ones of a split, uint8 (H, W, 3).

        Args:
            split: "train" or "val".
            count: number of images; default all.
            least: pixels; an image with a shorter side counts as unreadable.
        """
        sources = self.splits[split]
        names = listing.distinct_names([source.path for source in sources])

        def load(index: int) -> np.ndarray:
            return read(sources[index], least, "to be evaluated; replace it by a larger one")

        for index, image in self._bad.readable(load, range(len(sources)), count):
            yield names[index], image

    def _training_sample(self, index: int, random: np.random.Generator):
        """(lr, hr), augmented, uint8."""
        image = self._readable(index)
        room = [side - self.image_size for side in image.shape[:2]]
        top, left = (int(random.integers(0, most, endpoint=True)) for most in room)
        lr, hr = crop_pair(image, top, left, self.image_size, self.scale)
        if self.augment:
            turns, mirror = int(random.integers(4)), random.random() < 0.5
            lr, hr = (np.rot90(patch[:, ::-1] if mirror else patch, turns) for patch in (lr, hr))
        return lr, hr

    def _readable(self, index: int) -> np.ndarray:
        """The training image at `index`, or the next one that can be read."""
        remedies = f"give less than --image_size {self.image_size}, replace it by a larger one"

        def load(number: int) -> np.ndarray:
            source = self.splits["train"][number]
            return self._cache.get(
                number, lambda: read(source, self.image_size, f"for a patch; {remedies}")
            )

        message = f"--dataset {self.name}: no training image can be used"
        return self._bad.next_readable(load, index, self.training_count, message)[1]


def to_ranges(lr: tf.Tensor, hr: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """uint8 -> float32: lr in [0, 1], hr in [-1, 1]."""
    return tf.cast(lr, tf.float32) / 255.0, to_unit(hr)


def read(source: Source, least: int, purpose: str) -> np.ndarray:
    """Reads an image, uint8 (H, W, 3), and checks its size.

    Args:
        source: the image.
        least: pixels; the least length of the shorter side.
        purpose: what a smaller image is too small for, and the remedy: the end of the message.

    Raises:
        BadImage: the image is too small, or cannot be read.
    """
    image = source.read()
    height, width = image.shape[:2]
    if min(height, width) < least:
        raise BadImage(f"{source.path}: {width}x{height} px, too small {purpose}")
    return image


def crop_pair(
    image: np.ndarray, top: int, left: int, size: int, scale: int
) -> tuple[np.ndarray, np.ndarray]:
    """Crops a patch and downscales it within its surroundings.

    Args:
        image: uint8 (H, W, C).
        top, left: pixels; corner of the patch.
        size: pixels; side of the patch, a multiple of `scale`.
        scale: downscaling factor.

    Returns:
        The downscaled patch and the patch, uint8 (size / scale, size / scale, C) and (size, size,
        C).
    """
    margin = 2 * scale  # px: the bicubic kernel reaches that far beyond the block of a pixel
    starts, stops = [], []
    for corner, side in zip((top, left), image.shape[:2], strict=True):
        starts.append(corner - min(margin, corner // scale * scale))
        rest = side - corner - size
        stops.append(corner + size + min(margin, rest // scale * scale))
    part = image[starts[0] : stops[0], starts[1] : stops[1]]
    small = bicubic.shrink(part, scale)
    y, x = (top - starts[0]) // scale, (left - starts[1]) // scale
    lr = small[y : y + size // scale, x : x + size // scale]
    return lr, image[top : top + size, left : left + size]
