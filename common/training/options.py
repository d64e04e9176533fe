"""Options of a training run."""

import math
from dataclasses import dataclass
from typing import Literal

from common.adversarial import Jit
from common.distributed.replicas import Strategy
from common.errors import UserError, at_least_one

# Factors of the learning rate, given the fraction of the run that is done.
SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: min(1.0, 2.0 - 2.0 * done),
    "cosine": lambda done: 0.5 + 0.5 * math.cos(math.pi * done),
}

LEAST_SAMPLE_INTERVAL = 100  # steps; of sample grids, where the options name none

# Options that change nothing in the weights of a given step, so a resumed run may change them. The
# data may be at another place; their fingerprint says whether they are the run's.
FREE_ON_RESUME = {
    *("run", "resume", "data_dir", "dataset", "photos", "embeddings"),
    *("cache_mb", "skip_bad_images"),
    *("epochs", "steps", "log_every", "sample_every", "checkpoint_every"),
    *("evaluate_every", "evaluate_count", "keep_best", "strategy"),
}

# Options that may differ between the workers of one run; their datasets are compared by content.
FREE_PER_WORKER = {"run", "dataset", "data_dir", "cache_mb"}


@dataclass
class TrainingOptions:
    """How a model is trained.

    Args:
        epochs: number of passes over the training data; default 200 where neither --steps nor the
            model's stages say when training ends.
        steps: number of optimisation steps; beyond the stages of a model, the last one is
            prolonged. With --epochs too, training ends with whichever comes first. Either of them
            alone replaces both of a recipe, of the model's defaults or of the run that is resumed.
        batch_size: number of samples per step, over all replicas.
        seed: seed for initial weights, noise, shuffling, augmentation and generated data.
        run: run folder; default runs/MODEL/DATE_TIME.
        resume: resume the run in --run, or the most recent run.
        init_from: folder of a run of the same model whose weights a new run starts from, to
            fine-tune them on other data; optimizers and steps start anew. What does not fit, such
            as layers of other classes or channels, is named and starts anew, too.
        jit: XLA compilation: "on" compiles the whole step or fails, "off" uses the plain graph,
            "auto" is "on" with a GPU and compiles only the optimizers on a CPU, where that is
            faster.
        precision: precision of the arithmetic; weights are always float32.
        schedule: learning-rate schedule: constant, linear (constant for the first half, then
            decreasing to 0) or cosine (decreasing to 0).
        log_every: number of steps between rows of metrics.csv and points in TensorBoard.
        sample_every: number of steps between sample grids; default one epoch, at least 100. Before
            the first of these, grids at steps 100, 200, 400, 800, ... of the run and of each of its
            stages.
        checkpoint_every: number of steps between checkpoints.
        evaluate_every: number of steps between evaluations during training, which write the
            metrics of `evaluate` to measurements.csv and TensorBoard; default never.
        evaluate_count: number of samples, or of images of the dataset, per evaluation during
            training.
        keep_best: metric, one of those of `evaluate`, by which the best checkpoint is kept.
        strategy: data-parallel strategy: mirrored (all GPUs of this machine) or multi_worker (all
            GPUs of the processes listed in TF_CONFIG).
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 1
    seed: int = 0
    run: str | None = None
    resume: bool = False
    init_from: str | None = None
    jit: Jit = "auto"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    log_every: int = 50
    sample_every: int | None = None
    checkpoint_every: int = 500
    evaluate_every: int | None = None
    evaluate_count: int = 2000
    keep_best: str | None = None
    strategy: Strategy = "none"

    def __post_init__(self):
        counts = (
            *("epochs", "steps", "batch_size", "log_every", "sample_every", "checkpoint_every"),
            *("evaluate_every", "evaluate_count"),
        )
        at_least_one(**{name: getattr(self, name) for name in counts})
        if self.keep_best and not self.evaluate_every:
            raise UserError(f"--keep_best {self.keep_best}: needs --evaluate_every, such as 1000")
        if self.strategy == "multi_worker" and not self.run:
            raise UserError("--strategy multi_worker: give --run, one folder for all workers")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed}: give 0 to {2**32 - 1}")

    def samples_every(self, steps_per_epoch: int) -> int:
        """Steps between sample grids: drawing one takes longer than the epoch of a few images."""
        return self.sample_every or max(steps_per_epoch, LEAST_SAMPLE_INTERVAL)
