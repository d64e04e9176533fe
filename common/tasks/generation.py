"""What a user does with a generator of images from noise: samples, predict, evaluate, export."""

from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import ClassVar, Literal

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.errors import UserError, not_negative
from common.evaluation import generated_images, reference_classifier
from common.inference.draw import (
    asked_classes,
    check_output,
    check_range,
    draw_each,
    draw_grid,
    draw_sum,
    draw_ways,
    last_class,
    with_bar,
)
from common.inference.latent_arithmetic import parse
from common.inference.sampler import Endpoint, Sampler, in_turn, real_sheet, sampler_of, sheet
from common.io.records import write_json
from common.reports import result_page
from common.reports.result_page import ResultPage
from common.serving.sampler import export_sampler, load_sampler
from common.tasks.base import Task, refuse_what_is_fixed
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

SEED = 0  # of the noise in sample grids, and in measurements while training


class Generation(Task):
    """The verbs of a model that makes images from noise, with or without a class.

    Args:
        model_class: the model. Its instances have `sampler`, `latent`, `image_size`, `channels`
            and `classes`, which is 0 if the sampler takes no class.
    """

    data = LabelledImages
    metrics: ClassVar[dict[str, int]] = generated_images.METRICS | generated_images.CLASS_METRICS

    # While training.

    def sampler(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        The noise is always the same. The grid, uint8 (H, W, C), has 8 by 8 images, or a row of
        ten for each of the first ten classes, with one noise in each column; to the right of it are
        those of what the model has `also_drawn`.
        """
        samplers = [sampler_of(model, network=n) for n in (model.sampler, *model.also_drawn)]
        noise = samplers[0].noise(SEED, 10 if model.classes else 64)
        asked = list(range(min(model.classes, 10)))
        return lambda: np.concatenate([sheet(s, noise, asked) for s in samplers], axis=1)

    def metrics_of(self, model: Adversarial, data: LabelledImages) -> dict[str, int]:
        """Those of `metrics` that this model has on these data.

        Raises:
            UserError: there are none; the message says why.
        """
        others = {} if model.classes else generated_images.CLASS_METRICS
        reason = reference_classifier.unavailable_reason(data)
        if reason:
            others = generated_images.METRICS | generated_images.CLASS_METRICS
        metrics = {name: sign for name, sign in self.metrics.items() if name not in others}
        if not metrics:
            raise UserError(f"{reason}; leave --evaluate_every out")
        return metrics

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model as it is on `count` images of always equal noise.

        They are held against as many training images.
        """
        sampler = sampler_of(model)
        noise = sampler.noise(SEED, count)
        labels = in_turn(range(model.classes), count)
        reference_set = generated_images.ReferenceSet(model.aim(data), count, "train")
        return lambda: reference_set.measure(sampler.all(noise, labels), labels)

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
        label_to: str | None = None,
        arithmetic: str | None = None,
        best: bool = False,
    ):
        """Makes images from noise: 0000.png, 0001.png, ... of equal seeds are equal images.

        A model that knows classes takes them in turn, and says in a file's name which it was, as in
        0007_label_7.png.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            output: folder for the images.
            count: how many; default 64, and 1 (of each class) to interpolate. A grid or an
                interpolation of several classes is filled up to whole rows.
            seed: of the noise.
            label: the only class to show, by its name or by its number from 0.
            grid: write one image, grid.png; of several classes with a row for each and one noise
                in each column.
            interpolate: frames of a way through the noise, from that of --seed to that of
                --seed_to: interpolation.png has them in a row, interpolation.gif one by one.
            seed_to: of the noise at the end of the way; default the seed after --seed, and with
                --label_to the same noise.
            label_to: the class at the end of the way, which begins with that of --label.
            arithmetic: sums of noise, such as 3,17,25-4,9,12+1,2,6: of the images that have these
                numbers with this --seed the means are taken, subtracted and added. arithmetic.png
                has a row for each mean, which comes first, and in the last row the sum, with some
                neighbours of it. A model that knows classes needs --label too.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} predict RUN --output DIR --count 100 --seed 1
            {program} predict RUN --output DIR --interpolate 16
            {program} predict RUN --output DIR --interpolate 16 --label 3 --label_to 8
            {program} predict RUN --output DIR --arithmetic 3,17,25-4,9,12+1,2,6
        """
        check_range(count, seed=seed, seed_to=seed_to)
        way = {"seed_to": seed_to, "label_to": label_to}
        check_output(output, count, grid, interpolate, label, way, arithmetic)
        terms = None if arithmetic is None else parse(arithmetic)
        sampler = self._sampler(run, best)
        asked = asked_classes(sampler.class_names, label, run)
        folder = Path(output)
        facts = {"run": run, "seed": seed, "label": label, "arithmetic": arithmetic} | way
        page = ResultPage(f"{self.name}: images from noise", facts)
        if interpolate:
            last = last_class(sampler, label_to, run)
            following = (seed + 1) % 2**63 if label_to is None else seed
            seeds = seed, following if seed_to is None else seed_to
            said = draw_ways(sampler, asked, seeds, count or 1, interpolate, folder, page, last)
        elif terms is not None:
            if len(asked) > 1:
                raise UserError(f"--arithmetic {arithmetic}: needs --label, the class to show")
            said = draw_sum(sampler, asked, seed, terms, folder, page)
        else:
            draw = draw_grid if grid else draw_each
            said = draw(sampler, asked, seed, count or 64, folder, page)
        page.write(folder / result_page.NAME)
        print(said)

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
        """Measures a run's images, beside real ones that were held out.

        A model that knows classes is asked for each of them equally often. Where the data have no
        labels, and the images are RGB, there is only their Keras-Inception FID, if its weights
        can be had. Also written to the run's evaluation.json, and with images to its
        evaluation/index.html.

        Args:
            run: the run's folder.
            count: images to make; real ones are taken as many, or as there are.
            seed: of the noise.
            split: the real images to compare with.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out images that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest.
            show: images on the page, of the model and as many real ones.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        not_negative(show=show)
        check_range(count, seed=seed)
        opened = Run.open(run, self.name)
        model = self.load(opened, best)
        moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
        data = self.data_of(opened, **moved)
        sampler, aim = sampler_of(model), model.aim(data)
        report = {
            "step": opened.step(best),
            "dataset": data.name,
            "split": split,
            "count": count,
            "seed": seed,
        }
        labels = in_turn(range(sampler.classes), count)
        drawn = with_bar(sampler.draw(sampler.noise(seed, count), labels), count)
        results, table, said = generated_images.compare(drawn, labels, aim, split, count)
        report |= results
        page = self.page(opened, report)
        if table:
            page.table(table)
        page.note(said)
        if show:
            made, real = side_by_side(sampler, aim, split, show, seed)
            page.row("Images", {f"made by {self.name}": made, f"real, {split}": real})
        report |= self.evaluate_further(opened, model, data, page, show)
        write_json(opened.evaluation_file, report)
        page.write(opened.evaluation_page)

    def evaluate_further(
        self, run: Run, model: Adversarial, data: LabelledImages, page: ResultPage, show: int
    ) -> dict[str, dict]:
        """Measures what a model can do beside drawing images, prints it, and adds it to the page.

        Args:
            run: the model's run.
            model: with the weights of `load`.
            data: the run's, where they lie now.
            page: of the evaluation.
            show: images for it.

        Returns:
            Results by name, for evaluation.json.
        """
        return {}

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        further = self.signatures(model)
        return export_sampler(model, base, self.name, version, class_names(run), further)

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """What a SavedModel of the model can do beside drawing images; see `export_sampler`."""
        return {}

    def _sampler(self, run: str, best: bool) -> Sampler:
        """The sampler of a run or of a SavedModel."""
        if not tf.saved_model.contains_saved_model(run):
            opened = Run.open(run, self.name)
            return sampler_of(opened.load_sampler(self.model_class, best), class_names(opened))
        refuse_what_is_fixed(["best"] if best else [], run)
        return load_sampler(run)


def side_by_side(
    sampler: Sampler, aim: LabelledImages, split: str, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Made images and real ones, two grids, uint8 (H, W, C), of `count` images or a few more.

    Of several classes there is a row for each of the first ten.
    """
    asked = list(range(min(sampler.classes, 10)))
    columns = ceil(count / max(1, len(asked)))
    made = sheet(sampler, sampler.noise(seed, columns), asked)
    return made, real_sheet(aim, split, columns, asked)


def class_names(run: Run) -> list[str]:
    """The names of the classes that a run learnt, as it noted them; else none."""
    return run.config()["options"].get("class_names", [])
