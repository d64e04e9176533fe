"""What a user does with translators of unpaired images: samples, predict, evaluate, export."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Literal

from common import errors
from common.adversarial import Adversarial
from common.data.unpaired import HeldOut, UnpairedImages
from common.errors import UserError
from common.evaluation import cycle_consistency
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

Direction = Literal["AtoB", "BtoA"]
DIRECTIONS = ("AtoB", "BtoA")


class UnpairedTranslation(Task):
    """The verbs of a model that translates between two domains, both ways, and learns without
    pairs.

    Args:
        model_class: the model. Its instances have `sampler`, a model with the layers AtoB and
            BtoA, `multiple`, `channels` and `image_size`.
    """

    data = UnpairedImages
    # Less is better. The second is known of generated sets only.
    metrics: ClassVar[dict[str, int]] = {"cycle_l1": -1, "target_l1": -1}

    # While training.

    def sampler(
        self, model: Adversarial, data: UnpairedImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        The images are the first held-out ones of each domain. The grid, uint8 (H, W, C), has a
        row for each: of A, translated to B, back to A; of B, translated to A, back to B.
        """
        fixed = {domain: [*data.held_out(domain, "test", count)] for domain in "AB"}
        for domain, shown in fixed.items():
            if not shown:
                raise UserError(
                    f"--dataset {data.name}: none of the first images of test{domain}/ can be read"
                )
        rows = min(map(len, fixed.values()))
        first = [np.stack([one.x for one in shown[:rows]]) for shown in fixed.values()]
        ways = both_ways(model)

        def draw() -> np.ndarray:
            columns = []
            for (forth, back), x in zip(ways, first, strict=True):
                y = forth(x)
                columns += [x, y, back(y)]
            return grid([*zip(*map(image_file.to_uint8, columns), strict=True)])

        return draw

    def metrics_of(self, model: Adversarial, data: UnpairedImages) -> dict[str, int]:
        known = all(data.splits[f"train{domain}"].has_targets for domain in "AB")
        return {k: sign for k, sign in self.metrics.items() if known or k != "target_l1"}

    def measure(
        self, model: Adversarial, data: UnpairedImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model on the first `count` training images of a domain.

        Each metric is the mean of both directions.
        """
        ways = [*zip(both_ways(model), "AB", strict=True)]
        names = self.metrics_of(model, data)

        def measured() -> dict[str, float]:
            found = [
                cycle_consistency.measure(*pair, data.held_out(domain, "train", count))
                for pair, domain in ways
            ]
            return {name: float(np.mean([scores[name] for scores in found])) for name in names}

        return measured

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str],
        /,
        output: str,
        direction: Direction = "AtoB",
        tile: int = 512,
        best: bool = False,
    ):
        """Translates images of any size; each comes out under its own name as PNG.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the translations.
            direction: what they are translated to: AtoB makes images of domain B.
            tile: pixels; larger images go through the network in overlapping tiles of this side,
                each normalised by itself.
            best: use the checkpoint that --keep_best kept, not the newest.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN FOLDER MORE.jpg --output DIR --direction BtoA
        """
        translate, multiple, channels = self._translator(run, direction, best)
        page = ResultPage(self.name, {"run": run, "direction": direction}, side=THUMBNAIL)
        translate_files(translate, multiple, channels, inputs, output, tile, page)

    def evaluate(
        self,
        run: str,
        /,
        split: Literal["train", "test"] = "test",
        count: int | None = None,
        dataset: str | None = None,
        data_dir: str | None = None,
        skip_bad_images: bool = False,
        best: bool = False,
        show: int = 20,
    ):
        """Measures a run on held-out images, in both directions.

        L1 is in units of [-1, 1]. Cycle: between an image and what comes back of it. Where a
        generated set knows the counterpart: between it and the translation, beside the identity
        map, which translates nothing. Of digits, by the verdicts of a classifier: how many are the
        same after the cycle, and how many are still their digit when translated to A. Of RGB
        images, Keras-Inception FID of translations against the domain's images, if the weights
        can be had. Also written to the run's evaluation.json, and with images to its
        evaluation/index.html.

        Args:
            run: the run's folder.
            split: which images.
            count: the first so many of each domain; default all.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out images that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest.
            show: images of each domain on the page.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 500 --show 100
        """
        errors.not_negative(show=show)
        errors.at_least_one(count=count)
        opened = Run.open(run, self.name)
        model = self.load(opened, best)
        moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
        data = self.data_of(opened, **moved)
        classify = cycle_consistency.digit_classifier(data)  # of domain A
        classifiers = {"A": (classify, None), "B": (None, classify)}
        results = {}
        for direction, domain, pair in zip(DIRECTIONS, "AB", both_ways(model), strict=True):
            held_out = data.held_out(domain, split, count)
            results[direction] = cycle_consistency.measure(*pair, held_out, *classifiers[domain])
        print(cycle_consistency.format_table(results))
        report = {
            "step": opened.step(best),
            "dataset": data.name,
            "split": split,
            "results": results,
            "keras_inception_fid": self._fid(model, data, split, count),
        }
        write_json(opened.evaluation_file, report)
        page = self.page(opened, report)
        page.table(cycle_consistency.table(results))
        for direction, pair in zip(DIRECTIONS, both_ways(model), strict=True):
            show_cycles(page, direction, *pair, data.held_out(direction[0], split, show))
        page.write(opened.evaluation_page)

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Its signatures are AtoB and BtoA, from floats to floats, and AtoB_bytes and BtoA_bytes,
        from encoded images to PNG; serving_default and serving_bytes are those from A to B."""
        networks = {direction: model.sampler.get_layer(direction) for direction in DIRECTIONS}
        sides = model.image_size, model.image_size
        facts = model.multiple, model.channels, sides
        return export_translator(networks, base, self.name, version, *facts)

    def _translator(self, run: str, direction: Direction, best: bool) -> tuple[Translate, int, int]:
        """A run's or a SavedModel's translator, what its input's sides must be multiples of, and
        the input's channels."""
        if not tf.saved_model.contains_saved_model(run):
            model = self.load(Run.open(run, self.name), best)
            network = model.sampler.get_layer(direction)
            return compiled(network), model.multiple, model.channels
        refuse_what_is_fixed(["best"] if best else [], run)
        saved = load_translator(run, direction)
        return saved, 1, saved.channels_in

    def _fid(
        self, model: Adversarial, data: UnpairedImages, split: str, count: int | None
    ) -> dict[str, float | None]:
        """Keras-Inception FID of each direction."""
        found = {}
        for direction, (translate, _) in zip(DIRECTIONS, both_ways(model), strict=True):
            if None in found.values():  # the reason has been said, and is the same
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
    held_out: Iterable[HeldOut],
):
    """Adds a row for each image: what it is, its translation, the way back, and its counterpart
    where that is known."""
    for one in held_out:
        y = forth(one.x[None])
        shown = {"input": one.x, f"output, {direction}": y[0], "and back": back(y)[0]}
        if one.target is not None:
            shown["target"] = one.target
        shown = {caption: image_file.to_uint8(image) for caption, image in shown.items()}
        page.row(f"{direction[0]}: {one.name}", shown)


def both_ways(model: Adversarial) -> list[tuple[Translate, Translate]]:
    """(G, F) and (F, G): for each domain the translator of its images, and the way back."""
    G, F = (compiled(model.sampler.get_layer(direction)) for direction in DIRECTIONS)
    return [(G, F), (F, G)]
