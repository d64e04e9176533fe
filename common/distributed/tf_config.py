"""TF_CONFIG: the environment variable that tells a process its cluster and its rank."""

import json
import os
from typing import NamedTuple

from common.errors import UserError

EXAMPLE = (
    '{"cluster": {"worker": ["HOST0:PORT", "HOST1:PORT"]}, "task": {"type": "worker", "index": 0}}'
)


class Worker(NamedTuple):
    """A process of a cluster.

    Attributes:
        rank: number of the process; 0 is the chief worker.
        addresses: HOST:PORT of every worker; a single empty one without a cluster.
    """

    rank: int = 0
    addresses: tuple[str, ...] = ("",)

    @property
    def world_size(self) -> int:
        """Number of workers."""
        return len(self.addresses)

    @property
    def address(self) -> str:
        """Its own address."""
        return self.addresses[self.rank]


SINGLE = Worker()  # without a cluster


def read_config() -> Worker:
    """Reads this process's cluster and rank from the environment variable TF_CONFIG.

    As in tf.distribute, the jobs are `chief`, with at most one task, and `worker`.

    Raises:
        UserError: TF_CONFIG is not set, or not of that form.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(f"--strategy multi_worker: set TF_CONFIG in each process, as {EXAMPLE}")
    try:
        config = json.loads(text)
        jobs = config["cluster"]
        kind, index = config["task"]["type"], config["task"]["index"]
        addresses = [each for job in ("chief", "worker") for each in jobs.get(job, [])]
        well_formed = all(_is_address(each) for each in addresses)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"TF_CONFIG: not of the form {EXAMPLE} ({error!r})") from error
    if not well_formed or set(jobs) - {"chief", "worker"} or len(jobs.get("chief", [])) > 1:
        raise UserError(f"TF_CONFIG: the cluster needs HOST:PORT of each worker, as {EXAMPLE}")
    if kind not in jobs or not isinstance(index, int) or not 0 <= index < len(jobs[kind]):
        raise UserError(f"TF_CONFIG: the cluster has no task {kind} {index}; as {EXAMPLE}")
    before = len(jobs.get("chief", [])) if kind == "worker" else 0
    return Worker(before + index, tuple(addresses))


def _is_address(text) -> bool:
    host, _, port = str(text).rpartition(":")
    return isinstance(text, str) and bool(host) and port.isdigit() and 0 < int(port) < 65536


def announce(worker: Worker):
    """Prints which workers this one waits for, as they may be started much later."""
    others = [each for each in worker.addresses if each != worker.address]
    waiting = f", waiting for {', '.join(others)}" if others else ""
    print(f"worker {worker.rank} of {worker.world_size} at {worker.address}{waiting}", flush=True)
