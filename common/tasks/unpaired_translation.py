"""The task of translators between two domains of unpaired images."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from common.adversarial import Adversarial
from common.data.unpaired import HeldOut, UnpairedImages
from common.demo.boards import translator_panels
from common.demo.panels import Choice, Panel
from common.errors import UserError, at_least_one
from common.evaluation import cycle_consistency, paired
from common.evaluation.inception import keras_inception_fid
from common.images import image_file
from common.images.grid import grid
from common.inference.image_to_image import (
    Size,
    Translate,
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
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.evaluation import EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np

Direction = Literal["AtoB", "BtoA"]
DIRECTIONS = ("AtoB", "BtoA")


class UnpairedTranslation(Task):
    """The verbs of a model that translates between two domains and learns from unpaired images.

    Args:
        model_class: the model. Its instances have `sampler`, a model with the layers AtoB and
            BtoA, `multiple`, `channels` and `image_size`.
        capabilities: what the model can do besides translating.
    """

    data = UnpairedImages
    # The second is defined for datasets only whose images have known targets.
    metrics: ClassVar[dict[str, int]] = better("cycle_l1", "target_l1")

    # During training.

    def sample_grid(
        self, model: Adversarial, data: UnpairedImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        It has `count` rows, each with the next held-out image of A, its translation and the
        translation back, then the same for B.
        """
        fixed = {domain: [*data.held_out(domain, "test", count)] for domain in "AB"}
        for domain, images in fixed.items():
            if not images:
                raise UserError(
                    f"--dataset {data.name}: no image of test{domain}/ can be read; restore one"
                )
        rows = min(map(len, fixed.values()))
        first = [np.stack([one.x for one in images[:rows]]) for images in fixed.values()]
        translators = both_directions(model)

        def draw() -> np.ndarray:
            columns = []
            for (forth, back), x in zip(translators, first, strict=True):
                y = forth(x)
                columns += [x, y, back(y)]
            shown = [*zip(*map(image_file.to_uint8, columns), strict=True)]
            return grid(shown, captions=("A", "A to B", "and back", "B", "B to A", "and back"))

        return draw

    def metrics_of(self, model: Adversarial, data: UnpairedImages) -> dict[str, int]:
        known = all(data.splits[f"train{domain}"].has_targets for domain in "AB")
        return {k: sign for k, sign in self.metrics.items() if known or k != "target_l1"}

    def measure(
        self, model: Adversarial, data: UnpairedImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that evaluates the first `count` training images of each domain.

        Each metric is the mean of both directions.
        """
        directions = [*zip(both_directions(model), "AB", strict=True)]
        names = self.metrics_of(model, data)

        def measured() -> dict[str, float]:
            found = [
                cycle_consistency.measure(*pair, data.held_out(domain, "train", count))
                for pair, domain in directions
            ]
            return {name: float(np.mean([scores[name] for scores in found])) for name in names}

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
        direction: Direction = "AtoB",
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
            direction: direction of the translation; AtoB generates images of domain B.
            size: shorter side in pixels that images are resized to, keeping their aspect ratio, or
                "original" for their own size; default the side of the training images.
            tile: side in pixels of the overlapping tiles that larger images are split into; each is
                normalized by itself.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN FOLDER MORE.jpg --output DIR --direction BtoA
        """
        at_least_one(tile=tile)
        self.check_run(run, checkpoint)
        images = InputFiles(inputs, output, files)
        translator = self.translator(run, direction, checkpoint)
        side = input_side(size, translator)
        write = partial(write_translated, translator, side, tile)
        facts = {"run": run, "direction": direction, "size": side}
        page = ResultPage(self.name, facts, side=THUMBNAIL)
        convert_files(write, images, page, "translated")

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        split: Literal["train", "test"] = "test",
        count: int | None = None,
    ):
        """Evaluates the translations of held-out images in both directions.

        Cycle L1, in units of [-1, 1], compares images with their translation there and back.
        Generated datasets and emoji have targets: L1 and SSIM of the translations are compared with
        those of the identity map and of the mean training image of the target domain. For digits a
        reference classifier tells how many are the same digit after the cycle, and how many are
        still their digit when translated to A, as they are and after the best permutation of the
        digits. For RGB images there is Keras-Inception FID between translations and images of the
        target domain, if its weights are on disk or can be downloaded. Images have the size of the
        training images. Prints the results, and writes them to the run's evaluation.json and, with
        images, to its evaluation/index.html.

        Args:
            run: folder of the run.
            split: split of the images.
            count: number of images of each domain; default all.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 500 --show 100
        """
        at_least_one(count=count)
        evaluation = self.start_evaluation(run, checkpoint, options)
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        judge = cycle_consistency.digit_classifier(data)  # trained on domain A
        judges = {"A": (judge, None), "B": (None, judge)}
        translators = dict(zip(DIRECTIONS, both_directions(model), strict=True))
        results = {}
        for direction, pair in translators.items():
            source, target = direction.split("to")
            held_out = data.held_out(source, split, count)
            mean = mean_image(data, target) if data.splits[f"{split}{source}"].has_targets else None
            results[direction] = cycle_consistency.measure(*pair, held_out, *judges[source], mean)
        print(f"measured at {data.image_size}x{data.image_size} pixels, as in training")
        print(cycle_consistency.format_table(results))
        evaluation.report |= {
            "dataset": data.name,
            "split": split,
            "image_size": data.image_size,
            "results": results,
            "keras_inception_fid": fid_of(translators, data, split, count),
        }
        page.table(cycle_consistency.table(results))
        for direction, pair in translators.items():
            images = data.held_out(direction[0], split, evaluation.show)
            show_cycles(page, direction, *pair, images)
        evaluation.finish()

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        for direction in DIRECTIONS:
            self.translator(run, direction, checkpoint)
        directions = Choice("direction", "direction", DIRECTIONS[0], choices=DIRECTIONS)
        examples = self.examples(run, images_of_both)
        return translator_panels(examples, (directions,))

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes a SavedModel with signatures for both directions.

        AtoB and BtoA take and return floats, AtoB_bytes and BtoA_bytes encoded images and PNG
        files; serving_default and serving_bytes are those from A to B.
        """
        networks = {direction: model.sampler.get_layer(direction) for direction in DIRECTIONS}
        sides = model.image_size, model.image_size
        facts = model.multiple, model.channels, sides
        return export_translator(networks, base, self.name, version, *facts)

    def translator(self, run: str, direction: Direction, checkpoint: Checkpoint) -> Translator:
        """Returns the translator of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            saved = load_translator(run, direction)
            return Translator(saved, 1, saved.channels_in, saved.image_size)
        model = self.load(open_run(run, self.name), checkpoint)
        network = model.sampler.get_layer(direction)
        facts = model.multiple, model.channels, model.image_size
        return Translator(compiled(network), *facts)


