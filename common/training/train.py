"""A training run, from options to a served model."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.adversarial import Adversarial, Jit
from common.distributed.replicas import Replicas, Strategy, replicas_of
from common.errors import UserError, at_least_one
from common.reports.animation import animate
from common.training import callbacks, checkpoint, logging
from common.training.loop import fit, say_stopped
from common.training.run_folder import Run, pick

import keras
import tensorflow as tf

SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: min(1.0, 2.0 - 2.0 * done),
    "cosine": lambda done: 0.5 + 0.5 * math.cos(math.pi * done),
}

# Options that change nothing in the weights of a given step, so a resumed run may change them.
FREE_ON_RESUME = {
    *("run", "resume", "data_dir", "cache_mb", "skip_bad_images"),
    *("epochs", "steps", "log_every", "sample_every", "checkpoint_every"),
    *("evaluate_every", "evaluate_count", "keep_best", "strategy"),
}

# Options that may differ between the workers of one run; its data are compared by what they are.
ONE_WORKERS = {"run", "dataset", "data_dir", "cache_mb"}


@dataclass
class TrainingOptions:
    """How a model is trained.

    Args:
        epochs: passes over the training data.
        steps: bound on the optimisation steps; training ends with what comes first.
        batch_size: samples a step, of all replicas together.
        seed: of initial weights, noise, shuffling, augmentation and generated data.
        run: the run's folder; default runs/MODEL/DATE_TIME.
        resume: go on with the run in --run, or with the newest one.
        jit: XLA: "on" compiles the whole step or fails, "off" is the plain graph, "auto" is on
            with a GPU and compiles only the optimizers on a CPU, which is faster there.
        precision: of the arithmetic; weights are float32 in any case.
        schedule: of the learning rate: constant, linear (constant for the first half, then
            falling to 0) or cosine (falling to 0).
        log_every: steps between two rows of metrics.csv and points in TensorBoard.
        sample_every: steps between two sample grids; default one pass over the data.
        checkpoint_every: steps between two checkpoints.
        evaluate_every: steps between two measurements of the metrics that `evaluate` prints, to
            measurements.csv and TensorBoard; default none.
        evaluate_count: samples, or images of the data, of such a measurement.
        keep_best: one of these metrics; the checkpoint that is best by it is kept.
        strategy: who shares a batch: mirrored, every GPU of this machine; multi_worker, every GPU
            of each of several processes, which the environment variable TF_CONFIG tells of each
            other.
    """

    epochs: int = 200
    steps: int | None = None
    batch_size: int = 1
    seed: int = 0
    run: str | None = None
    resume: bool = False
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


def train(model_class: type[Adversarial], task, run: Run, options: dict):
    """Trains a model, new or resumed, and exports it.

    Args:
        model_class: what to train.
        task: what the model is for: gives the class of its data, sample grids and the export.
        run: the run; with a checkpoint in it, training goes on from there.
        options: every resolved option, of the model, its data and `TrainingOptions`.

    With --strategy multi_worker all workers call this, and one of them writes.

    Raises:
        UserError: anything that the user can mend. What was trained so far is saved.
        SystemExit: a signal has ended the run, with a checkpoint.
    """
    settings = TrainingOptions(**pick(TrainingOptions, options))
    group = replicas_of(settings.strategy)
    rows = group.rows(settings.batch_size)
    keras.config.set_dtype_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)
    if options.get("data_dir"):  # a run may be resumed from another working directory
        options = options | {"data_dir": str(Path(options["data_dir"]).expanduser().resolve())}
    data = task.data(**pick(task.data, options))
    fingerprint = data.fingerprint()
    if run.config_file.exists():
        run.check_data(fingerprint)
    options = options | data.found
    model = group.build(lambda: _model(model_class, options, data, settings.jit, group))

    epoch = _steps_per_epoch(data, settings.batch_size)
    start = run.step()
    total = min(settings.epochs * epoch, settings.steps or math.inf, model.total_steps)
    span = start, total
    rate = callbacks.LearningRate(
        *span, SCHEDULES[settings.schedule], group.updates(), model.rate_factor
    )
    if start:
        checkpoint.load(checkpoint.path_of(run.checkpoints, start), model)
    else:
        begin(model)
    group.broadcast()
    if group.worker.world_size > 1:
        _check_alike(group, start, options, fingerprint, model)
    if start >= total:
        print(f"{run.folder}: done already, {start} steps; --epochs or --steps prolong it")
        if group.chief and run.exported_step() < start:  # killed in between
            _export(task, run)
        return

    written = run if group.chief else None
    saver = callbacks.Checkpoints(*span, settings.checkpoint_every, written, model.milestones)
    stopper = callbacks.StopOnSignal(start, group)
    hooks = [saver]
    if group.chief:
        draw = task.sampler(model, data)  # may refuse the data, so before there is a run
        measuring = _measuring(model, task, data, run, settings, span)
        alone = callbacks.RunLock(start, run, new=not settings.resume)
        run.write_config(model.name, options | model.found, fingerprint)
        log = logging.Log(*span, settings.log_every, run, settings.batch_size, epoch)
        samples = logging.Samples(*span, settings.sample_every or epoch, run, draw)
        hooks = [log, saver, samples, *measuring, alone]
    hooks = [callbacks.FiniteLosses(start), rate, *hooks, stopper]
    _say_begun(run, model, data, span, group)
    batches = data.stream(settings.batch_size, *span, rows)
    fit(model, data, batches, span, run, hooks, saver, settings.jit)
    if stopper.received is not None and saver.step < total:
        say_stopped(saver, run)
        raise SystemExit(128 + stopper.received)
    if group.chief:
        _export(task, run)


def _model(model_class, options: dict, data, jit: Jit, group: Replicas) -> Adversarial:
    """A replica's model, as a new run begins with it."""
    model = model_class(**pick(model_class, options))
    model.prepare(data)
    model.compile(jit, group)
    for update in model.updates.values():
        update.build()  # on the replica's device
    return model


