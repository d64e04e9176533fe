"""Two labelled domains as streams of (x_s, y_s, x_t, y_t), independent images of both."""

from functools import cache, partial
from typing import ClassVar, Literal

from common.data.labelled import LabelledImages, check_form
from common.data.reading import BadImages
from common.data.sources import labelled
from common.data.sources.changed_digits import outlines
from common.data.sources.domains import Domains, Search, find_domains
from common.data.sources.labelled import Found
from common.data.stream import endless_indices, stream, to_unit
from common.errors import UserError, at_least_one
from common.io.paths import full_path

import numpy as np
import tensorflow as tf

Baseline = Literal["source", "target"]
UNKNOWN = -1  # the label of a target image in training


class LabelledDomains:
    """A dataset of two domains with the same classes: a source and a target, of square images.

    Training may use the labels of the source alone. Those of the target, if there are any, are for
    evaluation. Images are center-cropped to a square, resized to `image_size` by bicubic
    interpolation and not augmented. Each domain is shuffled independently; an epoch is a pass over
    the larger one.

    Args:
        image_size: side of the images in pixels.
        seed: seed for shuffling, for subsets, and for test splits taken from the training images.
        dataset: mnist_m, MNIST and the same digits over photographs; mnist_negatives or
            mnist_outlines, MNIST and the negatives or outlines of other digits; mnist_usps or
            usps_mnist; mnist_usps_framed or usps_framed_mnist, where the digits of USPS have a
            frame as those of MNIST; digits_m, digits_negatives or digits_outlines, which have
            generated digits in place of MNIST; embedded, the one of these that is the model's
            usual; or SOURCE,TARGET, each a folder of one folder of images per class (under train/
            and test/ or without), an .npz file, or a name such as mnist, fashion_mnist or, of
            TensorFlow Datasets, tfds:NAME. Default: the model's usual pair if MNIST is on disk or
            downloadable, else embedded.
        data_dir: folder of named datasets, NAME.npz each, where they are also downloaded to;
            default ~/.keras/datasets, for tfds:NAME ~/tensorflow_datasets.
        photos: folder of photographs for the backgrounds of mnist_m and digits_m, of which a random
            fifth is for test images; default generated textures.
        channels: 3 for RGB, 1 for grayscale; default those of the datasets.
        source_count: number of training images of the source, drawn by the seed; default all.
        target_count: number of training images of the target, drawn by the seed; default all.
        baseline: with target, training batches have the labels of the target, which they otherwise
            never have.
        skip_bad_images: replace an unreadable image by the next readable one instead of failing.
        cache_mb: megabytes of training images of each domain to keep in memory.
        class_names: names of the classes in the order of their labels, as in [cat,dog]; default by
            size if all are numbers, else in natural order: a2, a10, b.

    Attributes:
        source, target: the domains, `LabelledImages` each.
        change: the function that makes images of the target from those of the source, uint8 (N, S,
            S, C) both, if there is one for images of this size.

    Raises:
        UserError: a domain cannot be found or read, or both do not fit together.
    """

    model_arguments: ClassVar[tuple[str, ...]] = ("channels", "classes")
    usual: ClassVar[str] = "mnist_m"  # the dataset by default,
    embedded: ClassVar[str] = "digits_m"  # and the one of generated digits

    def __init__(
        self,
        image_size: int,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        photos: str | None = None,
        channels: Literal[1, 3] | None = None,
        source_count: int | None = None,
        target_count: int | None = None,
        baseline: Baseline | None = None,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
        class_names: list[str] | None = None,
    ):
        check_form(image_size, channels)
        find = partial(labelled.find, data_dir=data_dir, seed=seed)
        find_source = cache(partial(find, class_names=class_names or None))
        self._bad = BadImages(skip_bad_images)
        search = Search(find_source, find, photos, self._bad, cache_mb)
        found = find_domains(dataset, self.usual, self.embedded, search)
        channels = channels or common_channels(found)
        self.name, self.change = found.name, found.change
        if self.change is outlines and image_size != found.source.side:
            self.change = None  # outlines of resized digits are not resized outlines
        self.photos = None if photos is None else full_path(photos)
        self.seed, self.baseline = seed, baseline
        self.source, self.target = (
            LabelledImages.of(domain, seed, image_size, channels, skip_bad_images, cache_mb)
            for domain in (
                subset(found.source, source_count, [seed, 4], "source"),
                subset(found.target, target_count, [seed, 5], "target"),
            )
        )
        # The target has random numbers of its own; the source takes the seed itself.
        self._target_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0])
        self.image_size, self.channels = image_size, channels
        if baseline == "target" and not self.target.classes:
            raise UserError(
                f"--baseline target: the images of {self.target.name} have no labels; give a "
                "target with one folder of images per class, or leave --baseline out"
            )

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error or self.source.error or self.target.error

    @property
    def class_names(self) -> list[str]:
        """Names of the source's classes, by label; [] without labels."""
        return self.source.class_names

    @property
    def classes(self) -> int:
        """Number of classes; 0 without labels."""
        return self.source.classes

    @property
    def training_count(self) -> int:
        """Images of the larger domain."""
        return max(self.source.training_count, self.target.training_count)

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        return {
            "dataset": self.name,
            "photos": self.photos,
            "channels": self.channels,
            "classes": self.classes,
            "class_names": self.class_names,
        }

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        counts = f"{self.source.training_count} images and {self.target.training_count}"
        form = f"{self.image_size}x{self.image_size}, " + (
            "1 channel" if self.channels == 1 else f"{self.channels} channels"
        )
        classes = f"{self.classes} classes" if self.classes else "no labels"
        return f"{self.name} ({counts} of the target, {form}, {classes})"

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others."""
        domains = {"source": self.source, "target": self.target}
        return {
            f"{name}_{split}": text
            for name, domain in domains.items()
            for split, text in domain.fingerprint().items()
        }

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (x_s, y_s, x_t, y_t) for the steps in [start, stop).

        x_s and x_t are float32 (batch_size, image_size, image_size, channels) in [-1, 1]; y_s int32
        (batch_size,), zeros without labels; y_t likewise, but -1 unless the baseline asks for the
        target's labels. With `rows`, only these rows of each batch are loaded.
        """

        def load(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
            seeds = self.seed, self._target_seed
            (x_s, y_s), (x_t, y_t) = (
                domain.training_batch(endless_indices(numbers, domain.training_count, seed))
                for domain, seed in zip((self.source, self.target), seeds, strict=True)
            )
            if self.baseline != "target":
                y_t = np.full_like(y_t, UNKNOWN)
            return x_s, y_s, x_t, y_t

        image, label = tf.TensorSpec(self.source.shape, tf.uint8), tf.TensorSpec((), tf.int32)
        specs = [image, label, image, label]
        return stream(load, specs, batch_size, start, stop, rows, finish=images_to_unit)


class JointDomains(LabelledDomains):
    """`LabelledDomains` for models of the joint distribution of both domains."""

    usual = "mnist_negatives"
    embedded = "digits_negatives"


def images_to_unit(x_s: tf.Tensor, y_s: tf.Tensor, x_t: tf.Tensor, y_t: tf.Tensor):
    """Images uint8 -> float32 in [-1, 1], and their labels."""
    return to_unit(x_s), y_s, to_unit(x_t), y_t


def common_channels(found: Domains) -> int:
    """The channels of both domains. Raises a UserError if they differ."""
    source, target = found.source.channels, found.target.channels
    if source != target:
        kinds = {1: "grayscale", 3: "RGB"}
        raise UserError(
            f"--dataset {found.name}: images of the source are {kinds[source]}, those of the "
            f"target {kinds[target]}; give --channels 3 for RGB in both, or 1 for grayscale"
        )
    return source


def subset(found: Found, count: int | None, seed: list[int], option: str) -> Found:
    """The dataset with `count` of its training images, drawn at random; None for all."""
    at_least_one(**{f"{option}_count": count})
    if count is None:
        return found
    if count > len(found.train):
        raise UserError(
            f"--{option}_count {count}: {found.name} has {len(found.train)} training images; give "
            "at most that number"
        )
    drawn = np.random.default_rng(seed).permutation(len(found.train))[:count]
    return found._replace(train=found.train.subset(np.sort(drawn)))
