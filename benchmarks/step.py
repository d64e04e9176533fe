"""Seconds and memory of a training step: the compiled train_step beside the classic Keras loop.

The classic loop is Keras-GAN's: generator.predict, discriminator.train_on_batch on the real batch
and on the fake one, combined.train_on_batch. It gets the same networks, losses and optimizers.

    python3 benchmarks/step.py --image_size 256 --width 64 --batch_size 1

Seconds are measured in one process, in turns of two steps each, so that what else the machine does
falls on all alike; the peak memory of each in a process of its own. Beside the seconds that pass
stand those that the processors spend, summed over threads: on a busy machine only they hold.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from json import dumps
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.adversarial import Adversarial
from pix2pix.pix2pix import Pix2Pix

import keras
import numpy as np
from jsonargparse import CLI

Mode = Literal["auto", "on", "off"]
Modes = Literal["auto", "on", "off", "every", "none"]
TURN = 2  # steps
WARM_UP = 2  # steps, tracing and compilation among them


class Sizes(NamedTuple):
    image_size: int
    width: int
    batch_size: int


class Players(NamedTuple):
    """What the classic loop works with: models compiled apart from each other."""

    generator: keras.Model
    discriminator: keras.Model
    combined: keras.Model


@dataclass
class Case:
    """A model to measure.

    Attributes:
        build: gives the model, ready to train.
        batch: gives what `train_step` takes.
        classic: one round of the classic loop on such a batch.
    """

    build: Callable[[Sizes], Adversarial]
    batch: Callable[[Sizes], tuple[np.ndarray, ...]]
    classic: Callable[..., None]


def pictures(sizes: Sizes, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Noise in [-1, 1], float32 (B, H, W, C)."""
    shape = sizes.batch_size, sizes.image_size, sizes.image_size, channels
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def classic_pix2pix(players: Players, x: np.ndarray, y: np.ndarray):
    y_hat = players.generator.predict(x, verbose=0)
    real = np.ones((len(x), x.shape[1] // 8 - 2, x.shape[2] // 8 - 2, 1), "float32")
    players.discriminator.train_on_batch([x, y], real)
    players.discriminator.train_on_batch([x, y_hat], np.zeros_like(real))
    players.combined.train_on_batch(x, [real, y])


CASES = {
    "pix2pix": Case(
        build=lambda sizes: Pix2Pix(image_size=sizes.image_size, width=sizes.width),
        batch=lambda sizes: (pictures(sizes, seed=0), pictures(sizes, seed=1)),
        classic=classic_pix2pix,
    ),
}


# The two ways to take a step.


class Combined(keras.Model):
    """Generator into discriminator, of which only the generator learns.

    The old recipe froze the discriminator by its `trainable`. In Keras 3 that reaches the
    discriminator's own training too, which then does nothing.
    """

    @property
    def trainable_variables(self):
        return self.get_layer("generator").trainable_variables

    @property
    def trainable_weights(self):
        return self.trainable_variables


def compiled_apart(model: Adversarial, jit: Mode) -> Players:
    """The model's players for the classic loop, with the model's losses and optimizers."""
    jit_compile = {"auto": "auto", "on": True, "off": False}[jit]
    combined = Combined(model.combined.inputs, model.combined.outputs)
    model.generator.compile(jit_compile=jit_compile)
    for player, like in ((model.discriminator, model.discriminator), (combined, model.combined)):
        player.compile(
            loss=like.loss,
            loss_weights=like.get_compile_config()["loss_weights"],
            optimizer=like.optimizer,
            jit_compile=jit_compile,
        )
    return Players(model.generator, model.discriminator, combined)


@dataclass(frozen=True)
class Way:
    """How a step is taken: by `train_step` or by the classic loop, with XLA or without."""

    kind: Literal["train_step", "classic"]
    jit: Mode

    def __str__(self):
        return f"{self.kind}, jit {self.jit}"

    def step(self, case: Case, sizes: Sizes) -> tuple[Adversarial, Callable[[], None]]:
        """A new model, and the function that takes one step with it."""
        keras.utils.set_random_seed(0)
        model = case.build(sizes)
        batch = case.batch(sizes)
        if self.kind == "classic":
            players = compiled_apart(model, self.jit)
            return model, lambda: case.classic(players, *batch)

        model.compile(jit=self.jit)
        model.make_train_function()
        batches = repeat(tuple(keras.ops.convert_to_tensor(array) for array in batch))

        def step():
            losses = model.train_function(batches)
            for loss in losses.values():  # as `fit` does; a GPU would still be at work
                float(loss)

        return model, step


# The measurements.


def check_that_all_learn(name: str, model: Adversarial, step: Callable[[], None]):
    """Takes a step and refuses a way in which a player stays as it was."""
    before = {player: network.get_weights() for player, network in model.networks.items()}
    step()
    for player, network in model.networks.items():
        trainable = {id(v) for v in network.trainable_variables}
        for variable, old in zip(network.weights, before[player], strict=True):
            if id(variable) in trainable and np.array_equal(old, variable.numpy()):
                raise SystemExit(f"{name}: {variable.path} of the {player} has not moved")


def check_the_classic_loop(case: Case, sizes: Sizes):
    """Refuses players of which an update moves another one's weights."""
    model = case.build(sizes)
    players = compiled_apart(model, "off")
    weights = {
        "generator": players.generator.trainable_variables,
        "discriminator": players.discriminator.trainable_variables,
    }

    def moved_by(update) -> Iterator[str]:
        before = {name: [v.numpy() for v in variables] for name, variables in weights.items()}
        update()
        for name, variables in weights.items():
            pairs = zip(before[name], variables, strict=True)
            if not all(np.array_equal(old, v.numpy()) for old, v in pairs):
                yield name

    originals = {name: getattr(players, name).train_on_batch for name in players._fields}
    for owner, mover in (("discriminator", "discriminator"), ("combined", "generator")):

        def checked(*batch, owner=owner, mover=mover):
            moved = list(moved_by(lambda: originals[owner](*batch)))
            if moved != [mover]:
                raise SystemExit(f"classic: {owner}.train_on_batch has moved {moved}, not {mover}")

        getattr(players, owner).train_on_batch = checked
    case.classic(players, *case.batch(sizes))


def measure_seconds(
    case: Case, sizes: Sizes, ways: list[Way], steps: int
) -> dict[Way, list[tuple[float, float]]]:
    """Seconds passed and seconds of processor time of each step, in turns."""
    taken = {}
    for way in ways:
        model, step = way.step(case, sizes)
        check_that_all_learn(str(way), model, step)
        for _ in range(WARM_UP):
            step()
        taken[way] = step
    seconds = {way: [] for way in ways}
    for turn in range(-(-steps // TURN)):
        for way in ways if turn % 2 == 0 else reversed(ways):
            for _ in range(TURN):
                begin, begin_cpu = time.perf_counter(), time.process_time()
                taken[way]()
                end, end_cpu = time.perf_counter(), time.process_time()
                seconds[way].append((end - begin, end_cpu - begin_cpu))
    return seconds


def peak_memory(case_name: str, sizes: Sizes, way: Way) -> float:
    """Peak resident memory of this process after a few steps, in MiB."""
    _, step = way.step(CASES[case_name], sizes)
    for _ in range(WARM_UP + TURN):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(function: Callable, *arguments):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def ways_of(kind: Literal["train_step", "classic"], jit: Modes) -> list[Way]:
    modes = {"every": ["auto", "on", "off"], "none": []}.get(jit, [jit])
    return [Way(kind, mode) for mode in modes]


def main(
    model: str = "pix2pix",
    image_size: int = 256,
    width: int = 64,
    batch_size: int = 1,
    steps: int = 20,
    jit: Modes = "auto",
    classic_jit: Modes = "off",
    memory: bool = True,
    json: str | None = None,
):
    """Prints seconds a step and peak memory of train_step and of the classic loop.

    Args:
        model: which model.
        image_size: side of the pictures in pixels.
        width: filters of the first convolution.
        batch_size: samples a step.
        steps: measured steps of each way.
        jit: how train_step is compiled; "every" measures all three modes, "none" leaves it out.
        classic_jit: the same for the models of the classic loop: "auto" is Keras' default, "on"
            its jit_compile=True, "off" its False.
        memory: whether to measure memory too, in a process for each way.
        json: file for the results.
    """
    if model not in CASES:
        raise SystemExit(f"--model {model}: choose from {', '.join(CASES)}")
    case, sizes = CASES[model], Sizes(image_size, width, batch_size)
    ways = [*ways_of("classic", classic_jit), *ways_of("train_step", jit)]
    if any(way.kind == "classic" for way in ways):
        check_the_classic_loop(case, sizes)
    peaks = dict.fromkeys(ways)
    if memory:
        peaks = {way: in_own_process(peak_memory, model, sizes, way) for way in ways}
    seconds = measure_seconds(case, sizes, ways, steps)

    rows = []
    first, first_cpu = np.median(seconds[ways[0]], axis=0)
    for way in ways:
        (low, _), (median, cpu), (high, _) = np.percentile(seconds[way], [25, 50, 75], axis=0)
        rows.append(
            {
                "way": str(way),
                "seconds": float(median),
                "quartiles": [float(low), float(high)],
                "times_faster": float(first / median),
                "cpu_seconds": float(cpu),
                "times_less_cpu": float(first_cpu / cpu),
                "peak_mib": peaks[way],
            }
        )
    print(f"{model}, {image_size} px, width {width}, batch {batch_size}: medians of {steps} steps")
    print(f"{'':24}{'s/step':>8}{'quartiles':>16}{'faster':>8}{'CPU s':>8}{'less':>8}{'MiB':>8}")
    for row in rows:
        quartiles = "{:.3f}-{:.3f}".format(*row["quartiles"])
        peak = f"{row['peak_mib']:.0f}" if memory else "-"
        print(
            f"{row['way']:24}{row['seconds']:8.3f}{quartiles:>16}{row['times_faster']:7.2f}x"
            f"{row['cpu_seconds']:8.3f}{row['times_less_cpu']:7.2f}x{peak:>8}"
        )
    if json:
        result = {"model": model, **sizes._asdict(), "steps": steps, "ways": rows}
        Path(json).write_text(dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    CLI(main, as_positional=False)
