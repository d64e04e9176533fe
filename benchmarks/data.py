"""Pictures a second that the data sets give alone, and whether memory grows with their number.

For each kind of set a folder of PNG files is made (some distinct ones, the others hard links to
them) and streamed as training streams it: the first pass reads files, the second, where they fit
into --cache_mb, memory. Peak memory is that of a process of its own for each number of pictures.

    python3 benchmarks/data.py
    python3 benchmarks/data.py --kind pairs --image_size 256 --counts [1000,20000] --cache_mb 256
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command_line
from common.data import pictures, scenes
from common.data.high_resolution import HighResolutionImages
from common.data.images import LabelledImages
from common.data.pairs import PairedImages
from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.zoo import chosen

import numpy as np

DISTINCT = 40  # files that are not links


class Kind(NamedTuple):
    """A kind of data set.

    Attributes:
        make: the data set of a folder, at a size of training pictures and with a cache.
        folders: of training pictures and of others, which are a handful.
        width: of a file, in pictures: 2 for pairs side by side.
    """

    make: Callable
    folders: tuple[tuple[str, ...], tuple[str, ...]]
    width: int = 1


def _options(folder: Path, size: int, cache_mb: int) -> dict:
    return {"dataset": str(folder), "image_size": size, "cache_mb": cache_mb, "seed": 0}


KINDS = {
    "pairs": Kind(
        lambda *a: PairedImages(channels_in=3, channels_out=3, **_options(*a)),
        (("train",), ("val", "test")),
        width=2,
    ),
    "unpaired": Kind(
        lambda *a: UnpairedImages(channels=3, **_options(*a)),
        (("trainA", "trainB"), ("testA", "testB")),
    ),
    "pictures": Kind(lambda *a: LabelledImages(**_options(*a)), (("train",), ("test",))),
    "high_resolution": Kind(
        lambda *a: HighResolutionImages(scale=4, **_options(*a)), (("train",), ("val",))
    ),
}


def write(folder: Path, kind: Kind, size: int, count: int):
    """Fills the folder with `count` training pictures in all, and a few others."""
    training, others = kind.folders
    for name in (*training, *others):
        (folder / name).mkdir()
    for number in range(DISTINCT):
        halves = scenes.facade(0, number, size)
        picture = np.concatenate(halves, axis=1) if kind.width == 2 else halves[1]
        pictures.write(folder / training[0] / f"{number}.png", picture)
    for place, name in enumerate(training):
        share = count // len(training)
        for number in range(DISTINCT if place == 0 else 0, share):
            source = folder / training[0] / f"{number % DISTINCT}.png"
            os.link(source, folder / name / f"{number}.png")
    for name in others:
        os.link(folder / training[0] / "0.png", folder / name / "0.png")


def measure(name: str, size: int, count: int, cache_mb: int) -> dict:
    """Pictures a second of two passes, and peak memory of this process in MiB."""
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), kind, size, count)
        before = command_line.peak_mib()
        data = kind.make(Path(folder), size, cache_mb)
        rates = []
        for number in range(2):
            steps = data.training_count
            begin = time.perf_counter()
            for _ in data.stream(1, number * steps, (number + 1) * steps):
                pass
            rates.append(steps / (time.perf_counter() - begin))
    return {
        "kind": name,
        "image_size": size,
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
    """Prints pictures (or pairs) a second and peak memory.

    Args:
        kind: of data set: pairs, unpaired, pictures or high_resolution; several with commas
            between them, or all.
        image_size: side of the training pictures, in pixels.
        counts: how many training pictures; default 500, which fit into memory, and 5000.
        cache_mb: megabytes of pictures that may stay in memory.
        json: file for the results.
    """
    results = []
    print(f"{'':18}{'pictures':>9}{'first pass':>12}{'second':>9}{'MiB before':>12}{'peak':>7}")
    for name in chosen(kind, KINDS, "kind"):
        for count in counts or (500, 5000):
            if count < 2 * DISTINCT:
                raise UserError(f"--counts {count}: give {2 * DISTINCT} or more")
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
