"""Trained weights from a file in place of a run."""

from dataclasses import dataclass
from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.io import weights_file
from common.io.weights_file import WeightsFile
from common.training import checkpoint
from common.training.run_folder import Network, Run


def open_run(run: str | None, model_name: str) -> Run:
    """A run, or trained weights in place of one.

    Args:
        run: folder of a run; or a name, path or URL of trained weights, as for `weights_file.find`;
            default the model's most recent run. A folder with a run takes precedence.
        model_name: name of the model.

    Raises:
        UserError: there is neither, it belongs to another model, or the file is damaged.
    """
    is_run = run is None or Run(Path(run)).config_file.is_file()
    file = None if is_run else weights_file.find(str(run), model_name)
    return TrainedWeights.read(file, model_name) if file else Run.in_folder(run, model_name)


@dataclass
class TrainedWeights(Run):
    """Trained weights from a file, in place of a run.

    What the verbs write goes to `folder`, runs/<model>/weights/<name>/ in the working directory.
    A network of which the file has the average alone gets the average's weights.
    """

    file: WeightsFile

    @classmethod
    def read(cls, path: Path, model_name: str) -> "TrainedWeights":
        """The weights in a file.

        Raises:
            UserError: it cannot be read, or has the weights of another model.
        """
        file = weights_file.read(path)
        model = file.about["model"]
        if model != model_name:
            raise UserError(
                f"{path}: weights of {model}, not of {model_name}; use {model}/{model}.py"
            )
        return cls(Path("runs", model_name, "weights", path.stem), file)

    @property
    def is_new(self) -> bool:
        return False

    def config(self) -> dict:
        return {"options": {}, "data": {}, "versions": {}} | self.file.about

    def step(self, best: bool = False) -> int:
        return self.file.about["step"]

    def steps(self) -> list[int]:
        return [self.step()]

    def checkpoint_file(self, best: bool = False, step: int | None = None) -> Path:
        """Path of the file; raises a UserError if a certain checkpoint is asked for."""
        option = "--best" if best else f"--step {step}"
        if best or step is not None:
            raise UserError(
                f"{option}: {self.file.path} has the weights of one checkpoint; leave the option "
                "out, or give the folder of a run"
            )
        return self.file.path

    def load_sampler(
        self, model_class: type[Adversarial], *arguments, network: Network | None = None, **options
    ) -> Adversarial:
        held = self.file.about["network"]
        if network not in (None, held):
            raise UserError(
                f"--network {network}: {self.file.path} has the weights of the {held}; leave the "
                "option out, or give the folder of a run"
            )
        return super().load_sampler(model_class, *arguments, **options)

    def load_networks(self, path: Path, model: Adversarial, networks: list[str]):
        held = self.file.networks
        sources = {name: name if name in held else f"average_{name}" for name in networks}
        missing = [name for name, source in sources.items() if source not in held]
        if missing:
            raise UserError(
                f"{path}: has no {', '.join(missing)}, which this needs; give the folder of a run, "
                "or weights that were exported with --networks all"
            )
        values = {
            f"{name}/{number:04d}": value
            for name, source in sources.items()
            for number, value in enumerate(self.file.variables(source))
        }
        checkpoint.assign(path, {name: model.networks[name].variables for name in networks}, values)
