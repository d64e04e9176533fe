"""What a user does with a generator of pictures from noise: samples, predict, evaluate, export."""

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

from common import pages, walks
from common.adversarial import Adversarial
from common.data import pictures
from common.data.images import LabelledImages
from common.errors import UserError, at_least_one, not_negative
from common.export_sampler import export_sampler, load_sampler
from common.metrics import oracle as oracles
from common.metrics import samples
from common.metrics.frechet import keras_inception_fid
from common.pages import Beside, Page
from common.run import Run, write_json
from common.sampling import (
    Endpoint,
    Sampler,
    file_names,
    in_turn,
    real_sheet,
    sampler_of,
    sheet,
)
from common.task import Task, refuse_what_is_fixed

import numpy as np
import tensorflow as tf
from tqdm import tqdm

SEED = 0  # of the noise in sample grids, and in measurements while training


class Generation(Task):
    """The verbs of a model that makes pictures from noise, with or without a class.

    Args:
        model_class: the model. Its instances have `sampler`, `latent`, `image_size`, `channels`
            and `classes`, which is 0 if the sampler takes no class.
    """

    data = LabelledImages
    metrics: ClassVar[dict[str, int]] = samples.METRICS | samples.CLASS_METRICS

    # While training.

    def sampler(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        The noise is always the same. The grid, uint8 (H, W, C), has 8 by 8 pictures, or a row of
        ten for each of the first ten classes, with one noise in each column.
        """
        sampler = sampler_of(model)
        noise = sampler.noise(SEED, 10 if model.classes else 64)
        asked = list(range(min(model.classes, 10)))
        return lambda: sheet(sampler, noise, asked)

    def metrics_of(self, model: Adversarial, data: LabelledImages) -> dict[str, int]:
        """Those of `metrics` that this model has on these data.

        Raises:
            UserError: there are none; the message says why.
        """
        others = {} if model.classes else samples.CLASS_METRICS
        reason = oracles.obstacle(data)
        if reason:
            others = samples.METRICS | samples.CLASS_METRICS
        metrics = {name: sign for name, sign in self.metrics.items() if name not in others}
        if not metrics:
            raise UserError(f"{reason}; leave --evaluate_every out")
        return metrics

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model as it is on `count` pictures of always equal noise.

        They are held against as many training pictures.
        """
        sampler = sampler_of(model)
        noise = sampler.noise(SEED, count)
        labels = in_turn(range(model.classes), count)
        yardstick = samples.Yardstick(model.aim(data), count, "train")
        return lambda: yardstick.measure(sampler.all(noise, labels), labels)

    # The command line.

    def predict(
        self,
        run: str,
        /,
        output: str,
        count: int | None = None,
        seed: int = 0,
        label: str | None = None,
        grid: bool = False,
        interpolate: int | None = None,
        seed_to: int | None = None,
        best: bool = False,
    ):
        """Makes pictures from noise: 0000.png, 0001.png, ... of equal seeds are equal pictures.

        A model that knows classes takes them in turn, and says in a file's name which it was, as in
        0007_label_7.png.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            output: folder for the pictures.
            count: how many; default 64, and 1 (of each class) to interpolate. A grid or an
                interpolation of several classes is filled up to whole rows.
            seed: of the noise.
            label: the only class to show, by its name or by its number from 0.
            grid: write one picture, grid.png; of several classes with a row for each and one noise
                in each column.
            interpolate: frames of a way through the noise, from that of --seed to that of
                --seed_to: interpolation.png has them in a row, interpolation.gif one by one.
            seed_to: of the noise at the end of the way; default the seed after --seed.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} predict RUN --output DIR --count 100 --seed 1
            {program} predict RUN --output DIR --interpolate 16
        """
        _check_range(count, seed=seed, seed_to=seed_to)
        _check_output(output, interpolate, grid, seed_to)
        sampler = self._sampler(run, best)
        asked = asked_classes(sampler.class_names, label, run)
        folder = Path(output)
        page = Page(f"{self.name}: pictures from noise", {"run": run, "seed": seed, "label": label})
        if interpolate:
            ways = ceil((count or 1) / max(1, len(asked)))
            end = (seed + 1) % 2**63 if seed_to is None else seed_to
            walks.write(sampler, asked, (seed, end), ways, interpolate, folder)
            for name in (walks.ROWS, walks.ANIMATION):
                page.single(name, Beside.of(folder / name))
            page.write(folder / pages.NAME)
            print(f"{interpolate} frames in {folder / 'interpolation.png'} and .gif")
            return
        count = count or 64
        if grid:
            noise = sampler.noise(seed, ceil(count / max(1, len(asked))))
            pictures.write(folder / "grid.png", sheet(sampler, noise, asked))
            page.single("grid.png", Beside.of(folder / "grid.png"))
            page.write(folder / pages.NAME)
            print(f"{len(noise) * max(1, len(asked))} pictures in {folder / 'grid.png'}")
            return
        labels = in_turn(asked, count)
        names = iter(file_names(labels, count))
        for batch in with_bar(sampler.draw(sampler.noise(seed, count), labels), count):
            for picture in batch:
                name = next(names)
                pictures.write(folder / name, picture)
                page.single(name.removesuffix(".png"), Beside(name, *picture.shape[:2]))
        page.write(folder / pages.NAME)
        print(f"{count} pictures in {folder}")

    def evaluate(
        self,
        run: str,
        /,
        count: int = 10000,
        seed: int = 0,
        split: Literal["train", "test"] = "test",
        dataset: str | None = None,
        data_dir: str | None = None,
        skip_bad_images: bool = False,
        best: bool = False,
        show: int = 64,
    ):
        """Measures a run's pictures, beside real ones that were held out.

        A model that knows classes is asked for each of them equally often. Where the data have no
        labels, and the pictures are RGB, there is only their Keras-Inception FID, if its weights
        can be had. Also written to the run's evaluation.json, and with pictures to its
        evaluation/index.html.

        Args:
            run: the run's folder.
            count: pictures to make; real ones are taken as many, or as there are.
            seed: of the noise.
            split: the real pictures to compare with.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out pictures that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest.
            show: pictures on the page, of the model and as many real ones.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        not_negative(show=show)
        _check_range(count, seed=seed)
        opened = Run.open(run, self.name)
        model = self.load(opened, best)
        sampler = sampler_of(model)
        moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
        data = self.data_of(opened, **moved)
        aim = model.aim(data)
        report = {
            "step": opened.step(best),
            "dataset": data.name,
            "split": split,
            "count": count,
            "seed": seed,
        }
        labels = in_turn(range(sampler.classes), count)
        drawn = with_bar(sampler.draw(sampler.noise(seed, count), labels), count)
        table = None
        if reason := oracles.obstacle(aim):
            said = f"fid, precision and so on: left out; {reason}"
            print(said)
            report["keras_inception_fid"] = keras_inception_fid(
                map(pictures.to_unit, aim.arrays(split, count)[0]),
                (pictures.to_unit(one) for batch in drawn for one in batch),
                aim.channels,
            )
        else:
            yardstick = samples.Yardstick(aim, count, split)
            results = yardstick.table(np.concatenate(list(drawn)), labels)
            print(samples.format_table(results))
            report["results"] = results
            table, said = samples.table(results), samples.reference(results)
        page = self.page(opened, report)
        if table:
            page.table(table)
        page.note(said)
        if show:
            asked = list(range(min(sampler.classes, 10)))
            columns = ceil(show / max(1, len(asked)))
            made = sheet(sampler, sampler.noise(seed, columns), asked)
            real = real_sheet(aim, split, columns, asked)
            page.row("Pictures", {f"made by {self.name}": made, f"real, {split}": real})
        report |= self.evaluate_further(opened, model, data, page, show)
        write_json(opened.evaluation_file, report)
        page.write(opened.evaluation_page)

    def evaluate_further(
        self, run: Run, model: Adversarial, data: LabelledImages, page: Page, show: int
    ) -> dict[str, dict]:
        """Measures what a model can do beside drawing pictures, prints it, and adds it to the page.

        Args:
            run: the model's run.
            model: with the weights of `load`.
            data: the run's, where they lie now.
            page: of the evaluation.
            show: pictures for it.

        Returns:
            Results by name, for evaluation.json.
        """
        return {}

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        further = self.signatures(model)
        return export_sampler(model, base, self.name, version, class_names(run), further)

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """What a SavedModel of the model can do beside drawing pictures; see `export_sampler`."""
        return {}

    def _sampler(self, run: str, best: bool) -> Sampler:
        """The sampler of a run or of a SavedModel."""
        if not tf.saved_model.contains_saved_model(run):
            opened = Run.open(run, self.name)
            return sampler_of(opened.load_sampler(self.model_class, best), class_names(opened))
        refuse_what_is_fixed(["best"] if best else [], run)
        return load_sampler(run)


def asked_classes(class_names: list[str], label: str | None, run: str) -> list[int]:
    """The classes to show, in their order; empty if the model takes no class.

    Args:
        class_names: of the model; none if it takes no class.
        label: a class by its name, or else by its number, or None for all.
        run: what the model is called in an error.

    Raises:
        UserError: there is no such class.
    """
    if label is None:
        return list(range(len(class_names)))
    if not class_names:
        raise UserError(f"--label {label}: the model of {run} knows no classes; leave it out")
    if label in class_names:
        return [class_names.index(label)]
    if label.isdecimal() and int(label) < len(class_names):
        return [int(label)]
    known = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    raise UserError(f"--label {label}: give 0 to {len(class_names) - 1}, or one of {known}")


def with_bar(batches: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """The batches, with a progress bar over their pictures."""
    with tqdm(total=total, unit="picture", disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _check_range(count: int | None, **seeds: int | None):
    """Refuses a number of pictures, or a seed, that cannot be."""
    at_least_one(count=count)
    for option, seed in seeds.items():
        if seed is not None and not 0 <= seed < 2**63:
            raise UserError(f"--{option} {seed}: give 0 to {2**63 - 1}")


def _check_output(output: str, interpolate: int | None, grid: bool, seed_to: int | None):
    """Refuses options of `predict` that do not fit together, before a model is built."""
    if interpolate is not None and interpolate < 2:
        raise UserError(f"--interpolate {interpolate}: give 2 frames or more, such as 16")
    if interpolate and grid:
        raise UserError("--grid: an interpolation is a grid already; leave one of them out")
    if seed_to is not None and not interpolate:
        raise UserError(f"--seed_to {seed_to}: needs --interpolate, such as 16")
    if Path(output).exists() and not Path(output).is_dir():
        raise UserError(f"--output {output}: is a file; name a folder")


def class_names(run: Run) -> list[str]:
    """The names of the classes that a run learnt, as it noted them; else none."""
    return run.config()["options"].get("class_names", [])
