"""Time and memory of a training step: the compiled train_step and the classic Keras-GAN loop.

The classic loop calls predict, train_on_batch with the real and with the fake batch, and then
train_on_batch of the combined model. It uses the same networks, losses and optimizers (see cases.py
for each model).

    python3 benchmarks/step.py --model dcgan,cgan
    python3 benchmarks/step.py --model pix2pix --image_size 256 --width 64 --batch_size 1
    python3 benchmarks/step.py --model dcgan --profile true --json dcgan.json

Each model is measured in a separate process, in which the variants take turns of two rounds each,
so that other load on the machine affects all of them alike; peak memory is measured in further
processes. Processor time, summed over threads, is given beside wall time: on a busy machine only
processor time is reliable. The first round traces and compiles.

The lines below the table relate the arithmetic of a step to the machine's throughput in a product
of two 2048 x 2048 matrices, and the throughput of the model's embedded data to that of the step.
"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measures, operations
from benchmarks.cases import CASES, Sizes
from benchmarks.command_line import in_own_process, print_markdown, run, write_results
from benchmarks.measures import Variant
from common.errors import UserError
from common.registry import chosen

import numpy as np

Modes = Literal["auto", "on", "off", "every", "none"]
PROFILED = 5  # most expensive operations that --profile lists


# The tables.


def measure_variants(
    name: str, sizes: Sizes, variants: list[Variant], rounds: int, memory: bool
) -> list[dict]:
    """Rows of a model's table, one per variant; the first one is the baseline of the ratios."""
    timings = in_own_process(measures.step_times, name, sizes, variants, rounds)
    rows = []
    slow, slow_cpu = np.median(timings[variants[0]].steps, axis=0)
    for variant in variants:
        steps = timings[variant].steps
        (low, _), (median, cpu), (high, _) = np.percentile(steps, [25, 50, 75], axis=0)
        peak = in_own_process(measures.peak_memory, name, sizes, variant) if memory else None
        rows.append(
            {
                "variant": str(variant),
                "seconds": float(median),
                "quartiles": [float(low), float(high)],
                "images_per_second": float(sizes.batch_size / median),
                "times_faster": float(slow / median),
                "cpu_seconds": float(cpu),
                "times_less_cpu": float(slow_cpu / cpu),
                "peak_mib": peak,
                "first_seconds": timings[variant].first,
            }
        )
    return rows


def print_variants(rows: list[dict]):
    print(
        f"{'':24}{'s/step':>8}{'quartiles':>16}{'images/s':>10}{'faster':>8}"
        f"{'CPU s':>9}{'less':>8}{'MiB':>7}{'first s':>9}"
    )
    for row in rows:
        quartiles = "{:.4f}-{:.4f}".format(*row["quartiles"])
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        print(
            f"{row['variant']:24}{row['seconds']:8.4f}{quartiles:>16}{row['images_per_second']:10.1f}"
            f"{row['times_faster']:7.2f}x{row['cpu_seconds']:9.4f}{row['times_less_cpu']:7.2f}x"
            f"{peak:>7}{row['first_seconds']:9.1f}",
            flush=True,
        )


def measure_workload(name: str, sizes: Sizes, variant: Variant, row: dict, rounds: int) -> dict:
    """Arithmetic and data of a variant, related to the seconds of its row."""
    work = in_own_process(measures.workload, name, sizes, variant, rounds)
    per_second = work.operations / row["seconds"]
    return {
        "operations": work.operations,
        "operations_per_second": per_second,
        "matrix_product_peak": work.peak,
        "share_of_peak": per_second / work.peak,
        "waiting_seconds": work.waiting,
        "data_images_per_second": work.images,
        "data_times_faster": work.images / row["images_per_second"],
    }


def print_workload(workload: dict):
    giga = {name: value / 1e9 for name, value in workload.items()}
    print(
        f"  {giga['operations']:.3g} GFLOP per step, {giga['operations_per_second']:.3g} GFLOP/s: "
        f"{workload['share_of_peak']:.0%} of the {giga['matrix_product_peak']:.3g} GFLOP/s of a "
        "large matrix product\n"
        f"  {workload['waiting_seconds']:.4f} s per step waiting for embedded data, which can be "
        f"read {workload['data_times_faster']:.1f} times as fast "
        f"({workload['data_images_per_second']:.0f} images/s)",
        flush=True,
    )


