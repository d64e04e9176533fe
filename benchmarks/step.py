"""Seconds and memory of a training step: the compiled train_step beside the classic Keras loop.

The classic loop is Keras-GAN's: predict, train_on_batch on the real batch and on the fake one, then
on the combined model. It gets the same networks, losses and optimizers (cases.py says for each
model what it does).

    python3 benchmarks/step.py --model dcgan,cgan
    python3 benchmarks/step.py --model pix2pix --image_size 256 --width 64 --batch_size 1

Each model is measured in a process of its own. The ways to train it take turns of two rounds each
there, so that what else the machine does falls on all alike; the peak memory of each is that of a
further process. Beside the seconds that pass stand those that the processors spend, summed over
threads: on a busy machine only they hold.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from json import dumps
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cases import CASES, Sizes
from benchmarks.classic import check_that_all_learn, check_the_classic_loop, players_apart
from common.adversarial import Adversarial, Jit
from common.errors import UserError
from common.zoo import chosen

import keras
import numpy as np
from jsonargparse import CLI

Modes = Literal["auto", "on", "off", "every", "none"]
TURN = 2  # rounds
WARM_UP = 2  # rounds, tracing and compilation among them


@dataclass(frozen=True)
class Way:
    """How a model is trained: by `train_step` or by the classic loop, with XLA or without."""

    kind: Literal["train_step", "classic"]
    jit: Jit

    def __str__(self):
        return f"{self.kind}, jit {self.jit}"

    def round(self, name: str, sizes: Sizes) -> tuple[Adversarial, Callable[[], None]]:
        """A new model, and the function that does with it a round's work."""
        keras.utils.set_random_seed(0)
        case = CASES[name]
        model = case.build(sizes)
        batch = case.batch(model, sizes.batch_size)
        if self.kind == "classic":
            players = players_apart(case, model, self.jit)
            return model, lambda: case.classic(model, players, *batch)

        model.compile(jit=self.jit)
        model.make_train_function()
        batches = repeat(tuple(keras.ops.convert_to_tensor(array) for array in batch))

        def steps():
            for _ in range(case.steps):
                losses = model.train_function(batches)
                for loss in losses.values():  # as `fit` does; a GPU would still be at work
                    float(loss)

        return model, steps


# The measurements, each in a process of its own.


def measure_seconds(
    name: str, sizes: Sizes, ways: list[Way], rounds: int
) -> dict[Way, list[tuple[float, float]]]:
    """Seconds passed and seconds of processor time of a training step, round by round."""
    if any(way.kind == "classic" for way in ways):
        check_the_classic_loop(CASES[name], sizes)
    taken = {}
    for way in ways:
        model, take_round = way.round(name, sizes)
        check_that_all_learn(str(way), model, take_round)
        taken[way] = take_round
    for take_round in taken.values():  # after all are built: a seed set makes TensorFlow forget
        for _ in range(WARM_UP):
            take_round()
    seconds = {way: [] for way in ways}
    steps = CASES[name].steps
    for turn in range(-(-rounds // TURN)):
        for way in ways if turn % 2 == 0 else reversed(ways):
            for _ in range(TURN):
                begin, begin_cpu = time.perf_counter(), time.process_time()
                taken[way]()
                end, end_cpu = time.perf_counter(), time.process_time()
                seconds[way].append(((end - begin) / steps, (end_cpu - begin_cpu) / steps))
    return seconds


def peak_memory(name: str, sizes: Sizes, way: Way) -> float:
    """Peak resident memory of this process after a few rounds, in MiB."""
    _, take_round = way.round(name, sizes)
    for _ in range(WARM_UP + TURN):
        take_round()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(function: Callable, *arguments):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


# The table.


def measure(name: str, sizes: Sizes, ways: list[Way], rounds: int, memory: bool) -> list[dict]:
    """Rows of the table, one a way; the first is what the others are compared with."""
    seconds = in_own_process(measure_seconds, name, sizes, ways, rounds)
    rows = []
    first, first_cpu = np.median(seconds[ways[0]], axis=0)
    for way in ways:
        (low, _), (median, cpu), (high, _) = np.percentile(seconds[way], [25, 50, 75], axis=0)
        rows.append(
            {
                "way": str(way),
                "seconds": float(median),
                "quartiles": [float(low), float(high)],
                "images_per_second": float(sizes.batch_size / median),
                "times_faster": float(first / median),
                "cpu_seconds": float(cpu),
                "times_less_cpu": float(first_cpu / cpu),
                "peak_mib": in_own_process(peak_memory, name, sizes, way) if memory else None,
            }
        )
    return rows


def print_rows(rows: list[dict]):
    print(
        f"{'':24}{'s/step':>8}{'quartiles':>16}{'images/s':>10}{'faster':>8}"
        f"{'CPU s':>9}{'less':>8}{'MiB':>7}"
    )
    for row in rows:
        quartiles = "{:.4f}-{:.4f}".format(*row["quartiles"])
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        print(
            f"{row['way']:24}{row['seconds']:8.4f}{quartiles:>16}{row['images_per_second']:10.1f}"
            f"{row['times_faster']:7.2f}x{row['cpu_seconds']:9.4f}{row['times_less_cpu']:7.2f}x"
            f"{peak:>7}",
            flush=True,
        )


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
    memory: bool = True,
    json: str | None = None,
):
    """Prints seconds a step and peak memory of train_step and of the classic loop.

    Args:
        model: which model; several with commas between them, or all.
        image_size: side of the pictures in pixels; default the model's, 28 for digits.
        width: filters of the first convolution, of aae units of a hidden layer; default the
            model's.
        batch_size: samples a step; default the model's.
        steps: measured steps of each way; of wgan as many rounds of five critic's steps and one
            generator's, of which the fifth part is a step.
        jit: how train_step is compiled; "every" measures all three modes, "none" leaves it out.
        classic_jit: the same for the models of the classic loop: "auto" is Keras' default, "on"
            its jit_compile=True, "off" its False.
        memory: whether to measure memory too, in a process for each way.
        json: file for the results.
    """
    ways = [*ways_of("classic", classic_jit), *ways_of("train_step", jit)]
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
        results.append({"model": name, **sizes._asdict(), "steps": steps, "ways": rows})
    if json:
        Path(json).write_text(dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    try:
        CLI(main, as_positional=False)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
