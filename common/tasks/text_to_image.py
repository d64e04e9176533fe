"""The task of text-to-image generators."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.captioned import CaptionedImages
from common.demo.panels import FRAMES, SEED, Flag, Panel, Text, WholeNumber
from common.errors import UserError, at_least_one
from common.evaluation import text_to_image
from common.evaluation.formatting import text_table
from common.images import image_file
from common.images.grid import grid, square_grid
from common.inference.draw import check_seed
from common.inference.input_files import check_folder
from common.inference.sampler import TRAINING_SEED
from common.inference.text_sampler import TextSampler, text_sampler_of
from common.inference.texts import (
    Texts,
    asked_of,
    columns_of,
    interpolate,
    name_left_out,
    write_files,
    write_grid,
)
from common.metrics.directions import better
from common.reports import result_page
from common.reports.result_page import ResultPage
from common.serving.text_to_image import export_text_sampler, load_text_sampler
from common.tasks.base import Checkpoint, Task, is_saved_model
from common.tasks.evaluation import EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np

COLUMNS = 8  # of the sample grid


@dataclass(frozen=True)
class CaptionEvaluation(EvaluationOptions):
    """Data and result page.

    Args:
        embeddings: new location of the run's embeddings of captions, if they were moved.
    """

    embeddings: str | None = None


class TextToImage(Task):
    """The verbs of a model that generates images from text.

    Args:
        model_class: the model, a `TextConditional` with `latent`. Its instances have a `sampler`
            (embeddings and noise to images and those of the first stage), `coarse_only` (whether
            the first stage alone has been trained so far), `image_size` and `channels`.
        capabilities: what the model can do besides drawing images.
    """

    data = CaptionedImages
    option_groups: ClassVar[dict[type, type]] = {EvaluationOptions: CaptionEvaluation}
    metrics: ClassVar[dict[str, int]] = better(
        *("digit", "colour", "background", "skin tone", "r_precision")
    )

    # During training.

    def sample_grid(self, model: Adversarial, data: CaptionedImages) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        Its rows are captions of held-out images: the image, and others with fixed noise. Until the
        last stage of training they are those of the first stage, enlarged.
        """
        examples = data.examples(data.held_out_split, COLUMNS)
        texts, sampler = np.stack([each.text for each in examples]), text_sampler_of(model)
        noise = model.latent.array_of_seed(TRAINING_SEED, COLUMNS)

        def drawn() -> np.ndarray:
            t = embeddings_of(model, np.repeat(texts, COLUMNS, axis=0))
            both = sampler.all(t, np.tile(noise, (len(texts), 1)))
            images = enlarged(both.coarse, model.image_size) if model.coarse_only else both.images
            rows = images.reshape(len(texts), COLUMNS, *images.shape[1:])
            return grid(
                [[e.image, *row] for e, row in zip(examples, rows, strict=True)],
                names=[e.caption for e in examples],
                captions=["real", "drawn", *[""] * (COLUMNS - 1)],
            )

        return drawn

    def metrics_of(self, model: Adversarial, data: CaptionedImages) -> dict[str, int]:
        names = {*text_to_image.judged_attributes(data)}
        names |= set() if model.embedding_size else {"r_precision"}
        if not names:
            raise UserError("--evaluate_every: nothing can be measured on these data; leave it out")
        return {name: sign for name, sign in self.metrics.items() if name in names}

    def measure(
        self, model: Adversarial, data: CaptionedImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that evaluates the model on the first `count` held-out captions."""
        examples = data.examples(data.held_out_split, count)
        judges, sampler = text_to_image.judges_of(data), text_sampler_of(model)
        noise, texts = (
            model.latent.array_of_seed(TRAINING_SEED, len(examples)),
            np.stack([each.text for each in examples]),
        )

        def measured() -> dict[str, float]:
            images = sampler.all(embeddings_of(model, texts), noise).images
            return scores(model, images, examples, judges)

        return measured

    # The command line.

    def predict(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        output: str,
        texts: Texts,
        count: int = 8,
        seed: int = 0,
        grid: bool = False,
        coarse: bool = False,
    ):
        """Generates images from text.

        They are written to OUTPUT as 0000.png, 0001.png, ...; the same seed gives the same images.
        A word that the model does not know is passed over, with a line about it.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            output: folder for the images.
            count: number of images, of each text of --texts, or of all default captions together.
            seed: seed for the noise.
            grid: write a single image, grid.png, with a row for each text, and the same noise in
                each column.
            coarse: also write the images of the first stage, as 0000_coarse.png, or beside the
                others in the grid.

        Example:
            {program} predict RUN --output DIR --text "a red three on blue" --count 8
            {program} predict RUN --output DIR --texts FILE --count 4 --grid --coarse
            {program} predict RUN --output DIR --text "a red three" --text_to "a white eight"
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        folder = Path(output)
        check_folder(folder)
        texts.check_file()
        sampler = self.sampler(run, checkpoint)
        page = ResultPage(f"{self.name}: images from text", {"run": run, "seed": seed})
        if texts.text_to is not None:
            summary, asked = interpolate(sampler, texts, seed, folder, page), None
        else:
            asked = asked_of(sampler, texts)
            default = texts.text is None and texts.texts is None
            turns = turns_of(len(asked.names), count, default, grid)
            noise = sampler.latent.array_of_seed(seed, count)
            noise = noise[np.arange(len(turns)) % count if not grid else columns_of(turns)]
            write = write_grid if grid else write_files
            drawn = asked.of(turns)
            summary = write(sampler, drawn.texts, drawn.names, noise, coarse, folder, page)
        page.write(folder / result_page.NAME)
        print(summary)
        if asked is not None:
            name_left_out(asked, texts)

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        count: int = 2000,
        seed: int = 0,
    ):
        """Evaluates whether images show what the captions of held-out images say.

        Each attribute that a caption names is read off the image drawn of it: of scenes the digit,
        by a classifier of real scenes, the colour of the stroke and of the background; of emoji the
        skin tone, by the mean colour of the skin's pixels. R-precision is the share of the images
        whose caption is the most similar of ten, for the run's own encoders of text and image.
        Beside images of combinations that training has not seen there are those of combinations
        that it has, real images, Stage I's images enlarged, and images of shuffled captions, the
        floor. Sharpness is the variance of the Laplacian. Prints the results, and writes them to
        the run's evaluation.json and, with images, to its evaluation/index.html.

        Args:
            run: folder of the run.
            count: maximum number of captions of each split.
            seed: seed for the noise.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 500 --show 40
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        evaluation = self.start_evaluation(run, checkpoint, options)
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        judges, sampler = text_to_image.judges_of(data), text_sampler_of(model)
        results = {}
        splits = {"held out": data.held_out_split} | (
            {"seen": "test"} if data.held_out_split != "test" else {}
        )
        for name, split in splits.items():
            examples = data.examples(split, count)
            t = embeddings_of(model, np.stack([each.text for each in examples]))
            drawn = sampler.all(t, sampler.latent.array_of_seed(seed, len(examples)))
            real = np.stack([each.image for each in examples])
            enlarged = np.stack([image_file.resize(x, *real.shape[1:3]) for x in drawn.coarse])
            kinds = {name: drawn.images, f"{name}, stage I": enlarged}
            kinds |= {f"{name}, real": real}
            if name == "held out":
                kinds["shuffled captions"] = np.roll(drawn.images, 1, axis=0)
            for kind, images in kinds.items():
                results[kind] = scores(model, images, examples, judges)
                results[kind]["sharpness"] = sharpness(images)
            if show := evaluation.show:
                shown = {"drawn": drawn.images, "stage I": enlarged, "real": real}
                grids = {key: square_grid(images[:show]) for key, images in shown.items()}
                page.row(f"Captions {name}", grids)
                page.note("\n".join(each.caption for each in examples[:show]))
        rows = text_to_image.table(results)
        report = {"dataset": data.name, "count": count, "seed": seed, "results": results}
        evaluation.report |= report
        print(text_table(rows))
        page.table(rows)
        evaluation.finish()

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        examples = self.sampler(run, checkpoint).examples
        first, *others = [*examples, "", ""]
        text, text_to = Text("text", "text", first), Text("text_to", "text at the end", others[0])
        count = WholeNumber("count", "images", 8, least=1, most=32)
        coarse = Flag("coarse", "also the images of the first stage")
        return [
            Panel("Images", "Draw", "image", None, (text, count, SEED, coarse), ("--grid",)),
            Panel("Interpolation", "Draw", "animation", None, (text, text_to, SEED, FRAMES)),
        ]

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        return export_text_sampler(model, base, self.name, version)

    def sampler(self, run: str, checkpoint: Checkpoint) -> TextSampler:
        """Returns the sampler of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            return load_text_sampler(run)
        return text_sampler_of(self.load(open_run(run, self.name), checkpoint))


