"""What the training loop must know of a model that sets its own length, stages or rates."""

import math
from collections.abc import Callable
from typing import NamedTuple


class Plan(NamedTuple):
    """The course of training, as far as a model determines it; by default not at all.

    Attributes:
        total_steps: number of training steps of the model's stages, of which --steps prolongs the
            last; the others end with --steps and --epochs.
        continuation: option that continues after `total_steps` with stages that are still missing,
            in place of a last stage that is prolonged; empty if none is missing.
        milestones: steps whose checkpoints are kept.
        rate_factor: multiplies every learning rate after so many steps, besides --schedule.
        resolved: options that `prepare` has resolved, by name; a resumed run keeps them.
        initial_run: folder of a run whose generator a new run starts from.
        initial_step: the step of that run to start from, by its options and its newest step.
    """

    total_steps: float = math.inf
    milestones: tuple[int, ...] = ()
    rate_factor: Callable[[int], float] = lambda step: 1.0
    resolved: dict = {}  # noqa: RUF012 (never changed)
    initial_run: str | None = None
    initial_step: Callable[[dict, int], int] = lambda options, newest: newest
    continuation: str = ""
