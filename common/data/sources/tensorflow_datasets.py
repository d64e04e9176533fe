"""Images of TensorFlow Datasets: any example of a split by its number."""

import hashlib
import importlib.util
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from common.data.sources.survey import SAMPLE, Survey, survey
from common.errors import UserError, one_line
from common.images import image_file
from common.images.image_file import BadImage

import numpy as np
import tensorflow as tf

PREFIX = "tfds:"
GIVEN = f"{PREFIX}NAME of TensorFlow Datasets"
_IMAGES = ("image", "hr")  # which feature to take if an example has several images
_LABEL = "label"
_DIGESTED = 100  # number of images of a split that its digest covers


def is_named(dataset: str) -> bool:
    """Whether a `--dataset` is a name of TensorFlow Datasets."""
    return dataset.startswith(PREFIX)


@dataclass
class Examples:
    """Images of a split, by index, and their classes.

    Attributes:
        origin: name of the dataset and its split.
        records: the split's examples by number, each a serialized `tf.train.Example`.
        feature: name of the feature that is the image.
        rows: numbers of the examples, (N,).
        labels: int32 (N,), zeros without classes.
    """

    origin: str
    records: Sequence[bytes]
    feature: str
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """A file name for an image; no two of a split are equal."""
        return f"{self.origin.split()[-1]}_{self.rows[index]:07d}.png"

    def encoded(self, index: int) -> bytes:
        """An image as it is stored, in PNG or JPEG. Raises BadImage."""
        row = int(self.rows[index])
        try:
            return _value(self.records[row], self.feature).bytes_list.value[0]
        # Readers of records raise what their C++ does for damaged files, protobuf a class of its
        # own, and a list without values IndexError.
        except Exception as error:
            raise BadImage(
                f"--dataset {self.origin}, example {row}: not readable ({one_line(error)}); "
                "restore the dataset's files, or prepare it again"
            ) from error

    def read(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3). Raises BadImage."""
        content = self.encoded(index)
        try:
            return image_file.read(content)
        except BadImage as error:
            where = f"--dataset {self.origin}, example {self.rows[index]}"
            raise BadImage(f"{where}: {error}") from error

    def subset(self, indices: np.ndarray) -> "Examples":
        return replace(self, rows=self.rows[indices], labels=self.labels[indices])

    def digest(self) -> str:
        """A hash of the numbers, the labels and a hundred evenly spaced images."""
        content = hashlib.sha256(self.origin.encode())
        content.update(self.rows.astype(np.int64).tobytes() + self.labels.tobytes())
        for index in self._evenly_spaced(_DIGESTED):
            content.update(self.encoded(index))
        return content.hexdigest()

    def survey(self) -> Survey:
        """The usual size and channels, of some of the images."""
        return survey([io.BytesIO(self.encoded(index)) for index in self._evenly_spaced(SAMPLE)])

    def _evenly_spaced(self, most: int) -> list[int]:
        count = min(len(self), most)
        return np.linspace(0, len(self) - 1, count).astype(int).tolist()


class Dataset:
    """A dataset of TensorFlow Datasets, prepared on disk.

    Args:
        dataset: its name, as TensorFlow Datasets writes it, after `PREFIX`.
        data_dir: folder of prepared datasets; default that of TensorFlow Datasets. What is not
            there is downloaded to it and prepared as ArrayRecord files where that package is
            installed, else as TFRecord files.

    Attributes:
        name: the name with configuration and version, so that it stays the same dataset.
        splits: names of its splits.

    Raises:
        UserError: the package is not installed, or the dataset is unknown, cannot be downloaded
            or has no images.
    """

    def __init__(self, dataset: str, data_dir: str | None):
        self._tfds = _package(dataset)
        given = dataset.removeprefix(PREFIX)
        folder = None if data_dir is None else str(Path(data_dir).expanduser())
        file_format = "array_record" if importlib.util.find_spec("array_record") else None
        try:
            self._builder = self._tfds.builder(given, data_dir=folder)
            self._builder.download_and_prepare(file_format=file_format)
        # The code of a dataset may raise anything: ValueError for an unknown name, errors of the
        # network and of archives, AssertionError for files that must be downloaded by hand, ...
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(
                f"--dataset {dataset}: {reason.rstrip('.:')}; check the name, prepare the dataset "
                "on a machine with a network, or name the folder that it is in with --data_dir"
            ) from error
        self.name = dataset
        if ":" not in given:
            config = self._builder.info.config_name
            name = f"{self._builder.name}/{config}" if config else self._builder.name
            self.name = f"{PREFIX}{name}:{self._builder.version}"
        self.splits = list(self._builder.info.splits)
        self._image = self._image_feature()

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the classes, by label; [] without classes."""
        label = self._label_feature()
        return [] if label is None else list(self._builder.info.features[label].names or [])

    def examples(self, split: str, labelled: bool = False) -> Examples:
        """The images of a split.

        Args:
            split: name of the split.
            labelled: whether to read the labels, which takes a pass over the files; those of
                unknown classes are -1.

        Raises:
            UserError: it has no such split, or files that are damaged or without random access.
        """
        if split not in self.splits:
            raise UserError(
                f"--dataset {self.name}: has the splits {', '.join(self.splits)}, not {split}; "
                "give a dataset that has it"
            )
        label = self._label_feature() if labelled else None
        try:
            records = self._records(split)
            labels = np.zeros(len(records), np.int32)
            for row in range(len(records) if label else 0):
                labels[row] = _value(records[row], label).int64_list.value[0]
        except UserError:
            raise
        except Exception as error:  # as for `encoded`
            raise UserError(
                f"--dataset {self.name}: {self._builder.data_dir} is not readable "
                f"({one_line(error)}); restore its files, or prepare the dataset again"
            ) from error
        rows = np.arange(len(records))
        return Examples(f"{self.name} {split}", records, self._image, rows, labels)

    def first_of(self, splits: Sequence[str], labelled: bool = False) -> Examples | None:
        """The first of these splits that the dataset has; None if it has none.

        With `labelled`, splits with images of unknown classes are passed over.
        """
        for split in splits:
            if split in self.splits:
                found = self.examples(split, labelled)
                if found.labels.min(initial=0) >= 0:
                    return found
        return None

    def _records(self, split: str) -> Sequence[bytes]:
        info, formats = self._builder.info, self._tfds.core.FileFormat
        if info.file_format == formats.TFRECORD:
            parts = info.splits[split].file_instructions
            return TFRecords([(part.filename, part.examples_in_shard) for part in parts])
        if formats.ARRAY_RECORD in info.available_file_formats():
            raw = self._tfds.decode.DeserializeMethod.RAW_BYTES
            return self._builder.as_data_source(split, deserialize_method=raw)
        raise UserError(
            f"--dataset {self.name}: {self._builder.data_dir} has {info.file_format.value} files; "
            "convert them with tfds convert_format --out_file_format array_record, or name another "
            "folder with --data_dir"
        )

    def _image_feature(self) -> str:
        features = self._builder.info.features
        images = [
            name
            for name, feature in features.items()
            if isinstance(feature, self._tfds.features.Image)
            and np.dtype(feature.np_dtype).kind == "u"
        ]
        chosen = images if len(images) == 1 else [name for name in _IMAGES if name in images]
        if not chosen:
            raise UserError(
                f"--dataset {self.name}: its examples have {', '.join(features)}, and no one image "
                f"or one called {' or '.join(_IMAGES)}; give a dataset of images"
            )
        return chosen[0]

    def _label_feature(self) -> str | None:
        known = self._tfds.features.ClassLabel
        features = self._builder.info.features
        labels = [name for name, feature in features.items() if isinstance(feature, known)]
        if _LABEL in labels:
            return _LABEL
        return labels[0] if len(labels) == 1 else None


