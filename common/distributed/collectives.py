"""Data parallelism: replicas of a model that act as one, on several devices or machines.

A replica is a whole model on a device of its own. It makes the same `train_step` as a model that
is alone, with its rows of the batch, and three functions, called where the step is traced, make it
one with the others:

    all_reduce_mean   of the gradients before the optimizers move, and of the losses
    all_gather        what only the whole batch can tell: its statistics, a history of its images
    sharded_random    noise for the whole batch, of which the replica takes its rows

So all replicas draw the same numbers and apply the same gradients: their variables stay equal
without being sent, what a step computes does not depend on how many replicas there are (but for
rounding), and a checkpoint holds the same, whoever writes it. Without a strategy, or with a
single replica, the three functions do nothing.

tf.distribute makes the cluster, names its devices and notices a worker that is lost; sums are
TensorFlow's collective operations. The step does not go through `strategy.run`, where (tried on
Keras 3.15, TensorFlow 2.21) a loss that Keras reduces is divided by the replicas and one that comes
as a scalar is not, an optimizer sums what it gets, every replica draws the same noise, and no
update may stand in `tf.cond` or in an XLA program.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import keras
import tensorflow as tf


class Peers(NamedTuple):
    """Replicas that act as one.

    Attributes:
        size: how many.
        key: what tells their sums from those of other groups in this process.
        hint: how sums are made, ring or nccl.
    """

    size: int
    key: int
    hint: str


class Replica:
    """One of the replicas that are in this process.

    Args:
        group: those that act as one with it.
        rank: which one it is, counted from 0 over all processes.
        device: where it computes.
    """

    def __init__(self, group: Peers, rank: int, device: str):
        self.group, self.rank, self.device = group, rank, device
        with tf.device(device):
            # Sums that pass here go one after the other, in the order that they are traced in: two
            # that overtook each other on one replica alone would wait for ever.
            self._token = tf.Variable(0.0)
        self._instances = itertools.count(1)  # the k-th sum of one replica belongs to that of all

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """What is traced within is this replica's."""
        before = _acting.set(self)
        try:
            with tf.device(self.device):
                yield
        finally:
            _acting.reset(before)

    def sum(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over all replicas; each must come to it. No gradient flows through."""
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


_acting: ContextVar[Replica | None] = ContextVar("acting", default=None)


def replica_count() -> int:
    """How many replicas share the batch of the step that is being traced."""
    replica = _acting.get()
    return 1 if replica is None else replica.group.size


def all_reduce_mean(values):
    """The mean over all replicas of each float tensor in a structure; None stays None.

    All of them travel as one vector of float32.
    """
    replica = _acting.get()
    if replica is None:
        return values
    tensors = [v for v in tf.nest.flatten(values) if v is not None]
    packed = tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors], axis=0)
    means = replica.sum(packed) / replica.group.size
    parts = iter(tf.split(means, [t.shape.num_elements() for t in tensors]))

    def unpacked(value):
        if value is None:
            return None
        return tf.cast(tf.reshape(next(parts), value.shape), value.dtype)

    return tf.nest.map_structure(unpacked, values)


def all_gather(x: tf.Tensor) -> tf.Tensor:
    """Rows of all replicas: (b, ...) -> (n b, ...), the same everywhere; differentiable."""
    replica = _acting.get()
    if replica is None:
        return x

    @tf.custom_gradient
    def gathered(x):
        rows, others = x.shape[0], [[0, 0]] * (x.shape.rank - 1)
        before, after = rows * replica.rank, rows * (replica.group.size - replica.rank - 1)
        # Each adds its rows to zeros: one more kind of collective operation would not be faster.
        rows_of_all = replica.sum(tf.pad(x, [[before, after], *others]))
        return rows_of_all, lambda gradient: local_rows(replica.sum(gradient))

    return gathered(x)


def ignores_replicas(layer: keras.layers.Layer) -> bool:
    """Whether a layer is Keras' own and does what among replicas takes `all_gather` or `sharded_random`."""
    of_keras = type(layer).__module__.startswith("keras.")
    normalizes = isinstance(layer, keras.layers.BatchNormalization)
    return of_keras and (normalizes or hasattr(layer, "seed_generator"))


def local_rows(x: tf.Tensor) -> tf.Tensor:
    """This replica's rows: (n b, ...) -> (b, ...)."""
    replica = _acting.get()
    if replica is None:
        return x
    rows = x.shape[0] // replica.group.size
    return x[rows * replica.rank : rows * (replica.rank + 1)]


def sharded_random(function: Callable, shape: tuple[int, ...], *arguments, **options) -> tf.Tensor:
    """Random numbers for this replica's rows of the batch, by a function of `keras.random`.

    They are drawn for the whole batch on every replica, so that a SeedGenerator's state goes on as
    it would without replicas.

    Args:
        function: function(shape, *arguments, **options) -> tensor.
        shape: of the rows, (b, ...).
    """
    return local_rows(function((replica_count() * shape[0], *shape[1:]), *arguments, **options))
