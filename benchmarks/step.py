"""Seconds and memory of a training step: the compiled train_step beside the classic Keras loop.

The classic loop is Keras-GAN's: predict, train_on_batch on the real batch and on the fake one, then
on the combined model. It gets the same networks, losses and optimizers (cases.py says for each
model what it does).

    python3 benchmarks/step.py --model dcgan,cgan
    python3 benchmarks/step.py --model pix2pix --image_size 256 --width 64 --batch_size 1
    python3 benchmarks/step.py --model dcgan --profile true --json dcgan.json

Each model is measured in a process of its own. The ways to train it take turns of two rounds each
there, so that what else the machine does falls on all alike; the peak memory of each is that of a
further process. Beside the seconds that pass stand those that the processors spend, summed over
threads: on a busy machine only they hold. The first round is the one that traces and compiles.

Below the table stands what a step calculates, as a share of what the machine reaches in a product
of two matrices of 2048 x 2048, and whether the model's embedded data keep up with it.
"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measures, operations
from benchmarks.cases import CASES, Sizes
from benchmarks.command_line import in_own_process, print_markdown, run, write_results
from benchmarks.measures import Way
from common.errors import UserError
from common.registry import chosen

import numpy as np

Modes = Literal["auto", "on", "off", "every", "none"]
COSTLIEST = 5  # operations that --profile names


# The tables.


def measure(name: str, sizes: Sizes, ways: list[Way], rounds: int, memory: bool) -> list[dict]:
    """Rows of a model's table, one a way; the first is what the others are compared with."""
    timings = in_own_process(measures.seconds, name, sizes, ways, rounds)
    rows = []
    slow, slow_cpu = np.median(timings[ways[0]].steps, axis=0)
    for way in ways:
        steps = timings[way].steps
        (low, _), (median, cpu), (high, _) = np.percentile(steps, [25, 50, 75], axis=0)
        peak = in_own_process(measures.peak_memory, name, sizes, way) if memory else None
        rows.append(
            {
                "way": str(way),
                "seconds": float(median),
                "quartiles": [float(low), float(high)],
                "images_per_second": float(sizes.batch_size / median),
                "times_faster": float(slow / median),
                "cpu_seconds": float(cpu),
                "times_less_cpu": float(slow_cpu / cpu),
                "peak_mib": peak,
                "first_seconds": timings[way].first,
            }
        )
    return rows


def print_rows(rows: list[dict]):
    print(
        f"{'':24}{'s/step':>8}{'quartiles':>16}{'images/s':>10}{'faster':>8}"
        f"{'CPU s':>9}{'less':>8}{'MiB':>7}{'first s':>9}"
    )
    for row in rows:
        quartiles = "{:.4f}-{:.4f}".format(*row["quartiles"])
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        print(
            f"{row['way']:24}{row['seconds']:8.4f}{quartiles:>16}{row['images_per_second']:10.1f}"
            f"{row['times_faster']:7.2f}x{row['cpu_seconds']:9.4f}{row['times_less_cpu']:7.2f}x"
            f"{peak:>7}{row['first_seconds']:9.1f}",
            flush=True,
        )


def surroundings(name: str, sizes: Sizes, way: Way, row: dict, rounds: int) -> dict:
    """What the steps of a row calculate and wait for."""
    work = in_own_process(measures.work, name, sizes, way, rounds)
    a_second = work.operations / row["seconds"]
    return {
        "operations": work.operations,
        "operations_per_second": a_second,
        "matrix_product_peak": work.peak,
        "share_of_peak": a_second / work.peak,
        "waiting_seconds": work.waiting,
        "data_images_per_second": work.images,
        "data_times_faster": work.images / row["images_per_second"],
    }


def print_surroundings(found: dict):
    giga = {name: value / 1e9 for name, value in found.items()}
    print(
        f"  {giga['operations']:.3g} GFLOP a step, {giga['operations_per_second']:.3g} GFLOP/s: "
        f"{found['share_of_peak']:.0%} of a large matrix product's "
        f"{giga['matrix_product_peak']:.3g}\n"
        f"  {found['waiting_seconds']:.4f} s a step waiting for embedded data, which alone come "
        f"{found['data_times_faster']:.1f} times as fast ({found['data_images_per_second']:.0f} "
        "images/s)",
        flush=True,
    )


