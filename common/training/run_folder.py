"""The folder of a run: its files, and loading the model from it."""

import json
import platform
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from common import early_checks
from common.adversarial import Adversarial
from common.errors import UserError
from common.io import records, weights_file
from common.reports import result_page
from common.signatures import parameters, pick
from common.training import checkpoint

import keras
import numpy as np
import tensorflow as tf

Network = Literal["generator", "average"]


@dataclass
class Run:
    """The folder of one training run, `runs/<model>/<name>/`."""

    folder: Path

    @property
    def config_file(self) -> Path:
        return self.folder / "config.json"

    @property
    def images_file(self) -> Path:
        return self.folder / "images.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def evaluation_file(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def evaluation_page(self) -> Path:
        return self.folder / "evaluation" / result_page.NAME

    @property
    def tensorboard(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def best_file(self) -> Path:
        return self.folder / "best.json"

    @property
    def measurements_file(self) -> Path:
        return self.folder / "measurements.csv"

    @property
    def exports(self) -> Path:
        return self.folder / "export"

    @classmethod
    def new(cls, folder: str | None, model_name: str) -> "Run":
        """A run to start, by default in `runs/<model>/<date-time>`.

        A second run of the same second gets the suffix `_2`, and so on.

        Raises:
            UserError: the folder already holds a run.
        """
        if not folder:
            name = time.strftime("%Y-%m-%d_%H-%M-%S")
            names = (name if n == 1 else f"{name}_{n}" for n in count(1))
            runs = (cls(Path("runs", model_name, each)) for each in names)
            return next(run for run in runs if not run.config_file.exists())
        run = cls(Path(folder))
        if run.config_file.exists():
            raise UserError(
                f"--run {run.folder}: already holds a run; add --resume to resume it, "
                "or choose another folder"
            )
        return run

    @classmethod
    def in_folder(cls, folder: str | None, model_name: str) -> "Run":
        """An existing run that can be resumed, by default this model's most recent one.

        Raises:
            UserError: there is no run, or it belongs to another model.
        """
        if folder is None:
            configs = Path("runs", model_name).glob("*/config.json")
            newest = max(configs, key=lambda path: path.stat().st_mtime, default=None)
            if newest is None:
                raise UserError(
                    f"no run under {Path('runs', model_name)}; give its folder with --run"
                )
            folder = newest.parent
        run = cls(Path(folder))
        if not run.config_file.is_file():
            names = weights_file.listed(model_name)
            raise UserError(f"{folder}: no run in this folder (it has no config.json){names}")
        if run.config()["model"] != model_name:
            raise UserError(
                f"{folder}: a run of {run.config()['model']}, not of {model_name}; "
                f"use {run.config()['model']}/{run.config()['model']}.py"
            )
        return run

    @property
    def is_new(self) -> bool:
        """Whether nothing is known of it yet."""
        return not self.config_file.exists()

    def config(self) -> dict:
        """The content of `config.json`: model, options, data, versions."""
        try:
            config = json.loads(self.config_file.read_text())
            return {"model": config["model"], "options": config["options"]} | config
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{self.config_file}: cannot be read ({error})") from error

    def write_config(self, model_name: str, options: dict, fingerprint: dict[str, str]):
        versions = {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        }
        config = {
            "model": model_name,
            "options": options,
            "data": fingerprint,
            "versions": versions,
        }
        records.write_json(self.config_file, config)

    def exported_step(self) -> int:
        """Step of the checkpoint that training exported last; 0 if there is none."""
        return records.read_json(self.exports / "exported.json").get("step", 0)

    def record_export(self):
        """Records that the export of the newest checkpoint is complete."""
        records.write_json(self.exports / "exported.json", {"step": self.step()})

    def step(self, best: bool = False) -> int:
        """Step of the newest checkpoint, or of the best one; 0 if there is none yet."""
        if best:
            return self.best().get("step", 0)
        return max(self.steps(), default=0)

    def steps(self) -> list[int]:
        """Steps with a checkpoint, in ascending order."""
        return checkpoint.steps(self.checkpoints)

    def best(self) -> dict:
        """Step, metric and value of the best checkpoint; empty if there is none."""
        return records.read_json(self.best_file)

    def best_checkpoint(self) -> Path:
        return self._best_path(self.step(best=True))

    def _best_path(self, step: int) -> Path:
        return self.checkpoints / f"best_{step:08d}.npz"

    def keep_best(self, model: Adversarial, step: int, metric: str, value: float):
        """Saves the best checkpoint; it replaces the previous one once best.json names it."""
        path = self._best_path(step)
        checkpoint.write(path, model)
        records.write_json(self.best_file, {"step": step, "metric": metric, "value": value})
        for other in set(self.checkpoints.glob("best_*.npz")) - {path}:
            other.unlink()

    def load_sampler(
        self,
        model_class: type[Adversarial],
        best: bool = False,
        step: int | None = None,
        all_networks: bool = False,
        network: Network | None = None,
        **overrides,
    ) -> Adversarial:
        """The model with the weights of a checkpoint, by default the newest, in float32.

        Args:
            model_class: class of the model.
            best: use the checkpoint kept by --keep_best.
            step: use the checkpoint of this step.
            all_networks: load every network rather than only the sampling networks.
            network: sampling network to load: the generator itself, or the moving average of its
                weights; default the average, if the run has one.
            overrides: constructor arguments that replace those of the run.

        Raises:
            UserError: the run has no such checkpoint or network, or does not match the model.
        """
        path = self.checkpoint_file(best, step)
        early_checks.exit_if_only_checking()
        averages = "ema" in parameters(model_class)
        if network == "generator" and averages:
            overrides["ema"] = 0.0  # the model then has no average
        keras.config.set_dtype_policy("float32")
        options = model_class.earlier_defaults | self.config()["options"]
        model = model_class(**pick(model_class, options) | overrides)
        if network == "average" and not model.averaged:
            remedy = "train with --ema" if averages else "the model takes no --ema"
            raise UserError(f"--network average: {self.folder} has no average generator; {remedy}")
        sampling = {id(each) for each in model.sampling_networks}
        networks = [n for n, each in model.networks.items() if all_networks or id(each) in sampling]
        self.load_networks(path, model, networks)
        return model

    def load_networks(self, path: Path, model: Adversarial, networks: list[str]):
        """Loads networks, by name, from the file of `checkpoint_file`; raises a UserError."""
        checkpoint.load(path, model, networks)

    def checkpoint_file(self, best: bool = False, step: int | None = None) -> Path:
        """Path of the newest checkpoint, the best one, or that of a step.

        Raises:
            UserError: there is no such checkpoint.
        """
        if not self.step():
            raise UserError(f"{self.folder}: the run has no checkpoint yet; train it first")
        if best and step is not None:
            raise UserError(f"--step {step}: cannot be combined with --best")
        path = checkpoint.path_of(self.checkpoints, self.step() if step is None else step)
        if best and not self.best_checkpoint().exists():
            raise UserError(f"{self.folder}: no best checkpoint was kept; train with --keep_best")
        if not path.exists():
            kept = ", ".join(map(str, self.steps()))
            raise UserError(f"--step {step}: {self.folder} has checkpoints of steps {kept}")
        return self.best_checkpoint() if best else path
