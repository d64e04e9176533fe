"""Images a second that the data sets give alone, and whether memory grows with their number.

Each kind of set is made and streamed as training streams it, two passes long:

- folders of PNG files (some distinct ones, the others hard links to them): the first pass reads
  files, the second, where they fit into --cache_mb, memory. Class folders are read as `images`;
- npz, an array of digits in a file: read into memory whole when it is opened, whatever --cache_mb
  says, so its peak grows with the file. What is larger than memory belongs in a folder;
- digits and facades, the embedded sets: the first pass draws them, the second takes them from
  memory, facades within --cache_mb.

Peak memory is that of a process of its own for each number of images.

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
BATCH = 100  # digits; counts are multiples, so that a pass is whole batches and misses no image


# What makes a set: function(folder, size, count) -> the options that find it.


def files(
    training: tuple[str, ...],
    others: tuple[str, ...],
    folder: Path,
    size: int,
    count: int,
    side_by_side: bool = False,
) -> dict:
    """Folders of PNG files, `count` in all in those for training, one in each of the others."""
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
    """An .npz file; its image is repeated without memory, which would hide what reading takes."""
    x = digits(0, [0])
    y = np.arange(count) % 10
    many = np.broadcast_to(x, (count, *x.shape[1:]))
    np.savez(folder / "set.npz", x_train=many, y_train=y, x_test=x, y_test=y[:1])
    return {"dataset": str(folder / "set.npz")}


def embedded_digits(_folder: Path, _size: int, count: int) -> dict:
    return {"dataset": "embedded", "embedded_count": count}


def embedded_facades(_folder: Path, size: int, _count: int) -> dict:
    return {"dataset": "embedded", "image_size": size}


class Kind(NamedTuple):
    """A kind of data set.

    Attributes:
        data: the class, with the arguments that it needs.
        make: puts a set into an empty folder.
        batch_size: images a step.
        count: of training images, of a set that has no other.
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
    """Images a second of two passes, and peak memory of this process in MiB."""
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
    """Prints images (or pairs) a second and peak memory.

    Args:
        kind: of data set: pairs, unpaired, images, high_resolution, npz, digits or facades;
            several with commas between them, or all.
        image_size: side of the training images in pixels; npz and digits keep their own, 28.
        counts: how many training images, multiples of 100; default 500, which fit into memory,
            and 5000. facades are always their 400.
        cache_mb: megabytes of images that may stay in memory.
        json: file for the results.
    """
    kinds, counts = chosen(kind, KINDS, "kind"), counts or [500, 5000]
    for count in counts:
        if count < BATCH or count % BATCH:
            raise UserError(f"--counts {count}: give multiples of {BATCH}")
    results = []
    print(f"{'':18}{'images':>9}{'first pass':>12}{'second':>9}{'MiB before':>12}{'peak':>7}")
    for name in kinds:
        own = KINDS[name].count
        for count in [own] if own else counts:
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
