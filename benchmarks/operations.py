"""What a training step consists of: how much arithmetic, and which operations take long."""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

MATRIX = 2048  # side of the matrices whose product is the machine's measure

# The operations that the networks are made of, as TensorFlow and oneDNN name them, ...
PRODUCTS = re.compile(r"Conv2D|DepthwiseConv|MatMul|Conv3D")
# ... how they are prefixed, and what only calls other operations.
_ONEDNN = re.compile(r"^_Mkl(Native)?(Fused)?|^_Fused")
_CALLS = re.compile(r"Call$|^(Stateless)?(If|While)|^XlaLaunch|^NoOp$|^_(Arg|Retval)")
_XLA = "CpuExecutable::ExecuteAsyncOnStream"


class Share(NamedTuple):
    """What an operation takes.

    Attributes:
        name: where it stands in the networks, and its kind.
        seconds: a step. TensorFlow runs one operation after the other here (common/__init__.py), so
            those of all operations, and what lies between them, are the step's.
        share: of the seconds of the step.
    """

    name: str
    seconds: float
    share: float


def floating_point_operations(function: Callable, arguments: tuple[tf.Tensor, ...]) -> int:
    """Additions, multiplications and the like of a call, as TensorFlow counts them by its shapes.

    What a `tf.cond` may run is not counted.

    Args:
        function: what is called; a `tf.function` within it counts as what it holds.
        arguments: tensors of known shapes.
    """
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in arguments]
    tf.config.run_functions_eagerly(True)  # lays what they hold open, in the one graph
    try:
        graph = tf.compat.v1.wrap_function(function, specs).graph
    finally:
        tf.config.run_functions_eagerly(False)
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, cmd="op", options=options).total_float_ops


def matrix_product_peak(repeats: int = 5) -> float:
    """Floating-point operations a second of the machine's best product of two large matrices."""
    a = tf.constant(np.random.default_rng(0).random((MATRIX, MATRIX), "float32"))
    tf.matmul(a, a).numpy()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        tf.matmul(a, a).numpy()
        seconds.append(time.perf_counter() - begin)
    return 2 * MATRIX**3 / min(seconds)


def profile(take_round: Callable[[], None], rounds: int, steps: int = 1) -> list[Share]:
    """The operations of a step on a CPU, the costliest first, as TensorFlow's profiler saw them.

    An XLA program counts as one operation.

    Args:
        take_round: takes steps that have been compiled before.
        rounds: how many to look at.
        steps: of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            begin = time.perf_counter()
            for _ in range(rounds):
                take_round()
            passed = time.perf_counter() - begin
        (file,) = Path(folder).rglob("*.xplane.pb")
        seconds = _seconds_by_operation(file.read_bytes())
    taken = rounds * steps
    return [Share(name, took / taken, took / passed) for name, took in seconds.most_common()]


def share_of_products(operations: list[Share]) -> float:
    """The share of convolutions and matrix products, forward and backward."""
    return sum(each.share for each in operations if PRODUCTS.search(each.name.split(": ")[-1]))


def _seconds_by_operation(recorded: bytes) -> Counter:
    # TensorFlow brings the format of its profiles along, under a name of its own.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    seconds = Counter()
    for plane in xplane_pb2.XSpace.FromString(recorded).planes:
        for line in plane.lines:
            for event in line.events:
                name = _readable(plane.event_metadata[event.metadata_id].name)
                if name:
                    seconds[name] += event.duration_ps / 1e12
    return seconds


def _readable(event: str) -> str | None:
    """`place: Kind` of an event that is an operation, None of one that is not."""
    if event == _XLA:
        return "compiled by XLA: optimizers, or the step"
    place, colon, kind = event.rpartition(":")
    if not colon or not re.fullmatch(r"\w+", kind) or place.endswith(":") or _CALLS.search(kind):
        return None
    return f"{place}: {_ONEDNN.sub('', kind)}"
