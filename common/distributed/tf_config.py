"""TF_CONFIG: where a process stands among those that train together."""

import json
import os
from typing import NamedTuple

from common.errors import UserError

EXAMPLE = (
    '{"cluster": {"worker": ["HOST0:PORT", "HOST1:PORT"]}, "task": {"type": "worker", "index": 0}}'
)


class Place(NamedTuple):
    """A process among the workers.

    Attributes:
        worker: its number; worker 0 is the chief.
        addresses: HOST:PORT of every worker; of one that is alone, nothing.
    """

    worker: int = 0
    addresses: tuple[str, ...] = ("",)

    @property
    def workers(self) -> int:
        return len(self.addresses)

    @property
    def address(self) -> str:
        """Its own."""
        return self.addresses[self.worker]


ALONE = Place()


def read_config() -> Place:
    """The place that the environment variable TF_CONFIG gives this process.

    As tf.distribute counts: jobs are `chief`, of one task, if there is one, and `worker`.

    Raises:
        UserError: it is not set, or not of that form.
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
        raise UserError(f"TF_CONFIG: the cluster has HOST:PORT of each worker, as {EXAMPLE}")
    if kind not in jobs or not isinstance(index, int) or not 0 <= index < len(jobs[kind]):
        raise UserError(f"TF_CONFIG: the cluster has no task {kind} {index}; as {EXAMPLE}")
    before = len(jobs.get("chief", [])) if kind == "worker" else 0
    return Place(before + index, tuple(addresses))


def _is_address(text) -> bool:
    host, _, port = str(text).rpartition(":")
    return isinstance(text, str) and bool(host) and port.isdigit() and 0 < int(port) < 65536


def announce(place: Place):
    """Says whom this worker waits for: it may be long until all have been started."""
    others = [each for each in place.addresses if each != place.address]
    waiting = f", waits for {', '.join(others)}" if others else ""
    print(f"worker {place.worker} of {place.workers} at {place.address}{waiting}", flush=True)