class TFRecords(Sequence):
    """The records of TFRecord files by number, found through the lengths that precede them.

    A record is its length as uint64, a checksum of that, the content and a checksum of it
    (`tf.io.TFRecordWriter`).

    Args:
        shards: path of each file, in order, and the number of its records.

    Raises:
        UserError: a file cannot be read, or does not have that number of records.
    """

    _LENGTH, _CHECKSUM = struct.Struct("<Q4x"), 4  # checksums are skipped, 4 bytes each

    def __init__(self, shards: Sequence[tuple[str, int]]):
        self._shards = shards
        places = [
            (number, *place)
            for number, shard in enumerate(shards)
            for place in self._places_in(*shard)
        ]
        self._places = np.array(places, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> bytes:
        file_number, start, length = self._places[number].tolist()
        with open(self._shards[file_number][0], "rb") as file:
            file.seek(start)
            return file.read(length)

    def _places_in(self, path: str, count: int) -> list[tuple[int, int]]:
        """Start and length of each record of a file, in bytes."""
        places, at = [], 0
        try:
            size = Path(path).stat().st_size
            with open(path, "rb", buffering=0) as file:
                while at < size:
                    file.seek(at)
                    (length,) = self._LENGTH.unpack(file.read(self._LENGTH.size))
                    places.append((at + self._LENGTH.size, length))
                    at += self._LENGTH.size + length + self._CHECKSUM
        except (OSError, struct.error) as error:
            raise UserError(f"{path}: not readable ({one_line(error)}); restore it") from error
        if at != size or len(places) != count:
            raise UserError(f"{path}: truncated; restore it, or prepare the dataset again")
        return places


def _value(record: bytes, feature: str) -> Any:
    """A feature of a serialized example, as protobuf."""
    return tf.train.Example.FromString(record).features.feature[feature]


def _package(dataset: str) -> ModuleType:
    """The package tensorflow_datasets. Raises UserError if it cannot be imported."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(
            f"--dataset {dataset}: needs the package tensorflow-datasets ({one_line(error)}); "
            "install it with pip install -r requirements-tfds.txt"
        ) from error
    return tensorflow_datasets
