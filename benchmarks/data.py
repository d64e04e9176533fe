"""Throughput of the datasets without training, and peak memory by the number of images.

Datasets of each kind are generated and streamed as in training, for two passes:

- folders of PNG files (a few distinct files and hard links to them): the first pass reads files,
  the second reads memory if the images fit into --cache_mb. Class folders are read as `images`;
- npz, a file with an array of digits: loaded into memory as a whole when it is opened, regardless
  of --cache_mb, so peak memory grows with the file. Larger datasets belong in a folder;
- digits and facades, the embedded datasets: the first pass draws them, the second takes them from
  memory, facades within --cache_mb.

Peak memory is measured in a separate process for each number of images.

    python3 benchmarks/data.py
    python3 benchmarks/data.py --kind pairs --image_size 256 --counts [1000,20000] --cache_mb 256
    python3 benchmarks/data.py --kind npz,digits --counts [1000,60000]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command_line
from common.data.labelled import LabelledImages
from common.data.paired import PairedImages
from common.data.sources import paired
from common.data.super_resolution import HighResolutionImages
from common.data.synthetic import facades
from common.data.synthetic.digits import digits
from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.images import image_file
from common.registry import chosen

import numpy as np

DISTINCT = 40  # files that are not links
BATCH = 100  # digits per step; counts are multiples of it, so that a pass contains every image


# Functions that generate a dataset: (folder, size, count) -> the options to load it.


def files(
    training: tuple[str, ...],
    others: tuple[str, ...],
    folder: Path,
    size: int,
    count: int,
    side_by_side: bool = False,
) -> dict:
    """Folders of PNG files: `count` files in the training folders, one in each of the others."""
    for name in (*training, *others):
        (folder / name).mkdir()
    for number in range(DISTINCT):
        photo, label_map = facades.facade(0, number, size)
        image = np.concatenate([photo, label_map], axis=1) if side_by_side else photo
        image_file.write(folder / training[0] / f"{number}.png", image)
    for place, name in enumerate(training):
        share = count // len(training)
        for number in range(DISTINCT if place == 0 else 0, share):
            source = folder / training[0] / f"{number % DISTINCT}.png"
            os.link(source, folder / name / f"{number}.png")
    for name in others:
        os.link(folder / training[0] / "0.png", folder / name / "0.png")
    return {"dataset": str(folder), "image_size": size}


def array(folder: Path, _: int, count: int) -> dict:
    """An .npz file of one repeated image; it is repeated without taking memory before reading."""
    x = digits(0, [0])
    y = np.arange(count) % 10
    repeated = np.broadcast_to(x, (count, *x.shape[1:]))
    np.savez(folder / "digits.npz", x_train=repeated, y_train=y, x_test=x, y_test=y[:1])
    return {"dataset": str(folder / "digits.npz")}


def embedded_digits(_folder: Path, _size: int, count: int) -> dict:
    return {"dataset": "embedded", "embedded_count": count}


def embedded_facades(_folder: Path, size: int, _count: int) -> dict:
    return {"dataset": "embedded", "image_size": size}


class Kind(NamedTuple):
    """A kind of dataset.

    Attributes:
        data: class of the dataset, with its required arguments.
        make: generates a dataset in an empty folder.
        batch_size: images per step.
        count: number of training images, if it is fixed.
    """

    data: Callable
    make: Callable[[Path, int, int], dict]
    batch_size: int = 1
    count: int | None = None


PAIRS = partial(PairedImages, channels_in=3, channels_out=3)
KINDS = {
    "pairs": Kind(PAIRS, partial(files, ("train",), ("val", "test"), side_by_side=True)),
    "unpaired": Kind(
        partial(UnpairedImages, channels=3),
        partial(files, ("trainA", "trainB"), ("testA", "testB")),
    ),
    "images": Kind(LabelledImages, partial(files, ("train",), ("test",))),
    "high_resolution": Kind(
        partial(HighResolutionImages, scale=4), partial(files, ("train",), ("val",))
    ),
    "npz": Kind(LabelledImages, array, BATCH),
    "digits": Kind(LabelledImages, embedded_digits, BATCH),
    "facades": Kind(PAIRS, embedded_facades, count=paired.EMBEDDED_COUNTS["train"]),
}


def measure(name: str, size: int, count: int, cache_mb: int) -> dict:
    """Images per second in two passes, and peak memory of this process in MiB."""
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        options = kind.make(Path(folder), size, count)
        before = command_line.peak_mib()
        data = kind.data(seed=0, cache_mb=cache_mb, **options)
        steps = data.training_count // kind.batch_size
        rates = []
        for number in range(2):
            begin = time.perf_counter()
            for _ in data.stream(kind.batch_size, number * steps, (number + 1) * steps):
                pass
            rates.append(steps * kind.batch_size / (time.perf_counter() - begin))
    return {
        "kind": name,
        "image_size": data.image_size,
        "count": count,
        "first_pass_per_second": rates[0],
        "second_pass_per_second": rates[1],
        "peak_mib_before": before,
        "peak_mib": command_line.peak_mib(),
    }


def main(
    kind: str = "all",
    image_size: int = 256,
    counts: list[int] | None = None,
    cache_mb: int = 256,
    json: str | None = None,
):
    """Prints images (or pairs) per second and peak memory.

    Args:
        kind: kind of dataset (pairs, unpaired, images, high_resolution, npz, digits or facades),
            several separated by commas, or all.
        image_size: side of the training images in pixels; always 28 for npz and digits.
        counts: numbers of training images, multiples of 100; default 500, which fit into memory,
            and 5000. facades always has 400.
        cache_mb: maximum size in megabytes of the images kept in memory.
        json: output file for the results.
    """
    kinds, counts = chosen(kind, KINDS, "kind"), counts or [500, 5000]
    for count in counts:
        if count < BATCH or count % BATCH:
            raise UserError(f"--counts {count}: give multiples of {BATCH}")
    results = []
    print(f"{'':18}{'images':>9}{'first pass':>12}{'second':>9}{'MiB before':>12}{'peak':>7}")
    for name in kinds:
        fixed = KINDS[name].count
        for count in [fixed] if fixed else counts:
            row = command_line.in_own_process(measure, name, image_size, count, cache_mb)
            print(
                f"{name:18}{count:9}{row['first_pass_per_second']:10.0f}/s"
                f"{row['second_pass_per_second']:7.0f}/s{row['peak_mib_before']:12.0f}"
                f"{row['peak_mib']:7.0f}",
                flush=True,
            )
            results.append(row)
    command_line.write_results(json, results)


if __name__ == "__main__":
    command_line.run(main)
