"""A training run, from its options to the exported model."""

from dataclasses import dataclass
from typing import Any

from common.adversarial import Adversarial, Jit
from common.averaging import AVERAGE_BATCHES
from common.distributed.replicas import Replicas, replicas_of
from common.errors import UserError
from common.io import records
from common.io.paths import full_path
from common.reports.animation import animate
from common.signatures import pick
from common.training import callbacks, checkpoint, length, logging
from common.training.initial_weights import begin
from common.training.loop import fit, say_stopped
from common.training.options import FREE_PER_WORKER, SCHEDULES, TrainingOptions
from common.training.run_data import open_data, store_places
from common.training.run_folder import Run

import keras
import tensorflow as tf


def train(model_class: type[Adversarial], task, run: Run, options: dict):
    """Trains a model, new or resumed, and exports it.

    With --strategy multi_worker every worker calls this; only the chief writes files.

    Args:
        model_class: class of the model.
        task: purpose of the model: its dataset class, sample grids and export.
        run: run folder; training resumes from its newest checkpoint if there is one.
        options: every resolved option, of the model, its dataset and `TrainingOptions`.

    Raises:
        UserError: an error the user can fix. What was trained so far is saved.
        SystemExit: a signal has ended the run; a checkpoint is saved.
    """
    settings = TrainingOptions(**pick(TrainingOptions, options))
    replicas = replicas_of(settings.strategy)
    job = prepare(model_class, task, run, settings, options, replicas)
    start, total = job.span
    if replicas.chief:
        store_places(run, job.options)
    if start >= total:
        remedy = length.remedy(start, job.steps_per_epoch, job.model.plan)
        print(f"{run.folder}: already done, {start} steps; {remedy}")
        if replicas.chief and run.exported_step() < start:  # killed before the export
            _export(task, run)
        return
    before = run.config()["options"] if settings.resume else options
    prolonged = length.is_changed(before, options, model_class.length_options)
    kept = job.model.plan.milestones
    written = run if replicas.chief else None
    saver = callbacks.Checkpoints(start, total, settings.checkpoint_every, written, kept)
    stopper = callbacks.StopOnSignal(start, replicas)
    hooks = chief_hooks(task, run, settings, job, saver) if replicas.chief else [saver]
    # The first one counts each step before any other can fail: see `loop`.
    hooks = [callbacks.FiniteLosses(start), job.rate, *hooks, stopper]
    _print_start(run, job, replicas)
    if prolonged:
        print(length.rates_ahead(settings.schedule, start, total), flush=True)
    batches = job.data.stream(settings.batch_size, start, total, job.rows)
    fit(job.model, job.data, batches, job.span, run, hooks, saver, settings.jit)
    if stopper.received is not None and saver.step < total:
        say_stopped(saver, run)
        raise SystemExit(128 + stopper.received)
    if replicas.chief:
        _export(task, run)


@dataclass
class Job:
    """A model in the state of a run's first or next step, and the steps that are left.

    Attributes:
        model: model of this process's first replica.
        data: dataset of the run.
        options: every resolved option, with those that the dataset has filled in.
        fingerprint: description of each split's content, by split.
        images: names of the dataset's image files, by folder.
        span: global steps done before and after training.
        steps_per_epoch: number of steps per pass over the training data.
        rows: rows of each batch that this process needs; None for all.
        rate: callback that sets the learning rates.
    """

    model: Adversarial
    data: Any
    options: dict
    fingerprint: dict[str, str]
    images: dict[str, list[str]]
    span: tuple[int, int]
    steps_per_epoch: int
    rows: range | None
    rate: callbacks.LearningRate