def turns_of(texts: int, count: int, default: bool, grid: bool) -> np.ndarray:
    """Numbers of the texts to draw, in order, int (N,).

    Args:
        texts: number of texts.
        count: number of images of each text, or, by default, of all together.
        default: the texts are the run's captions.
        grid: each text has a row of its own.
    """
    if default and not grid:
        return np.arange(count) % texts
    return np.repeat(np.arange(texts), ceil(count / texts) if default else count)


def embeddings_of(model: Adversarial, texts: np.ndarray) -> np.ndarray:
    """Embeddings of tokens (N, T), float32 (N, d); embeddings as they are."""
    return np.asarray(model.embedded(texts))


def scores(model: Adversarial, images: np.ndarray, examples: list, judges: dict) -> dict:
    """Accuracies of all attributes and, unless embeddings are given, R-precision."""
    found = text_to_image.accuracies(images, examples, judges)
    if not model.embedding_size:
        found["r_precision"] = text_to_image.r_precision(model, images, examples)
    return found


def sharpness(images: np.ndarray) -> float:
    """Variance of the Laplacian of grey values in [0, 1], over all images."""
    x = images.astype(float).mean(axis=-1) / 255
    inner = x[:, 1:-1, 1:-1]
    sides = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return float(np.var(sides - 4 * inner))


def enlarged(images: np.ndarray, side: int) -> np.ndarray:
    """Images (N, S, S, C) with their pixels repeated: (N, side, side, C)."""
    factor = side // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