def print_profile(shares: list[operations.Share]):
    products = operations.share_of_products(shares)
    print(f"  convolutions and products: {products:.0%} of the step; the costliest operations:")
    for each in shares[:COSTLIEST]:
        print(f"  {each.seconds:9.4f} s {each.share:6.1%}  {each.name}", flush=True)


SUMMARY = (
    *("", "batch", "images/s", "times the first way", "peak memory, MiB", "first step, s"),
    *("waiting for data, ms", "GFLOP a step", "share of the peak", "in convolutions and products"),
)


def print_summary(results: list[dict]):
    """A table in Markdown of the last way of each model, beside the first."""
    rows = []
    for result in results:
        row, found = result["ways"][-1], result.get("surroundings")
        products = result.get("share_of_products")
        cells = (
            f"{result['model']}, {result['image_size']} px",
            f"{result['batch_size']}",
            f"{row['images_per_second']:.3g}",
            f"{row['times_faster']:.2f}",
            "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
            f"{row['first_seconds']:.1f}",
            f"{1000 * found['waiting_seconds']:.1f}" if found else "-",
            f"{found['operations'] / 1e9:.3g}" if found else "-",
            f"{found['share_of_peak']:.0%}" if found else "-",
            "-" if products is None else f"{products:.0%}",
        )
        rows.append(cells)
    print_markdown(SUMMARY, *rows)


def ways_of(kind: Literal["train_step", "classic"], jit: Modes) -> list[Way]:
    modes = {"every": ["auto", "on", "off"], "none": []}.get(jit, [jit])
    return [Way(kind, mode) for mode in modes]


def main(
    model: str = "all",
    image_size: int | None = None,
    width: int | None = None,
    batch_size: int | None = None,
    steps: int = 20,
    jit: Modes = "auto",
    classic_jit: Modes = "off",
    eager: bool = False,
    memory: bool = True,
    work: bool = True,
    profile: bool = False,
    json: str | None = None,
):
    """Prints seconds a step and peak memory of train_step and of the classic loop.

    Args:
        model: which model; several with commas between them, or all.
        image_size: side of the images in pixels; default the model's, 28 for digits.
        width: filters of the first convolution, of aae units of a hidden layer; default the
            model's.
        batch_size: samples a step; default the model's.
        steps: measured steps of each way; of wgan as many rounds of five critic's steps and one
            generator's, of which the fifth part is a step.
        jit: how train_step is compiled; "every" measures all three modes, "none" leaves it out.
        classic_jit: the same for the models of the classic loop: "auto" is Keras' default, "on"
            its jit_compile=True, "off" its False.
        eager: whether to measure train_step uncompiled, too, each operation called from Python.
        memory: whether to measure memory too, in a process for each way.
        work: whether to measure what train_step calculates and how long it waits for data.
        profile: whether to name the costliest operations of train_step.
        json: file for the results.
    """
    ways = [*ways_of("classic", classic_jit), *[Way("eager")] * eager, *ways_of("train_step", jit)]
    if not ways or steps < 1:
        raise UserError("--jit none --classic_jit none, or --steps below 1: nothing to measure")
    results = []
    for name in chosen(model, CASES):
        sizes = CASES[name].sizes(image_size, width, batch_size)
        print(
            f"{name}, {sizes.image_size} px, width {sizes.width}, batch {sizes.batch_size}: "
            f"medians of {steps} steps",
            flush=True,
        )
        rows = measure(name, sizes, ways, steps, memory)
        print_rows(rows)
        result = {"model": name, **sizes._asdict(), "steps": steps, "ways": rows}
        compiled = next((way for way in ways if way.kind == "train_step"), None)
        if compiled and work:
            row = rows[ways.index(compiled)]
            result["surroundings"] = surroundings(name, sizes, compiled, row, steps)
            print_surroundings(result["surroundings"])
        if compiled and profile:
            shares = in_own_process(measures.profile, name, sizes, compiled, steps)
            print_profile(shares)
            result["profile"] = [share._asdict() for share in shares[:COSTLIEST]]
            result["share_of_products"] = operations.share_of_products(shares)
        results.append(result)
    print_summary(results)
    write_results(json, results)


if __name__ == "__main__":
    run(main)
