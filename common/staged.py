"""Training in stages: each has its own objectives, and ends at a step of its own."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from common.adversarial import Adversarial, Objectives
from common.nn.counter import add_counter
from common.plan import Plan

import keras
import tensorflow as tf
from keras import ops


class Stage(NamedTuple):
    """A stage of training.

    Attributes:
        steps: number of training steps.
        objectives: gives the losses in this stage, as `Adversarial.objectives`.
        players: names of the players whose losses it gives.
        reset: whether their optimizers start anew: moments and step count become zero.
    """

    steps: int
    objectives: Objectives
    players: tuple[str, ...]
    reset: bool = False


class Staged(Adversarial):
    """Base of models that are trained in stages.

    The constructor hands the stages to `set_stages`. A training step is compiled for each stage by
    itself, when training reaches it: a network that grows with the stages does not pay for those to
    come. `steps_done` and the optimizers' variables are state of the checkpoint, and everything
    that happens at a border is a function of them; so resuming is exact across borders.

    Attributes:
        logged: names of what any stage logs; a stage that does not have one logs 0.
        steps_done: number of training steps so far, an int64 variable.
        stage: index of the stage whose step is being traced.
    """

    logged: tuple[str, ...] = ()

    def set_stages(self, stages: Sequence[Stage]):
        """To be called once, before `compile`."""
        self.stages = tuple(stages)
        self.ends = tuple(accumulate(stage.steps for stage in stages))
        self.stage = self.stage_of(0)
        self.steps_done = add_counter(self)

    # The course of training.

    @property
    def plan(self) -> Plan:
        return Plan(self.ends[-1], self.ends[:-1], self.rate_factor)

    def stage_of(self, step: int) -> int:
        """Index of the stage that the step after `step` steps belongs to."""
        return min(bisect_right(self.ends, step), len(self.stages) - 1)

    def progress(self, steps: int | None = None) -> tf.Tensor:
        """The share of the current stage that is done, in [0, 1], as a function of the step.

        Args:
            steps: number of the stage's steps after which it is 1, such as a fade's; default all.
        """
        start = self.ends[self.stage] - self.stages[self.stage].steps
        done = ops.cast(self.steps_done - start, "float32")
        return ops.clip(done / (steps or self.stages[self.stage].steps), 0.0, 1.0)

    # A step.

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One training step of the current stage."""
        stage = self.stages[self.stage]
        logs = self.update(*batch, objectives=stage.objectives, only=stage.players)
        self.steps_done.assign_add(1)
        return {name: logs.get(name, tf.zeros(())) for name in self.logged}

    def compiled_step(self) -> Callable[[tuple], dict[str, tf.Tensor]]:
        """A function of a batch that takes the step of the stage which training has reached."""
        count = int(self.steps_done)
        step, reached = None, None

        def staged_step(batch):
            nonlocal count, step, reached
            index = self.stage_of(count)
            if index != reached:
                step, reached = self._enter(index, count), index
            count += 1
            return step(batch)

        return staged_step

    def _enter(self, index: int, count: int) -> Callable:
        """Begins or resumes a stage; returns its compiled step."""
        stage = self.stages[index]
        for model in self.replicas.models or [self]:  # of each replica of this process
            model.stage = index
            if stage.reset and count == self.ends[index] - stage.steps:
                for name in stage.players:
                    reset(model.players[name].optimizer)
        return super().compiled_step()


def reset(optimizer: keras.optimizers.Optimizer):
    """Sets an optimizer's moments and its step count to zero; its learning rate stays."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    for variable in optimizer.variables:
        if variable is not optimizer._learning_rate:
            variable.assign(tf.zeros(variable.shape, variable.dtype))