def both_directions(model: Adversarial) -> list[tuple[Translate, Translate]]:
    """Returns (G, F) and (F, G): for each domain the translator of its images, and the one back."""
    G, F = (compiled(model.sampler.get_layer(direction)) for direction in DIRECTIONS)
    return [(G, F), (F, G)]


def images_of_both(data: UnpairedImages) -> Iterator[np.ndarray]:
    """Test images of A and of B in turn, uint8 (S, S, C)."""
    held_out = [data.held_out(domain, "test", EXAMPLES) for domain in "AB"]
    return (image_file.to_uint8(one.x) for both in zip(*held_out, strict=False) for one in both)


def mean_image(data: UnpairedImages, domain: str) -> np.ndarray:
    """The mean training image of a domain, float64 (H, W, C) in [-1, 1]."""
    images = ((None, one.x) for one in data.held_out(domain, "train"))
    return paired.mean_image(images)(None)


def fid_of(
    translators: dict[Direction, tuple[Translate, Translate]],
    data: UnpairedImages,
    split: str,
    count: int | None,
) -> dict[str, float | None]:
    """Returns the Keras-Inception FID of each direction, or None where it is not available."""
    found: dict[str, float | None] = {}
    for direction, (translate, _) in translators.items():
        if None in found.values():  # the reason was printed, and is the same
            found[direction] = None
            continue
        source, target = direction.split("to")
        print(f"{direction}: ", end="")
        found[direction] = keras_inception_fid(
            (one.x for one in data.held_out(target, split, count)),
            (translate(one.x[None])[0] for one in data.held_out(source, split, count)),
            data.channels,
        )
    return found


def show_cycles(
    page: ResultPage,
    direction: Direction,
    forth: Translate,
    back: Translate,
    images: Iterable[HeldOut],
):
    """Adds a row for each image: input, translation, translation back, and the target if known."""
    for one in images:
        y = forth(one.x[None])
        shown = {"input": one.x, f"output, {direction}": y[0], "and back": back(y)[0]}
        if one.target is not None:
            shown["target"] = one.target
        shown = {caption: image_file.to_uint8(image) for caption, image in shown.items()}
        page.row(f"{direction[0]}: {one.name}", shown)
