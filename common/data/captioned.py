"""Captioned images as streams of (image, caption, image that the caption does not describe)."""

from typing import ClassVar, NamedTuple

from common import errors
from common.data.captions import Vocabulary
from common.data.reading import BadImages, Cache
from common.data.sources.captioned import find
from common.data.sources.captioned_files import CaptionedFiles, Drawn
from common.data.sources.embeddings import Embeddings
from common.data.stream import per_sample, shuffled, stream, to_unit
from common.errors import UserError
from common.images import image_file
from common.io.paths import full_path

import numpy as np
import tensorflow as tf

EXAMPLES = 8  # captions of the sample grid


class Captioned(NamedTuple):
    """A held-out image and a caption of it.

    Attributes:
        image: uint8 (S, S, 3).
        caption: the caption.
        text: what the model takes: tokens int32 (T,) or an embedding float32 (d,).
        facts: attributes that the caption tells, by name.
    """

    image: np.ndarray
    caption: str
    text: np.ndarray
    facts: dict[str, str]


class CaptionedImages:
    """A dataset of captioned square images.

    Args:
        seed: seed for shuffling, the choice of captions and wrong images, augmentation, and a test
            split taken from the training images.
        dataset: a folder of images with NAME.txt beside each, one caption a line, with or without
            a folder for each class, each under train/ and test/ or without; a CSV file with the
            columns file and caption; mnist or embedded, generated scenes of MNIST's or generated
            digits; emoji, people and hands in five skin tones, in --data_dir. Default: mnist if on
            disk or downloadable, else embedded.
        data_dir: folder of named datasets, where they are also downloaded to; default
            ~/.keras/datasets.
        image_size: side of the images in pixels.
        embeddings: an .npz file with embeddings of the captions by another encoder, `files` (N,)
            and `embeddings` (N, captions, d), in place of an encoder that is trained here; the mean
            of four of an image's captions is used, drawn at random.
        caption_length: number of words of a caption that are read.
        augment: whether training images are randomly cropped, from 76/64 of their side, and
            mirrored; for folders and CSV files of photos.
        skip_bad_images: replace an unreadable image by the next readable one, and leave out images
            without captions, instead of failing.
        cache_mb: megabytes of training images to keep in memory.

    Raises:
        UserError: the dataset cannot be found or read; the message says where it was looked for.
    """

    model_arguments: ClassVar[tuple[str, ...]] = (
        *("image_size", "channels", "vocabulary", "caption_length", "embedding_size", "examples"),
    )

    def __init__(
        self,
        seed: int,
        dataset: str | None = None,
        data_dir: str | None = None,
        image_size: int = 64,
        embeddings: str | None = None,
        caption_length: int = 16,
        augment: bool = False,
        skip_bad_images: bool = False,
        cache_mb: int = 1024,
    ):
        errors.at_least_one(image_size=image_size, caption_length=caption_length)
        self.seed, self.image_size, self.channels = seed, image_size, 3
        self.name, self.splits = find(dataset, data_dir, seed, skip_bad_images)
        self.augment = augment
        self._bad, self._cache = BadImages(skip_bad_images), Cache(cache_mb)
        self._file = None if embeddings is None else full_path(embeddings)
        self.embeddings = None if self._file is None else self._read_embeddings(self._file)
        captions = self.splits["train"].captions()
        self.vocabulary = Vocabulary.of(captions, caption_length)

    def _read_embeddings(self, file: str) -> Embeddings:
        found = Embeddings.read(file)
        for split in self.splits.values():
            if not isinstance(split, CaptionedFiles):
                raise UserError(f"--embeddings {file}: {self.name} has generated captions")
            found.check(split, file)
        return found

    @property
    def error(self) -> UserError | None:
        """What stopped the stream."""
        return self._bad.error

    @property
    def training_count(self) -> int:
        return len(self.splits["train"])

    @property
    def held_out_split(self) -> str:
        """The split of combinations that are not in training; else that of test images."""
        return "held_out" if "held_out" in self.splits else "test"

    @property
    def found(self) -> dict:
        """Resolved options, with which a resumed run finds the same data again."""
        given = self.embeddings is not None
        return {
            "dataset": self.name,
            "embeddings": self._file,
            "image_size": self.image_size,
            "channels": self.channels,
            "vocabulary": [] if given else self.vocabulary.words,
            "caption_length": self.vocabulary.length,
            "embedding_size": self.embeddings.size if given else 0,
            "examples": [each.caption for each in self.examples(self.held_out_split, EXAMPLES)],
        }

    @property
    def description(self) -> str:
        """The dataset in a few words."""
        size, words = f"{self.image_size}x{self.image_size}", len(self.vocabulary.words)
        return f"{self.name} ({self.training_count} captioned images, {size}, {words} words)"

    def fingerprint(self) -> dict[str, str]:
        """Count and hash of each split, which tell these data from others."""
        splits = {
            split: f"{len(part)} images, {part.digest()[:16]}"
            for split, part in self.splits.items()
        }
        return splits | ({"embeddings": self.embeddings.digest()} if self.embeddings else {})

    def stream(
        self, batch_size: int, start: int, stop: int, rows: range | None = None
    ) -> tf.data.Dataset:
        """Training batches (x, text, wrong) for the steps in [start, stop).

        x and wrong are float32 (batch_size, S, S, 3) in [-1, 1]; text describes x but not wrong:
        tokens int32 (batch_size, T) or embeddings float32 (batch_size, d). With `rows`, only these
        rows of each batch are loaded.
        """
        image = tf.TensorSpec((self.image_size, self.image_size, 3), tf.uint8)
        text = tf.TensorSpec((self.vocabulary.length,), tf.int32)
        if self.embeddings is not None:
            text = tf.TensorSpec((self.embeddings.size,), tf.float32)
        sample = shuffled(self._training_sample, self.training_count, batch_size, self.seed)
        specs = [image, text, image]
        arguments = specs, batch_size, start, stop, rows
        return stream(per_sample(sample), *arguments, finish=images_to_unit, chunk=1)

    def examples(self, split: str, count: int | None = None) -> list[Captioned]:
        """The first `count` readable images of a split, in a fixed shuffled order, and captions."""
        part = self.splits[split]
        order = np.random.default_rng([self.seed, 2]).permutation(len(part)).tolist()
        found: list[Captioned] = []
        for index in order:
            if len(found) == count:
                break
            try:
                image = part.read(index, self.image_size)
            except image_file.BadImage as error:
                self._bad.report(error)
                continue
            drawn = part.draw(index, np.random.default_rng([self.seed, 3, index]))
            known = part.facts(index)
            facts = {name: known[name] for name in drawn.named if name in known}
            found.append(Captioned(image, drawn.text, self._text(part, index, drawn, None), facts))
        if not found:
            raise UserError(f"--dataset {self.name}: no image of {split} can be read")
        return found

    def _training_sample(self, index: int, random: np.random.Generator):
        part = self.splits["train"]
        index, image = self._readable(index)
        drawn = part.draw(index, random)
        _, wrong = self._readable(drawn.wrong)
        text = self._text(part, index, drawn, random)
        return self._augmented(image, random), text, self._augmented(wrong, random)

    def _text(
        self, part, index: int, drawn: Drawn, random: np.random.Generator | None
    ) -> np.ndarray:
        if self.embeddings is not None:
            return self.embeddings.of(part.name(index), random)
        return self.vocabulary.tokens([drawn.text])[0]

    def _readable(self, index: int) -> tuple[int, np.ndarray]:
        part = self.splits["train"]
        side = round(self.image_size * 76 / 64) if self.augment else self.image_size

        def read(number: int) -> np.ndarray:
            return self._cache.get(number, lambda: part.read(number, side))

        message = f"--dataset {self.name}: no training image can be read"
        return self._bad.next_readable(read, index, len(part), message)

    def _augmented(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if not self.augment:
            return image
        room = image.shape[0] - self.image_size
        top, left = random.integers(0, room, size=2, endpoint=True)
        crop = image[top : top + self.image_size, left : left + self.image_size]
        return np.ascontiguousarray(crop[:, ::-1] if random.random() < 0.5 else crop)


def images_to_unit(x: tf.Tensor, text: tf.Tensor, wrong: tf.Tensor):
    """Images uint8 -> float32 in [-1, 1], and the text as it is."""
    return to_unit(x), text, to_unit(wrong)
