"""The measurements of step.py, each made in a separate process."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, NamedTuple

from benchmarks import operations
from benchmarks.cases import CASES, Sizes
from benchmarks.classic import check_all_updated, check_classic_loop, compile_players
from benchmarks.command_line import peak_mib
from common import cli, registry
from common.adversarial import Adversarial, Jit
from common.signatures import pick

import keras
import tensorflow as tf

TURN = 2  # rounds
WARM_UP = 2  # rounds
DATA_BATCHES = 100  # read without training


@dataclass(frozen=True)
class Variant:
    """A way to train a model: `train_step`, compiled or eager, or the classic loop."""

    kind: Literal["train_step", "eager", "classic"]
    jit: Jit = "off"

    def __str__(self):
        return "train_step, eager" if self.kind == "eager" else f"{self.kind}, jit {self.jit}"

    def round(self, name: str, sizes: Sizes) -> tuple[Adversarial, Callable[[], None]]:
        """A new model, and a function that trains it for one round."""
        keras.utils.set_random_seed(0)
        case = CASES[name]
        model = case.build(sizes)
        batch = case.batch(model, sizes.batch_size)
        if self.kind == "classic":
            players = compile_players(case, model, self.jit)
            return model, lambda: case.classic(model, players, *batch)

        model.compile(jit=self.jit)
        model.make_train_function()
        batches = repeat(tuple(keras.ops.convert_to_tensor(array) for array in batch))
        take = take_eager_steps if self.kind == "eager" else take_steps
        return model, lambda: take(model, batches, case.steps)


def take_steps(model: Adversarial, batches: Iterator, count: int):
    """Takes steps with the function that `fit` calls, and waits for each to finish."""
    for _ in range(count):
        for loss in model.train_function(batches).values():
            float(loss)  # as `fit` does; a GPU may still be computing


def take_eager_steps(model: Adversarial, batches: Iterator, count: int):
    """Takes steps without graphs: Python calls each operation."""
    tf.config.run_functions_eagerly(True)
    try:
        take_steps(model, batches, count)
    finally:
        tf.config.run_functions_eagerly(False)


class Timing(NamedTuple):
    """Durations of one variant.

    Attributes:
        first: seconds of the first round, which traces and compiles.
        steps: wall time and processor time of a training step in seconds, for each round.
    """

    first: float
    steps: list[tuple[float, float]]


def step_times(
    name: str, sizes: Sizes, variants: list[Variant], rounds: int
) -> dict[Variant, Timing]:
    """Durations of a training step; the variants take turns."""
    if any(variant.kind == "classic" for variant in variants):
        check_classic_loop(CASES[name], sizes)
    functions, timings = {}, {}
    for variant in variants:
        model, take_round = variant.round(name, sizes)
        begin = time.perf_counter()
        check_all_updated(str(variant), model, take_round, CASES[name].idle(model))
        functions[variant] = take_round
        timings[variant] = Timing(time.perf_counter() - begin, [])
    for take_round in functions.values():  # now: building sets seeds, which clears caches
        for _ in range(WARM_UP):
            take_round()
    steps = CASES[name].steps
    for turn in range(-(-rounds // TURN)):
        for variant in variants if turn % 2 == 0 else reversed(variants):
            for _ in range(TURN):
                begin, begin_cpu = time.perf_counter(), time.process_time()
                functions[variant]()
                wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
                timings[variant].steps.append((wall / steps, cpu / steps))
    return timings


def peak_memory(name: str, sizes: Sizes, variant: Variant) -> float:
    """Peak resident memory of this process after a few rounds, in MiB."""
    _, take_round = variant.round(name, sizes)
    for _ in range(WARM_UP + TURN):
        take_round()
    return peak_mib()


class Workload(NamedTuple):
    """Arithmetic of a training step, and throughput of the model's embedded data.

    Attributes:
        operations: floating-point operations per step.
        peak: floating-point operations per second of the machine in a large matrix product.
        waiting: seconds per step that training waits for batches of the embedded data.
        images: images per second of the embedded data in its first pass, without training.
    """

    operations: float
    peak: float
    waiting: float
    images: float


def workload(name: str, sizes: Sizes, variant: Variant, rounds: int) -> Workload:
    """Measures the workload of a variant of `train_step`."""
    case, (model, _) = CASES[name], variant.round(name, sizes)
    batch = tuple(keras.ops.convert_to_tensor(a) for a in case.batch(model, sizes.batch_size))
    counted = operations.floating_point_operations(lambda *b: model.train_step(b), batch)
    if case.once:
        once = operations.floating_point_operations(lambda *b: case.once(model, b), batch)
        counted += once / case.steps
    data = embedded_data(name, sizes)
    begin = time.perf_counter()
    for _ in data.stream(sizes.batch_size, 0, DATA_BATCHES):
        pass
    reading = time.perf_counter() - begin

    steps = rounds * case.steps
    model.prepare(data)
    batches = iter(data.stream(sizes.batch_size, 0, WARM_UP + steps))
    take_steps(model, batches, WARM_UP)
    before = model.data_wait
    take_steps(model, batches, steps)
    waiting = (model.data_wait - before) / steps
    peak = operations.matrix_product_peak()
    return Workload(counted, peak, waiting, DATA_BATCHES * sizes.batch_size / reading)


def embedded_data(name: str, sizes: Sizes):
    """The model's generated data, as its command line would have them."""
    task = registry.task_of(name)
    options = cli.train_parser(task.model_class, task, "").get_defaults().as_dict()
    options |= {"dataset": "embedded", "image_size": sizes.image_size}
    return task.data(**pick(task.data, options))


def profile(name: str, sizes: Sizes, variant: Variant, rounds: int) -> list[operations.Share]:
    """The operations of a step; the most expensive operations come first."""
    _, take_round = variant.round(name, sizes)
    for _ in range(WARM_UP):
        take_round()
    return operations.profile(take_round, rounds, CASES[name].steps)
