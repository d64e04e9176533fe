"""The task of translators of paired images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from common.adversarial import Adversarial
from common.data.paired import PairedImages
from common.demo.boards import translator_panels
from common.demo.panels import Panel
from common.errors import UserError, at_least_one
from common.evaluation import paired
from common.evaluation.inception import keras_inception_fid
from common.images import image_file
from common.images.grid import grid
from common.inference.image_to_image import (
    Size,
    Translator,
    compiled,
    convert_files,
    input_side,
    write_translated,
)
from common.inference.input_files import InputFiles, InputOptions
from common.metrics.directions import better
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving.translator import export_translator, load_translator
from common.signatures import given
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.evaluation import EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np


@dataclass(frozen=True)
class InferenceOptions(Checkpoint):
    """Checkpoint and inference mode.

    Args:
        inference_dropout: apply dropout at inference; default: the run's setting.
        inference_statistics: statistics for normalization at inference, each image's own or moving
            averages; default: the run's setting.
        inference_seed: seed for the dropout masks at inference; default: the run's setting.
    """

    inference_dropout: bool | None = None
    inference_statistics: Literal["image", "moving"] | None = None
    inference_seed: int | None = None

    def mode(self) -> dict:
        """Returns the given options of the inference mode, by name."""
        weights = {field.name for field in fields(Checkpoint)}
        return {name: value for name, value in given(self).items() if name not in weights}


class PairedTranslation(Task):
    """The verbs of a model that translates x to y and learns from pairs (x, y).

    Args:
        model_class: the model. Its instances have `sampler`, `multiple`, `channels_in` and
            `image_size`; its constructor takes `inference_dropout`, `inference_statistics` and
            `inference_seed`.
        capabilities: what the model can do besides translating.
    """

    data = PairedImages
    metrics: ClassVar[dict[str, int]] = better("l1", "psnr", "ssim")
    option_groups: ClassVar[dict[type, type]] = {Checkpoint: InferenceOptions}

    # During training.

    def sample_grid(
        self, model: Adversarial, data: PairedImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        There is a row of input, output and target for each of the first `count` validation pairs,
        the same ones in every run with this data and seed.
        """
        fixed = [(x, y) for _, x, y in data.pairs("val", count)]
        if not fixed:
            raise UserError(f"--dataset {data.name}: no val pair can be read; restore one")
        translate = compiled(model.sampler)

        def draw() -> np.ndarray:
            rows = [[x, translate(x[None])[0], y] for x, y in fixed]
            shown = [[image_file.to_uint8(image) for image in row] for row in rows]
            return grid(shown, captions=("input", "output", "target"))

        return draw

    def measure(
        self, model: Adversarial, data: PairedImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that evaluates the model on the first `count` validation pairs."""
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
        checkpoint: Checkpoint,
        output: str,
        files: InputOptions,
        size: Size | None = None,
        tile: int = 512,
    ):
        """Translates images of any size.

        Each is written to OUTPUT as PNG, under its own name. By default it is resized to the scale
        of the training images first.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the translated images.
            size: shorter side in pixels that images are resized to, keeping their aspect ratio, or
                "original" for their own size; default the side of the training images.
            tile: side in pixels of the overlapping tiles that larger images are split into.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN/export/{model}/1 FOLDER MORE.jpg --output DIR
        """
        at_least_one(tile=tile)
        self.check_run(run, checkpoint)
        images = InputFiles(inputs, output, files)
        translator = self.translator(run, checkpoint)
        side = input_side(size, translator)
        write = partial(write_translated, translator, side, tile)
        facts = {"run": run, "size": side, **checkpoint.mode()}
        page = ResultPage(self.name, facts, side=THUMBNAIL)
        convert_files(write, images, page, "translated")

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        split: Literal["val", "test"] = "test",
    ):
        """Evaluates the translations of held-out pairs, and those of trivial baselines.

        L1 is in units of [-1, 1], PSNR in dB, SSIM as in Wang et al. 2004, each averaged over the
        pairs. The baselines are the mean photo, the same for every input; label colour, which maps
        each input colour to its mean target colour in training; and the input itself, if it has as
        many channels as the target. Images have the size of the
        training images. Prints the results, and writes them to the run's evaluation.json and, with
        images, to its evaluation/index.html.

        Args:
            run: folder of the run.
            split: split of the pairs.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --dataset FOLDER --show 100
        """
        evaluation = self.start_evaluation(run, checkpoint, options)
        data, page = evaluation.data, evaluation.page
        batched = compiled(evaluation.model.sampler)

        def translate(x: np.ndarray) -> np.ndarray:
            return batched(x[None])[0]

        baselines = {
            "mean photo": paired.mean_image((x, y) for _, x, y in data.pairs("train")),
            "label colour": paired.label_colour((x, y) for _, x, y in data.pairs("train")),
        }
        channels_in, channels_out = data.channels
        if channels_in == channels_out:
            baselines["input"] = lambda x: x
        held_out = ((x, y) for _, x, y in data.pairs(split))
        results = paired.evaluate_pairs(translate, held_out, baselines)
        print(f"measured at {data.image_size}x{data.image_size} pixels, as in training")
        print(paired.format_table(results))
        fid = keras_inception_fid(
            (y for _, _, y in data.pairs(split)),
            (translate(x) for _, x, _ in data.pairs(split)),
            data.channels[1],
        )
        evaluation.report |= {
            "dataset": data.name,
            "split": split,
            "image_size": data.image_size,
            "inference": checkpoint.mode(),
            "results": results,
            "keras_inception_fid": fid,
        }
        page.table(paired.table(results))
        for name, x, y in data.pairs(split, evaluation.show):
            shown = {"input": x, "output": translate(x), "target": y}
            page.row(name, {caption: image_file.to_uint8(one) for caption, one in shown.items()})
        evaluation.finish()

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        self.translator(run, checkpoint)  # an error belongs here rather than to the first image
        return translator_panels(self.examples(run, lambda data: conditions(data, "val")))

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        sides = model.image_size, model.image_size
        facts = model.multiple, model.channels_in, sides
        return export_translator(model.sampler, base, self.name, version, *facts)

    def translator(self, run: str, checkpoint: Checkpoint) -> Translator:
        """Returns the translator of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            saved = load_translator(run)
            return Translator(saved, 1, saved.channels_in, saved.image_size)
        model = self.load(open_run(run, self.name), checkpoint)
        facts = model.multiple, model.channels_in, model.image_size
        return Translator(compiled(model.sampler), *facts)


def conditions(data: PairedImages, split: str) -> Iterator[np.ndarray]:
    """The inputs of a split's pairs, uint8 (S, S, C)."""
    return (image_file.to_uint8(x) for _, x, _ in data.pairs(split, EXAMPLES))
