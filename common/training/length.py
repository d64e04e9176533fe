"""How long a run trains, and how a run is prolonged.

The length of a run is a function of its options, so a resumed run that keeps them ends as it would
have. With others it continues as if it had been started with them, from the step it has reached.
"""

import math

from common.plan import Plan
from common.training.options import SCHEDULES, TrainingOptions

EPOCHS = 200  # of a run whose length neither an option nor the model says


def total_steps(settings: TrainingOptions, steps_per_epoch: int, plan: Plan) -> int:
    """Number of global steps after which training ends.

    Args:
        settings: options of the run.
        steps_per_epoch: number of steps per pass over the training data.
        plan: plan of the model; --steps prolongs its last stage, unless others are missing.
    """
    steps = settings.steps or plan.total_steps
    if plan.continuation:
        steps = min(steps, plan.total_steps)
    total = min(steps, (settings.epochs or math.inf) * steps_per_epoch)
    return EPOCHS * steps_per_epoch if math.isinf(total) else total


def remedy(start: int, steps_per_epoch: int, plan: Plan) -> str:
    """What to add to --resume so that a run that has ended at step `start` is prolonged."""
    if plan.continuation and start >= plan.total_steps:
        return f"add {plan.continuation} to continue with the next stage"
    steps = f"to prolong the run, add --steps above {start}"
    if math.isfinite(plan.total_steps):
        return steps
    return f"{steps}, or --epochs above {start // steps_per_epoch}"


def is_changed(before: dict, options: dict, length_options: tuple[str, ...]) -> bool:
    """Whether a resumed run has another length than the options in its config.json say."""
    names = ("epochs", "steps", *length_options)
    return any(options.get(name) != before.get(name) for name in names)


def rates_ahead(schedule: str, start: int, total: int) -> str:
    """How the learning rate continues in a run whose length has changed.

    Args:
        schedule: the --schedule option.
        start: global steps done.
        total: global steps done at the end.
    """
    if schedule == "constant":
        return "the learning rate is unchanged"
    factor = SCHEDULES[schedule](start / total)
    return (
        f"--schedule {schedule} now spans {total} steps: the learning rate continues at "
        f"{factor:.2f} of its initial value and reaches 0 at step {total}"
    )
