"""High-resolution images as streams of (lr, hr), a patch made small and the patch itself."""

import hashlib
from collections.abc import Iterator
from typing import ClassVar

from common.data.reading import BadImages, Cache
from common.data.sources.super_resolution import Source, find_splits
from common.data.stream import per_sample, shuffled, stream, to_unit
from common.errors import UserError
from common.images import bicubic, listing
from common.images.image_file import BadImage

import numpy as np
import tensorflow as tf


class HighResolutionImages:
    """A data set of (lr, hr): small patches and the large ones that they were made of.

    A training patch is cut at a random place, and made small by MATLAB's bicubic as a part of its
    image: the pixels around it go into those at its border, as they do in a whole image.

    Args:
        image_size: side of the large patches in pixels, a multiple of `scale`.
        scale: by what factor the small ones are smaller.
        seed: of a val split that has to be cut from the training images, of the streams, and of
            generated images.
        dataset: a folder of images, or several with commas between them, each with train/ and
            val/ or not; div2k, which is downloaded (3.7 GB); or embedded, generated textures.
            Default: div2k if it is on disk or can be downloaded, else embedded.
        data_dir: where named sets lie and are downloaded to; default ~/.keras/datasets.
        augment: whether patches are mirrored and turned by quarter turns at random.
        skip_bad_images: let the next image stand in for one that cannot be read, or is smaller
            than a patch, instead of stopping.
        cache_mb: megabytes of training images that may stay in memory. What does not fit is read
            again for each patch, which for large files may take longer than the step.

    Raises:
        UserError: the set cannot be found or read; the message says where it was looked for.
    """

    decides: ClassVar[tuple[str, ...]] = ()  # arguments of the model that the data give

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
        """Options as resolved: a resumed run must not find another set."""
        return {"dataset": self.name}

    @property
    def described(self) -> str:
        """The set in a few words."""
        return f"{self.name} ({self.training_count} images, x{self.scale})"

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    def fingerprint(self) -> dict[str, str]:
        """What tells this data from other data: by split, the count and a hash of the names."""
        fingerprint = {}
        for split, sources in self.splits.items():
            names = "\n".join(source.name for source in sources)
            digest = hashlib.sha256(names.encode()).hexdigest()[:16]
            fingerprint[split] = f"{len(sources)} images, {digest}"
        return fingerprint

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (lr, hr) of the steps from `start` to before `stop`, whatever epoch.

        hr is float32 (batch_size, image_size, image_size, 3) in [-1, 1], lr float32 with sides
        smaller by `scale`, in [0, 1]. A pass over the data takes one patch of each image.
        With `rows`, only these rows of a batch are made.
        """
        sides = self.image_size // self.scale, self.image_size
        specs = [tf.TensorSpec((side, side, 3), tf.uint8) for side in sides]
        sample = shuffled(self._training_sample, self.training_count, batch_size, self.seed)
        arguments = specs, batch_size, start, stop, rows
        return stream(per_sample(sample), *arguments, finish=in_ranges, chunk=1)

    def originals(
        self, split: str, count: int | None = None, least: int = 1
    ) -> Iterator[tuple[str, np.ndarray]]:
        """(name, image) of the first `count` of a split that can be read, uint8 (H, W, 3).

        Args:
            split: "train" or "val".
            count: default all.
            least: pixels; an image with a shorter side is a bad one.
        """
        sources = self.splits[split]
        names = listing.distinct_names([source.path for source in sources])
        for name, source in zip(names[:count], sources[:count], strict=True):
            try:
                yield name, read(source, least, "to be judged; remove it")
            except BadImage as error:
                self._bad.report(error)

    def _training_sample(self, index: int, random: np.random.Generator):
        """(lr, hr) as `stream` wants them, uint8."""
        image = self._readable(index)
        room = [side - self.image_size for side in image.shape[:2]]
        top, left = (int(random.integers(0, most, endpoint=True)) for most in room)
        lr, hr = cut(image, top, left, self.image_size, self.scale)
        if self.augment:
            turns, mirror = int(random.integers(4)), random.random() < 0.5
            lr, hr = (np.rot90(patch[:, ::-1] if mirror else patch, turns) for patch in (lr, hr))
        return lr, hr

    def _readable(self, index: int) -> np.ndarray:
        """The training image at `index`, or the next one that can be read."""
        too_small = f"for a patch; give less than --image_size {self.image_size}, or remove it"

        def load(number: int) -> np.ndarray:
            source = self.splits["train"][number]
            return self._cache.get(number, lambda: read(source, self.image_size, too_small))

        message = f"--dataset {self.name}: no training image can be used"
        return self._bad.next_readable(load, index, self.training_count, message)[1]


def in_ranges(lr: tf.Tensor, hr: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """uint8 -> float32: lr in [0, 1], hr in [-1, 1]."""
    return tf.cast(lr, tf.float32) / 255.0, to_unit(hr)


def read(source: Source, least: int, purpose: str) -> np.ndarray:
    """An image, uint8 (H, W, 3), that is not too small for a purpose.

    Args:
        source: where it comes from.
        least: pixels, of the shorter side.
        purpose: what it would be too small for, and what to do; an error ends with that.

    Raises:
        BadImage: it is too small, or cannot be read.
    """
    image = source.read()
    height, width = image.shape[:2]
    if min(height, width) < least:
        raise BadImage(f"{source.path}: {width}x{height} px, too small {purpose}")
    return image


def cut(
    image: np.ndarray, top: int, left: int, size: int, scale: int
) -> tuple[np.ndarray, np.ndarray]:
    """A patch and how it would look in the image made small, from the patch's corner on.

    Args:
        image: uint8 (H, W, C).
        top, left: pixels; the patch's corner.
        size: pixels; the patch's side, a multiple of `scale`.
        scale: the factor.

    Returns:
        uint8 (size / scale, size / scale, C) and (size, size, C).
    """
    margin = 2 * scale  # px: as far as a pixel of the small image looks beyond its block
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