def prepare(
    model_class: type[Adversarial],
    task,
    run: Run,
    settings: TrainingOptions,
    options: dict,
    replicas: Replicas,
) -> Job:
    """Loads the dataset, builds the model and restores its state; arguments as for `train`.

    Raises:
        UserError: the options, dataset, checkpoint or replicas do not fit together.
    """
    rows = replicas.rows(settings.batch_size)
    keras.config.set_dtype_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)
    if options.get("data_dir"):  # a run may be resumed from another working directory
        options = options | {"data_dir": full_path(options["data_dir"])}
    data, fingerprint, images = open_data(task.data, run, options)
    options = options | data.found
    model = replicas.build(lambda: _build(model_class, options, data, settings.jit, replicas))

    epoch = _steps_per_epoch(data, settings.batch_size)
    start, plan = run.step(), model.plan
    total = length.total_steps(settings, epoch, plan)
    schedule = SCHEDULES[settings.schedule]
    rate = callbacks.LearningRate(start, total, schedule, replicas.players(), plan.rate_factor)
    model.set_average_batches(data.stream(settings.batch_size, 0, AVERAGE_BATCHES))
    newest = checkpoint.path_of(run.checkpoints, start)
    if start or (settings.resume and newest.exists()):  # of step 0: the weights of --init_from
        checkpoint.load(newest, model)
    else:
        begin(model, data, settings.init_from, options)
    replicas.broadcast()
    if replicas.worker.world_size > 1:
        _check_workers_agree(replicas, start, options, fingerprint, model)
    return Job(model, data, options, fingerprint, images.found, (start, total), epoch, rows, rate)


def _build(model_class, options: dict, data, jit: Jit, replicas: Replicas) -> Adversarial:
    """A replica's model with initial weights."""
    model = model_class(**pick(model_class, options))
    model.prepare(data)
    model.compile(jit, replicas)
    for player in model.players.values():
        player.build()  # on the replica's device
    return model


def _steps_per_epoch(data, batch_size: int) -> int:
    steps = data.training_count // batch_size
    if not steps:
        raise UserError(
            f"--batch_size {batch_size}: the dataset has only {data.training_count} training "
            "samples"
        )
    return steps


def _check_workers_agree(
    replicas: Replicas, start: int, options: dict, fingerprint: dict, model: Adversarial
):
    """Raises UserError if the workers differ in what they start from."""
    shared = {name: value for name, value in options.items() if name not in FREE_PER_WORKER}
    weights = checkpoint.checksum(model)
    replicas.check_equal(first_step=start, options=shared, data=fingerprint, weights=weights)


def chief_hooks(
    task, run: Run, settings: TrainingOptions, job: Job, saver: callbacks.Checkpoints
) -> list[callbacks.StepCallback]:
    """Callbacks of the process that writes the run; locks its folder and writes config.json.

    Raises:
        UserError: the dataset has no images to show, --keep_best names no metric, or another
            process trains in the folder.
    """
    start, total = job.span
    model, data = job.model, job.data
    draw = task.sample_grid(model, data)  # may refuse the data, so before the folder is made
    measurements = _measurements(task, run, settings, job)
    lock = callbacks.RunLock(start, run, new=not settings.resume)
    run.write_config(model.name, job.options | model.plan.resolved, job.fingerprint)
    if job.images:
        records.write_json(run.images_file, job.images)
    if settings.init_from and not start:  # a resumed run does not read the other run again
        checkpoint.save(run.checkpoints, 0, model)
    log = logging.Log(
        start, total, settings.log_every, run, settings.batch_size, job.steps_per_epoch
    )
    samples_every = settings.samples_every(job.steps_per_epoch)
    stages = model.plan.milestones
    samples = logging.Samples(start, total, samples_every, run, draw, stages)
    return [log, saver, samples, *measurements, lock]


def _measurements(
    task, run: Run, settings: TrainingOptions, job: Job
) -> list[logging.Measurements]:
    """The callback that evaluates the model during training, if --evaluate_every is given."""
    if not settings.evaluate_every:
        return []
    best = settings.keep_best
    metrics = task.metrics_of(job.model, job.data)
    if best and best not in metrics:
        raise UserError(f"--keep_best {best}: choose from {', '.join(metrics)}")
    measure = task.measure(job.model, job.data, settings.evaluate_count)
    sign = metrics[best] if best else 0
    return [logging.Measurements(*job.span, settings.evaluate_every, run, measure, best, sign)]


def _print_start(run: Run, job: Job, replicas: Replicas):
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    device += f", {replicas.size} replicas" if replicas.size > 1 else ""
    start, total = job.span
    print(
        f"{run.folder}: {job.model.name} on {job.data.description}, "
        f"steps {start} to {total} on the {device}",
        flush=True,
    )


def _export(task, run: Run):
    print(f"exported to {task.export_trained(run)}")
    run.record_export()
    animate(run.samples, run.samples / "training.webp")
