"""Number of floating-point operations of a training step, and profile of its operations."""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

MATRIX = 2048  # side of the matrices whose product measures the machine's peak

# Operations of convolutional and dense layers, as TensorFlow and oneDNN name them, ...
PRODUCTS = re.compile(r"Conv2D|DepthwiseConv|MatMul|Conv3D")
# ... their prefixes, and operations that only call others.
_ONEDNN = re.compile(r"^_Mkl(Native)?(Fused)?|^_Fused")
_CALLS = re.compile(r"Call$|^(Stateless)?(If|While)|^XlaLaunch|^NoOp$|^_(Arg|Retval)")
_XLA = "CpuExecutable::ExecuteAsyncOnStream"


class Share(NamedTuple):
    """Duration of an operation.

    Attributes:
        name: its place in the networks, and its type.
        seconds: duration per step. TensorFlow runs the operations one after the other here
            (common/__init__.py), so a step lasts as long as all of them and the gaps in between.
        share: share of the duration of a step.
    """

    name: str
    seconds: float
    share: float


def floating_point_operations(function: Callable, arguments: tuple[tf.Tensor, ...]) -> int:
    """Floating-point operations of a call, counted by TensorFlow from the shapes of its tensors.

    The branches of `tf.cond` are not counted.

    Args:
        function: function to call; the body of a `tf.function` inside it is counted.
        arguments: tensors of known shapes.
    """
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in arguments]
    tf.config.run_functions_eagerly(True)  # inlines them into one graph
    try:
        graph = tf.compat.v1.wrap_function(function, specs).graph
    finally:
        tf.config.run_functions_eagerly(False)
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, cmd="op", options=options).total_float_ops


def matrix_product_peak(repeats: int = 5) -> float:
    """Peak floating-point operations per second of this machine in a large matrix product."""
    a = tf.constant(np.random.default_rng(0).random((MATRIX, MATRIX), "float32"))
    tf.matmul(a, a).numpy()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        tf.matmul(a, a).numpy()
        seconds.append(time.perf_counter() - begin)
    return 2 * MATRIX**3 / min(seconds)


def profile(take_round: Callable[[], None], rounds: int, steps: int = 1) -> list[Share]:
    """Profiles the operations of a step on a CPU; the most expensive operations come first.

    An XLA program counts as one operation.

    Args:
        take_round: takes steps, which are compiled already.
        rounds: number of rounds to profile.
        steps: number of steps per round.
    """
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            begin = time.perf_counter()
            for _ in range(rounds):
                take_round()
            passed = time.perf_counter() - begin
        (file,) = Path(folder).rglob("*.xplane.pb")
        seconds = _seconds_by_operation(file.read_bytes())
    total = rounds * steps
    return [Share(name, spent / total, spent / passed) for name, spent in seconds.most_common()]


def share_of_products(operations: list[Share]) -> float:
    """The share of convolutions and matrix products in forward and backward passes."""
    return sum(each.share for each in operations if PRODUCTS.search(each.name.split(": ")[-1]))


def _seconds_by_operation(recorded: bytes) -> Counter:
    # The message classes of profiles, which TensorFlow includes under its own name.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    seconds = Counter()
    for plane in xplane_pb2.XSpace.FromString(recorded).planes:
        for line in plane.lines:
            for event in line.events:
                name = _operation_name(plane.event_metadata[event.metadata_id].name)
                if name:
                    seconds[name] += event.duration_ps / 1e12
    return seconds


def _operation_name(event: str) -> str | None:
    """The name "place: type" of an event that is an operation; None for other events."""
    if event == _XLA:
        return "compiled by XLA: optimizers, or the step"
    place, colon, kind = event.rpartition(":")
    if not colon or not re.fullmatch(r"\w+", kind) or place.endswith(":") or _CALLS.search(kind):
        return None
    return f"{place}: {_ONEDNN.sub('', kind)}"
