"""The verb export, where it writes a weights file."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, at_least_one
from common.io import weights_file
from common.io.download import sha256_of
from common.signatures import given
from common.training import weights_writer
from common.training.run_folder import Run


@dataclass(frozen=True)
class WeightsOptions:
    """Weights files.

    Args:
        networks: networks in a weights file: those that make images, or all, so that it can also
            be evaluated and exported where that takes the discriminator.
        evaluate_count: number of generated images by which the weights are measured, as during
            training, for later comparison; default they are not.
    """

    networks: weights_writer.Networks = "sampling"
    evaluate_count: int | None = None

    def __post_init__(self):
        at_least_one(evaluate_count=self.evaluate_count)


def export_weights(task, run: Run, checkpoint, output: str | None, options: WeightsOptions):
    """Writes a weights file and prints its size and digest.

    Args:
        task: task of the model.
        run: the run.
        checkpoint: selects the weights.
        output: the file; default RUN/NAME.npz, with the name of the run's folder.
        options: options of weights files.

    Raises:
        UserError: the output is no .npz file, or as `weights_writer.write`.
    """
    default = run.folder / f"{run.folder.resolve().name}{weights_file.SUFFIX}"
    path = Path(output) if output else default
    if path.suffix != weights_file.SUFFIX:
        raise UserError(f"--output {output}: give a file, such as NAME{weights_file.SUFFIX}")
    check, count = {}, options.evaluate_count
    all_networks = (
        options.networks == "all" or count is not None
    )  # capabilities measure all networks
    model = run.load_sampler(task.model_class, all_networks=all_networks, **given(checkpoint))
    if count:
        metrics = task.measure(model, task.data_of(run), count)()
        check = {"count": count, "metrics": metrics}
    step = checkpoint.step_in(run)
    weights_writer.write(path, run, model, step, options.networks, check)
    print(f"exported to {path}: {path.stat().st_size:,} bytes, sha256 {sha256_of(path)}")
