"""The replicas of a run: who they are, and the step that moves those of this process."""

import itertools
import zlib
from collections.abc import Callable
from typing import Literal

from common.distributed.collectives import Peers, Replica, all_reduce_mean
from common.distributed.tf_config import ALONE, Place, announce, read_config
from common.errors import UserError

import numpy as np
import tensorflow as tf

Strategy = Literal["none", "mirrored", "multi_worker"]


class Replicas:
    """All replicas, of which those on `devices` are in this process.

    Args:
        devices: of this process; None: a single replica, wherever TensorFlow puts it.
        place: this process among others.

    Attributes:
        size: replicas in all.
        models: those of this process, made by `build`.
        signal: what this process wants to stop for, 0 for nothing.
    """

    _keys = itertools.count(1000)  # above those that tf.distribute gives away

    def __init__(self, devices: list[str] | None = None, place: Place = ALONE):
        self.place = place
        local = len(devices or [""])
        self.size = local * place.workers
        self.models: list = []
        self.signal, self._agreed = 0, 0
        self.replicas: list[Replica] = []
        if self.size > 1:
            peers = Peers(self.size, next(Replicas._keys), "nccl" if _own_gpus(devices) else "ring")
            first = local * place.worker
            self.replicas = [Replica(peers, first + i, d) for i, d in enumerate(devices)]

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.place.worker == 0

    @property
    def agreed(self) -> int:
        """The signal that all processes stop for after this step; 0 for none."""
        return self._agreed if self.place.workers > 1 else self.signal

    def rows(self, batch_size: int) -> range | None:
        """Which rows of a batch this process needs; None for all."""
        if batch_size % self.size:
            raise UserError(
                f"--batch_size {batch_size}: give a multiple of {self.size}; it is shared by "
                f"{self.size} replicas"
            )
        if self.place.workers == 1:
            return None
        rows = batch_size // self.place.workers
        return range(rows * self.place.worker, rows * (self.place.worker + 1))

    # Models.

    def build(self, make: Callable):
        """Makes a model for each replica of this process; gives the first."""
        if not self.replicas:
            self.models = [make()]
        for replica in self.replicas:
            with tf.device(replica.device):
                self.models.append(make())
        return self.models[0]

    def spread(self):
        """Gives the state of the first model to the others of this process."""
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
        """A function of this process's rows that moves every replica and gives the mean losses."""
        step = tf.function(self._step, autograph=False)

        def stepped(batch):
            losses, signals = step(batch, tf.constant(float(self.signal)))
            if self.place.workers > 1:
                self._agreed = int(signals.numpy().max())
            return losses

        return stepped

    def _step(self, batch, signal: tf.Tensor) -> tuple[dict, tf.Tensor]:
        signals = signal * tf.one_hot(self.place.worker, self.place.workers)
        results = []
        for i, (replica, model) in enumerate(zip(self.replicas, self.models, strict=True)):
            with replica.acting():
                rows = [part.shape[0] // len(self.replicas) for part in batch]
                parts = zip(batch, rows, strict=True)
                losses = model.train_step(tuple(t[n * i : n * (i + 1)] for t, n in parts))
                results.append(all_reduce_mean((losses, signals)))
        losses, shares = results[0]
        return losses, tf.round(self.place.workers * shares)

    def check_alike(self, **facts):
        """Refuses to go on unless every process holds the same of each of `facts`.

        Raises:
            UserError: the message names the first that differs; in every process.
        """
        if self.place.workers == 1:
            return
        sums = np.array([zlib.crc32(repr(fact).encode()) for fact in facts.values()], float)
        rows = np.eye(self.place.workers)[self.place.worker][:, None] * sums
        rows = tf.constant(rows / len(self.replicas))

        @tf.function(autograph=False)
        def gathered():
            totals = []
            for replica in self.replicas:
                with replica.acting():
                    totals.append(replica.sum(rows))
            return totals[0]

        try:
            crcs = np.rint(gathered().numpy())
        except tf.errors.OpError as error:
            raise UserError(
                "a worker was lost before the first step; see what it said, then start all again"
            ) from error
        for name, column in zip(facts, crcs.T, strict=True):
            for worker in np.flatnonzero(column != column[0]):
                raise UserError(
                    f"--strategy multi_worker: worker {worker} and worker 0 differ in their "
                    f"{name.replace('_', ' ')}; start all with the same command and data, and "
                    "with one folder for --run that all of them see"
                )

    def is_lost(self, error: tf.errors.OpError) -> bool:
        """Whether a step failed because another process has ended."""
        return self.place.workers > 1 and "Collective ops is aborted" in str(error)


def replicas_of(strategy: Strategy) -> Replicas:
    """The replicas that --strategy asks for; before anything has been computed.

    Raises:
        UserError: this process is not, or wrongly, told its place among others by TF_CONFIG.
    """
    if strategy == "none":
        return Replicas()
    if strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Replicas([device.name for device in devices])
    place = read_config()
    announce(place)
    try:
        cluster = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"TF_CONFIG: {place.address} cannot be listened on, or the others not be reached "
            f"({str(error).splitlines()[0]}); free the port, or name another"
        ) from error
    return Replicas(list(cluster.extended.worker_devices), place)


def _own_gpus(devices: list[str]) -> bool:
    """Whether each device is a graphics card of its own, as NVIDIA's library asks for."""
    kinds = [tf.config.list_logical_devices("GPU"), tf.config.list_physical_devices("GPU")]
    return all("GPU" in device for device in devices) and len(kinds[0]) <= len(kinds[1])
