"""Data parallelism: collective operations among replicas of a model on several devices or machines.

A replica is a complete model on its own device. It runs the same `train_step` as a model without
data parallelism, on its shard of the global batch, and calls three functions that communicate:

    all_reduce_mean   averages the gradients before the optimizers apply them, and the losses
    all_gather        collects the global batch, for batch statistics and the image pool
    sharded_random    draws noise for the global batch and keeps the rows of the replica's shard

So all replicas draw the same numbers and apply the same gradients: their variables stay equal
without being synchronized, the result of a step does not depend on the number of replicas (except
for rounding), and every replica's checkpoint is the same. Without a strategy, or with a single
replica, the three functions do nothing.

tf.distribute creates the cluster, names its devices and notices a lost worker; the all-reduce is
TensorFlow's collective operation. The step does not use `strategy.run`, where (with Keras 3.15 and
TensorFlow 2.21) losses that Keras reduces are divided by the number of replicas and scalar losses
are not, optimizers sum the gradients, every replica draws the same noise, and updates are possible
neither in `tf.cond` nor in an XLA program.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import keras
import tensorflow as tf


class ReplicaGroup(NamedTuple):
    """The replicas that share a global batch.

    Attributes:
        size: number of replicas.
        key: key of their collective operations, unique among the groups of this process.
        hint: implementation of the all-reduce, "ring" or "nccl".
    """

    size: int
    key: int
    hint: str


class Replica:
    """A replica of this process.

    Args:
        group: the replicas that share the global batch.
        rank: its number, counted from 0 over all processes.
        device: its device.
    """

    def __init__(self, group: ReplicaGroup, rank: int, device: str):
        self.group, self.rank, self.device = group, rank, device
        with tf.device(device):
            # The token orders the all-reduces as they are traced: if two of them ran in a
            # different order on one replica, all replicas would wait forever.
            self._token = tf.Variable(0.0)
        self._instances = itertools.count(1)  # matches the k-th all-reduce of all replicas

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Within it, operations are placed on the device and collectives are this replica's."""
        before = _current.set(self)
        try:
            with tf.device(self.device):
                yield
        finally:
            _current.reset(before)

    def all_reduce_sum(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over all replicas, each of which must call it. Not differentiable."""
        return tf.raw_ops.CollectiveReduceV2(
            input=x,
            group_size=self.group.size,
            group_key=self.group.key,
            instance_key=next(self._instances),
            ordering_token=[self._token.handle],
            merge_op="Add",
            final_op="Id",
            communication_hint=self.group.hint,
        )


_current: ContextVar[Replica | None] = ContextVar("current", default=None)


def replica_count() -> int:
    """The number of replicas that share the global batch of the step being traced."""
    replica = _current.get()
    return 1 if replica is None else replica.group.size


def all_reduce_mean(values):
    """The mean over all replicas of each float tensor in a structure; None stays None.

    The tensors are packed into one float32 vector for a single all-reduce.
    """
    replica = _current.get()
    if replica is None:
        return values
    tensors = [v for v in tf.nest.flatten(values) if v is not None]
    packed = tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors], axis=0)
    means = replica.all_reduce_sum(packed) / replica.group.size
    parts = iter(tf.split(means, [t.shape.num_elements() for t in tensors]))

    def unpacked(value):
        if value is None:
            return None
        return tf.cast(tf.reshape(next(parts), value.shape), value.dtype)

    return tf.nest.map_structure(unpacked, values)


def all_gather(x: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas: (b, ...) -> (n b, ...), equal on all replicas.

    Differentiable any number of times, for penalties on gradients.
    """
    return x if _current.get() is None else _gathered(x)


@tf.custom_gradient
def _gathered(x: tf.Tensor):
    replica = _current.get()
    rows, others = x.shape[0], [[0, 0]] * (x.shape.rank - 1)
    before, after = rows * replica.rank, rows * (replica.group.size - replica.rank - 1)
    # An all-reduce of zero-padded rows: a collective gather would not be faster.
    return replica.all_reduce_sum(tf.pad(x, [[before, after], *others])), _scattered


@tf.custom_gradient
def _scattered(x: tf.Tensor):
    """This replica's rows of the sum over all replicas; its gradient gathers, and vice versa."""
    return local_rows(_current.get().all_reduce_sum(x)), _gathered


def local_rows(x: tf.Tensor) -> tf.Tensor:
    """The rows of this replica's shard: (n b, ...) -> (b, ...)."""
    replica = _current.get()
    if replica is None:
        return x
    rows = x.shape[0] // replica.group.size
    return x[rows * replica.rank : rows * (replica.rank + 1)]


def sharded_random(function: Callable, shape: tuple[int, ...], *arguments, **options) -> tf.Tensor:
    """Random numbers for the rows of this replica, by a function of `keras.random`.

    Every replica draws them for the global batch, so a SeedGenerator's state advances as it does
    without data parallelism.

    Args:
        function: function(shape, *arguments, **options) -> tensor.
        shape: shape of the replica's rows, (b, ...).
    """
    return local_rows(function((replica_count() * shape[0], *shape[1:]), *arguments, **options))


def ignores_replicas(layer: keras.layers.Layer) -> bool:
    """Whether a layer is Keras' own and needs, but does not use, the global batch.

    Such layers normalize by the statistics of the local batch, or draw the same noise on every
    replica; those of `common.nn.layers` use `all_gather` and `sharded_random`.
    """
    of_keras = type(layer).__module__.startswith("keras.")
    normalizes = isinstance(layer, keras.layers.BatchNormalization)
    return of_keras and (normalizes or hasattr(layer, "seed_generator"))
