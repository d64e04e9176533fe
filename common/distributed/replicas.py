"""The replicas of a run, and the training step that updates those of this process."""

import itertools
import zlib
from collections.abc import Callable
from typing import Literal

from common.distributed.collectives import Replica, ReplicaGroup, all_reduce_mean
from common.distributed.tf_config import SINGLE, Worker, announce, read_config
from common.errors import UserError

import numpy as np
import tensorflow as tf

Strategy = Literal["none", "mirrored", "multi_worker"]


class Replicas:
    """All replicas of a run; those on `devices` are in this process.

    Args:
        devices: devices of this process; None for a single replica on TensorFlow's default device.
        worker: this process among the workers.

    Attributes:
        size: number of replicas in all processes.
        models: the models of this process, made by `build`.
        signal: signal that this process wants to stop for, 0 for none.
    """

    _keys = itertools.count(1000)  # above the group keys that tf.distribute uses

    def __init__(self, devices: list[str] | None = None, worker: Worker = SINGLE):
        self.worker = worker
        local = len(devices or [""])
        self.size = local * worker.world_size
        self.models: list = []
        self.signal, self._agreed = 0, 0
        self.replicas: list[Replica] = []
        if self.size > 1:
            hint = "nccl" if _are_separate_gpus(devices) else "ring"
            group = ReplicaGroup(self.size, next(Replicas._keys), hint)
            first = local * worker.rank
            self.replicas = [Replica(group, first + i, d) for i, d in enumerate(devices)]

    @property
    def chief(self) -> bool:
        """Whether this process is the chief worker, the only one that writes files."""
        return self.worker.rank == 0

    @property
    def agreed_signal(self) -> int:
        """The signal for which all workers stop after this step; 0 for none."""
        return self._agreed if self.worker.world_size > 1 else self.signal

    def rows(self, batch_size: int) -> range | None:
        """The rows of the global batch that this process loads; None for all."""
        if batch_size % self.size:
            raise UserError(
                f"--batch_size {batch_size}: give a multiple of {self.size}, the number of "
                "replicas that share a batch"
            )
        if self.worker.world_size == 1:
            return None
        rows = batch_size // self.worker.world_size
        return range(rows * self.worker.rank, rows * (self.worker.rank + 1))

    # Models.

    def build(self, make: Callable):
        """Makes a model for each replica of this process; returns the first."""
        if not self.replicas:
            self.models = [make()]
        for replica in self.replicas:
            with tf.device(replica.device):
                self.models.append(make())
        return self.models[0]

    def broadcast(self):
        """Copies the state of the first model to the others of this process."""
        first, *others = self.models
        for other in others:
            for name, variables in first.state().items():
                for source, target in zip(variables, other.state()[name], strict=True):
                    target.assign(source)

    def players(self) -> dict:
        """The players of all models of this process, each under a name of its own."""
        models = enumerate(self.models)
        return {(i, name): each for i, m in models for name, each in m.players.items()}

    def compiled_step(self) -> Callable:
        """A function of this process's rows that updates every model and returns mean losses."""
        step = tf.function(self._step, autograph=False)

        def stepped(batch):
            losses, signals = step(batch, tf.constant(float(self.signal)))
            if self.worker.world_size > 1:
                self._agreed = int(signals.numpy().max())
            return losses

        return stepped

    def _step(self, batch, signal: tf.Tensor) -> tuple[dict, tf.Tensor]:
        """Mean losses, and the signals of all workers."""
        signals = signal * tf.one_hot(self.worker.rank, self.worker.world_size)
        results = []
        for i, (replica, model) in enumerate(zip(self.replicas, self.models, strict=True)):
            with replica.scope():
                rows = [part.shape[0] // len(self.replicas) for part in batch]
                parts = zip(batch, rows, strict=True)
                losses = model.train_step(tuple(t[n * i : n * (i + 1)] for t, n in parts))
                results.append(all_reduce_mean((losses, signals)))
        losses, means = results[0]
        return losses, tf.round(self.worker.world_size * means)

    def check_equal(self, **facts):
        """Checks that each of `facts` is the same in every process.

        Raises:
            UserError: names the first that differs, in every process.
        """
        if self.worker.world_size == 1:
            return
        crcs = np.array([zlib.crc32(repr(fact).encode()) for fact in facts.values()], float)
        rows = np.eye(self.worker.world_size)[self.worker.rank][:, None] * crcs
        rows = tf.constant(rows / len(self.replicas))

        @tf.function(autograph=False)
        def gathered():
            totals = []
            for replica in self.replicas:
                with replica.scope():
                    totals.append(replica.all_reduce_sum(rows))
            return totals[0]

        try:
            crcs = np.rint(gathered().numpy())
        except tf.errors.OpError as error:
            raise UserError(
                "a worker was lost before the first step; see its messages, then restart all "
                "workers"
            ) from error
        for name, column in zip(facts, crcs.T, strict=True):
            for rank in np.flatnonzero(column != column[0]):
                raise UserError(
                    f"--strategy multi_worker: worker {rank} and worker 0 differ in their "
                    f"{name.replace('_', ' ')}; start all with the same command and data, and "
                    "with a --run folder that all of them can access"
                )

    def is_lost(self, error: tf.errors.OpError) -> bool:
        """Whether a step failed because another worker has ended."""
        return self.worker.world_size > 1 and "Collective ops is aborted" in str(error)


def replicas_of(strategy: Strategy) -> Replicas:
    """Creates the replicas of a strategy; to be called before TensorFlow computes anything.

    Raises:
        UserError: TF_CONFIG is missing or wrong, or the workers cannot connect.
    """
    if strategy == "none":
        return Replicas()
    if strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Replicas([device.name for device in devices])
    worker = read_config()
    announce(worker)
    try:
        cluster = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"TF_CONFIG: cannot listen on {worker.address}, or not reach the other workers "
            f"({str(error).splitlines()[0]}); free the port, or choose another"
        ) from error
    return Replicas(list(cluster.extended.worker_devices), worker)


def _are_separate_gpus(devices: list[str]) -> bool:
    """Whether each device is a physical GPU of its own, as NCCL requires."""
    logical, physical = (
        list_devices("GPU")
        for list_devices in (tf.config.list_logical_devices, tf.config.list_physical_devices)
    )
    return all("GPU" in device for device in devices) and len(logical) <= len(physical)