def print_profile(shares: list[operations.Share]):
    products = operations.share_of_products(shares)
    print(f"  convolutions and products: {products:.0%} of the step; most expensive operations:")
    for each in shares[:PROFILED]:
        print(f"  {each.seconds:9.4f} s {each.share:6.1%}  {each.name}", flush=True)


SUMMARY = (
    *("", "batch", "images/s", "times the first variant", "peak memory, MiB", "first step, s"),
    *(
        "waiting for data, ms",
        "GFLOP per step",
        "share of the peak",
        "in convolutions and products",
    ),
)


def print_summary(results: list[dict]):
    """Prints a Markdown table of the last variant of each model, compared with the first."""
    rows = []
    for result in results:
        row, workload = result["variants"][-1], result.get("workload")
        products = result.get("share_of_products")
        cells = (
            f"{result['model']}, {result['image_size']} px",
            f"{result['batch_size']}",
            f"{row['images_per_second']:.3g}",
            f"{row['times_faster']:.2f}",
            "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
            f"{row['first_seconds']:.1f}",
            f"{1000 * workload['waiting_seconds']:.1f}" if workload else "-",
            f"{workload['operations'] / 1e9:.3g}" if workload else "-",
            f"{workload['share_of_peak']:.0%}" if workload else "-",
            "-" if products is None else f"{products:.0%}",
        )
        rows.append(cells)
    print_markdown(SUMMARY, *rows)


def variants_of(kind: Literal["train_step", "classic"], jit: Modes) -> list[Variant]:
    modes = {"every": ["auto", "on", "off"], "none": []}.get(jit, [jit])
    return [Variant(kind, mode) for mode in modes]


def measure_model(
    name: str,
    sizes: Sizes,
    variants: list[Variant],
    steps: int,
    memory: bool,
    work: bool,
    profile: bool,
) -> dict:
    """Measures and prints one model; the arguments are those of `main`."""
    print(
        f"{name}, {sizes.image_size} px, width {sizes.width}, batch {sizes.batch_size}: "
        f"medians of {steps} steps",
        flush=True,
    )
    rows = measure_variants(name, sizes, variants, steps, memory)
    print_variants(rows)
    result = {"model": name, **sizes._asdict(), "steps": steps, "variants": rows}
    compiled = next((each for each in variants if each.kind == "train_step"), None)
    if compiled and work:
        row = rows[variants.index(compiled)]
        result["workload"] = measure_workload(name, sizes, compiled, row, steps)
        print_workload(result["workload"])
    if compiled and profile:
        shares = in_own_process(measures.profile, name, sizes, compiled, steps)
        print_profile(shares)
        result["profile"] = [share._asdict() for share in shares[:PROFILED]]
        result["share_of_products"] = operations.share_of_products(shares)
    return result


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
    """Prints seconds per step and peak memory of train_step and of the classic loop.

    Args:
        model: model, several separated by commas, or all.
        image_size: side of the images in pixels; default the model's, 28 for digits.
        width: filters of the first convolution, for aae units of a hidden layer; default the
            model's.
        batch_size: samples per step; default the model's.
        steps: measured steps per variant; for wgan rounds of five critic updates and one generator
            update, of which a step is the fifth part.
        jit: XLA compilation of train_step; "every" measures all three modes, "none" omits it.
        classic_jit: the same for the classic loop: "auto" is Keras' default, "on" and "off" are
            jit_compile=True and False.
        eager: also measure train_step in eager mode.
        memory: also measure peak memory, in a separate process for each variant.
        work: also measure the arithmetic of train_step and its waiting time for data.
        profile: also list the most expensive operations of train_step.
        json: output file for the results.
    """
    variants = [
        *variants_of("classic", classic_jit),
        *[Variant("eager")] * eager,
        *variants_of("train_step", jit),
    ]
    if not variants or steps < 1:
        raise UserError("--jit none --classic_jit none, or --steps below 1: nothing to measure")
    results = []
    for name in chosen(model, CASES):
        sizes = CASES[name].sizes(image_size, width, batch_size)
        results.append(measure_model(name, sizes, variants, steps, memory, work, profile))
    print_summary(results)
    write_results(json, results)


if __name__ == "__main__":
    run(main)