def _steps_per_epoch(data, batch_size: int) -> int:
    steps = data.training_count // batch_size
    if not steps:
        raise UserError(
            f"--batch_size {batch_size}: the data set has only {data.training_count} training "
            "samples"
        )
    return steps


def begin(model: Adversarial):
    """Gives the model of a new run the generator of its `origin`, if it has one.

    Raises:
        UserError: that is no run of this model, or one with other options.
    """
    folder = model.origin()
    if folder is None:
        return
    run = Run.open(folder, model.name)
    step = model.origin_step(run.config()["options"], run.step())
    checkpoint.load(run.checkpoint_file(step=step), model, ["generator"])
    if model.average_generator is not None:
        model.average_generator.set_weights(model.generator.get_weights())


def _check_alike(group: Replicas, start: int, options: dict, fingerprint: dict, model: Adversarial):
    """Refuses to go on with workers that do not begin with the same."""
    shared = {name: value for name, value in options.items() if name not in ONE_WORKERS}
    weights = checkpoint.digest(model)
    group.check_equal(first_step=start, options=shared, data=fingerprint, weights=weights)


def _measuring(model, task, data, run: Run, settings: TrainingOptions, span) -> list:
    """The callback that measures the task's metrics in the loop, if that was asked for."""
    if not settings.evaluate_every:
        return []
    best = settings.keep_best
    metrics = task.metrics_of(model, data)
    if best and best not in metrics:
        raise UserError(f"--keep_best {best}: choose from {', '.join(metrics)}")
    measure = task.measure(model, data, settings.evaluate_count)
    sign = metrics[best] if best else 0
    return [logging.Measurements(*span, settings.evaluate_every, run, measure, best, sign)]


def _say_begun(run: Run, model: Adversarial, data, span: tuple[int, int], group: Replicas):
    where = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    where += f", {group.size} replicas" if group.size > 1 else ""
    start, total = span
    print(
        f"{run.folder}: {model.name} on {data.description}, "
        f"steps {start} to {total} on the {where}",
        flush=True,
    )


def _export(task, run: Run):
    print(f"exported to {task.export_trained(run)}")
    run.note_export()
    animate(run.samples, run.samples / "training.webp")
