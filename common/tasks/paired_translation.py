"""What a user does with a translator of paired images: samples, predict, evaluate, export."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from common import errors
from common.adversarial import Adversarial
from common.data.paired import PairedImages
from common.errors import UserError
from common.evaluation import paired
from common.evaluation.inception import keras_inception_fid
from common.images import image_file
from common.images.grid import grid
from common.inference.image_to_image import Translate, compiled, translate_files
from common.io.records import write_json
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving.translator import export_translator, load_translator
from common.tasks.base import Task, refuse_what_is_fixed
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf


@dataclass
class Inference:
    """What is on at inference.

    Args:
        inference_dropout: keep dropout on, or switch it off; default as trained.
        inference_statistics: normalise by each image's own statistics or by moving averages;
            default as trained.
        inference_seed: which dropout mask is drawn; default as trained.
    """

    inference_dropout: bool | None = None
    inference_statistics: Literal["image", "moving"] | None = None
    inference_seed: int | None = None

    def given(self) -> dict:
        """The options that were given, to use in place of the run's."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class PairedTranslation(Task):
    """The verbs of a model that translates x to y and learns from pairs (x, y).

    Args:
        model_class: the model. Its instances have `sampler`, `multiple`, `channels_in` and
            `image_size`; its constructor takes `inference_dropout`, `inference_statistics` and
            `inference_seed`.
    """

    data = PairedImages
    metrics: ClassVar[dict[str, int]] = {"l1": -1, "psnr": 1, "ssim": 1}  # 1: more is better

    # While training.

    def sampler(
        self, model: Adversarial, data: PairedImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        The pairs are the first held-out ones, the same in every run with this data and seed. The
        grid, uint8 (H, W, C), has a row for each: condition, translation, original.
        """
        fixed = [(x, y) for _, x, y in data.pairs("val", count)]
        if not fixed:
            raise UserError(f"--dataset {data.name}: none of its first val pairs can be read")
        translate = compiled(model.sampler)

        def draw() -> np.ndarray:
            rows = [[x, translate(x[None])[0], y] for x, y in fixed]
            return grid([[image_file.to_uint8(image) for image in row] for row in rows])

        return draw

    def measure(
        self, model: Adversarial, data: PairedImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model on the first `count` pairs of val."""
        translate = compiled(model.sampler)

        def measured() -> dict[str, float]:
            pairs = ((x, y) for _, x, y in data.pairs("val", count))
            scores = paired.evaluate_pairs(lambda x: translate(x[None])[0], pairs, {})["model"]
            return {name: scores[name] for name in self.metrics}

        return measured

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str],
        /,
        inference: Inference,
        output: str,
        tile: int = 512,
        best: bool = False,
    ):
        """Translates images of any size; each comes out under its own name as PNG.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the translations.
            tile: pixels; larger images go through the network in overlapping tiles of this side.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN/export/{model}/1 FOLDER MORE.jpg --output DIR
        """
        translate, multiple, channels = self._translator(run, inference, best)
        page = ResultPage(self.name, {"run": run, **inference.given()}, side=THUMBNAIL)
        translate_files(translate, multiple, channels, inputs, output, tile, page)

    def evaluate(
        self,
        run: str,
        /,
        inference: Inference,
        split: Literal["val", "test"] = "test",
        dataset: str | None = None,
        data_dir: str | None = None,
        skip_bad_images: bool = False,
        best: bool = False,
        show: int = 20,
    ):
        """Measures a run on held-out pairs, beside two predictors that learn next to nothing.

        L1 is in units of [-1, 1], PSNR in dB, SSIM as of Wang et al. 2004, each the mean over the
        pairs. The mean photo is one image for every input; label colour gives each input colour
        the mean colour that it has in training. Also written to the run's evaluation.json, and with
        images to its evaluation/index.html.

        Args:
            run: the run's folder.
            split: which pairs.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out pairs that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest.
            show: pairs on the page.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --dataset FOLDER --show 100
        """
        errors.not_negative(show=show)
        opened = Run.open(run, self.name)
        model = self.load(opened, best, **inference.given())
        moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
        data = self.data_of(opened, **moved)
        translate = compiled(model.sampler)
        baselines = {
            "mean photo": paired.mean_image((x, y) for _, x, y in data.pairs("train")),
            "label colour": paired.label_colour((x, y) for _, x, y in data.pairs("train")),
        }
        held_out = ((x, y) for _, x, y in data.pairs(split))
        results = paired.evaluate_pairs(lambda x: translate(x[None])[0], held_out, baselines)
        print(paired.format_table(results))
        fid = keras_inception_fid(
            (y for _, _, y in data.pairs(split)),
            (translate(x[None])[0] for _, x, _ in data.pairs(split)),
            data.channels[1],
        )
        report = {
            "step": opened.step(best),
            "dataset": data.name,
            "split": split,
            "inference": inference.given(),
            "results": results,
            "keras_inception_fid": fid,
        }
        write_json(opened.evaluation_file, report)
        page = self.page(opened, report)
        page.table(paired.table(results))
        for name, x, y in data.pairs(split, show):
            shown = {"input": x, "output": translate(x[None])[0], "target": y}
            page.row(name, {caption: image_file.to_uint8(one) for caption, one in shown.items()})
        page.write(opened.evaluation_page)

    def export(
        self,
        run: str,
        /,
        inference: Inference,
        output: str | None = None,
        version: int | None = None,
        best: bool = False,
    ):
        """Writes a SavedModel for TensorFlow Serving to OUTPUT/MODEL/VERSION/.

        Args:
            run: the run's folder.
            output: folder above the model's; default RUN/export.
            version: a positive integer; default the next free one.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} export RUN
            {program} export RUN --output models --version 3
        """
        self.export_from(run, output, version, best=best, **inference.given())

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        sides = model.image_size, model.image_size
        facts = model.multiple, model.channels_in, sides
        return export_translator(model.sampler, base, self.name, version, *facts)

    def _translator(self, run: str, inference: Inference, best: bool) -> tuple[Translate, int, int]:
        """A run's or a SavedModel's translator, what its input's sides must be multiples of, and
        the input's channels."""
        if not tf.saved_model.contains_saved_model(run):
            model = self.load(Run.open(run, self.name), best, **inference.given())
            return compiled(model.sampler), model.multiple, model.channels_in
        refuse_what_is_fixed([*inference.given(), *(["best"] if best else [])], run)
        saved = load_translator(run)
        return saved, 1, saved.channels_in
