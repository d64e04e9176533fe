"""The measurements of step.py, each meant for a process of its own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, NamedTuple

from benchmarks import operations
from benchmarks.cases import CASES, Sizes
from benchmarks.classic import check_that_all_learn, check_the_classic_loop, players_apart
from benchmarks.command_line import peak_mib
from common import cli, registry
from common.adversarial import Adversarial, Jit
from common.signatures import pick

import keras
import tensorflow as tf

TURN = 2  # rounds
WARM_UP = 2  # rounds
ALONE = 100  # batches


@dataclass(frozen=True)
class Way:
    """How a model is trained: by `train_step`, compiled or not, or by the classic loop."""

    kind: Literal["train_step", "eager", "classic"]
    jit: Jit = "off"

    def __str__(self):
        return "train_step, eager" if self.kind == "eager" else f"{self.kind}, jit {self.jit}"

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
        take = take_eager_steps if self.kind == "eager" else take_steps
        return model, lambda: take(model, batches, case.steps)


def take_steps(model: Adversarial, batches: Iterator, count: int):
    """Takes steps through the function that `fit` calls, each to its end."""
    for _ in range(count):
        for loss in model.train_function(batches).values():
            float(loss)  # as `fit` does; a GPU would still be at work


def take_eager_steps(model: Adversarial, batches: Iterator, count: int):
    """The same without any graph: each operation by itself, called from Python."""
    tf.config.run_functions_eagerly(True)
    try:
        take_steps(model, batches, count)
    finally:
        tf.config.run_functions_eagerly(False)


class Timing(NamedTuple):
    """How long one way takes.

    Attributes:
        first: seconds of the first round, in which everything is traced and compiled.
        steps: seconds passed and seconds of processor time of a training step, round by round.
    """

    first: float
    steps: list[tuple[float, float]]


def seconds(name: str, sizes: Sizes, ways: list[Way], rounds: int) -> dict[Way, Timing]:
    """How long a training step takes, the ways in turns."""
    if any(way.kind == "classic" for way in ways):
        check_the_classic_loop(CASES[name], sizes)
    taken, timings = {}, {}
    for way in ways:
        model, take_round = way.round(name, sizes)
        begin = time.perf_counter()
        check_that_all_learn(str(way), model, take_round)
        taken[way], timings[way] = take_round, Timing(time.perf_counter() - begin, [])
    for take_round in taken.values():  # after all are built: a seed set makes TensorFlow forget
        for _ in range(WARM_UP):
            take_round()
    steps = CASES[name].steps
    for turn in range(-(-rounds // TURN)):
        for way in ways if turn % 2 == 0 else reversed(ways):
            for _ in range(TURN):
                begin, begin_cpu = time.perf_counter(), time.process_time()
                taken[way]()
                end, end_cpu = time.perf_counter(), time.process_time()
                timings[way].steps.append(((end - begin) / steps, (end_cpu - begin_cpu) / steps))
    return timings


def peak_memory(name: str, sizes: Sizes, way: Way) -> float:
    """Peak resident memory of this process after a few rounds, in MiB."""
    _, take_round = way.round(name, sizes)
    for _ in range(WARM_UP + TURN):
        take_round()
    return peak_mib()


class Work(NamedTuple):
    """What a step of `train_step` calculates, and what its batches cost.

    Attributes:
        operations: floating-point operations of a step.
        peak: floating-point operations a second of the machine's best matrix product.
        waiting: seconds a step that training waits for batches of the embedded data.
        images: of the embedded data that its stream alone gives a second, when each is drawn for
            the first time.
    """

    operations: float
    peak: float
    waiting: float
    images: float


def work(name: str, sizes: Sizes, way: Way, rounds: int) -> Work:
    """Measures what surrounds the arithmetic of `way`, which is one of train_step."""
    case, (model, _) = CASES[name], way.round(name, sizes)
    batch = tuple(keras.ops.convert_to_tensor(a) for a in case.batch(model, sizes.batch_size))
    counted = operations.floating_point_operations(lambda *b: model.train_step(b), batch)
    if case.once:
        once = operations.floating_point_operations(lambda *b: case.once(model, b), batch)
        counted += once / case.steps
    data = embedded_data(name, sizes)
    begin = time.perf_counter()
    for _ in data.stream(sizes.batch_size, 0, ALONE):
        pass
    alone = time.perf_counter() - begin

    steps = rounds * case.steps
    model.prepare(data)
    batches = iter(data.stream(sizes.batch_size, 0, WARM_UP + steps))
    take_steps(model, batches, WARM_UP)
    before = model.data_wait
    take_steps(model, batches, steps)
    waiting = (model.data_wait - before) / steps
    peak = operations.matrix_product_peak()
    return Work(counted, peak, waiting, ALONE * sizes.batch_size / alone)


def embedded_data(name: str, sizes: Sizes):
    """The model's generated data, as its command line would have them."""
    task = registry.task_of(name)
    options = cli.train_parser(task.model_class, task, "").get_defaults().as_dict()
    options |= {"dataset": "embedded", "image_size": sizes.image_size}
    return task.data(**pick(task.data, options))


def profile(name: str, sizes: Sizes, way: Way, rounds: int) -> list[operations.Share]:
    """The operations of a step, the costliest first."""
    _, take_round = way.round(name, sizes)
    for _ in range(WARM_UP):
        take_round()
    return operations.profile(take_round, rounds, CASES[name].steps)
