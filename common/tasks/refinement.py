"""The capability of generators of several levels: refining coarse images, real or a user's own."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from common.adversarial import Adversarial
from common.evaluation import refinement
from common.evaluation.formatting import text_table
from common.evaluation.refinement import Refined, RefinementMetrics
from common.images import image_file
from common.images.captions import stacked, titled
from common.images.grid import grid, square_grid
from common.inference import refiner
from common.inference.draw import file_names, select_classes
from common.inference.endpoints import Endpoint, labels_in_turn
from common.inference.input_files import InputFiles
from common.inference.refiner import Refiner
from common.inference.sample_grid import fixed_grid
from common.inference.sampler import TRAINING_SEED, sampler_of
from common.reports.result_page import ResultPage
from common.tasks.capability import Capability, class_names
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf


class Refinement(Capability):
    """The model generates images from coarse to fine, and refines coarse images.

    Its instances have `sides`, the sides of the levels from coarse to fine; `refiner(side)`, a
    network of coarse images of this side, noise and, if there are classes, one-hot classes; and
    `coarse_sampler`, which takes what `sampler` does and enlarges the coarsest images instead of
    refining them.
    """

    image_options: ClassVar[tuple[str, ...]] = ("count", "seed", "label")
    verb = "refine"

    # During training.

    def sample_grid(self, model: Adversarial, data: Any) -> Callable[[], np.ndarray]:
        """Images from noise; below, test images: coarsest level, refined from it, original."""
        names = data.class_names if model.classes else None
        from_noise, columns = fixed_grid(sampler_of(model, names)), 10 if model.classes else 8
        x, labels = data.arrays("test", columns)
        coarse = refiner.reduced(image_file.to_unit(x), model.sides[0])
        enlarged = refiner.enlarged(coarse, model.image_size)
        refine = Refiner(model, model.sides[0])
        noise = model.latent.array_of_seed(TRAINING_SEED, len(x))
        labels = labels if model.classes else None

        def draw() -> np.ndarray:
            rows = [enlarged, refine(coarse, noise, labels), x]
            lower = grid(rows, names=(f"{model.sides[0]} px", "refined", "original"))
            return stacked([titled(from_noise(), "from noise"), titled(lower, "test images")])

        return draw

    # After training.

    def predict(
        self,
        run: Run,
        model: Adversarial,
        files: InputFiles,
        page: ResultPage,
        count: int | None,
        seed: int,
        label: str | None,
    ) -> str:
        """With INPUTS, refines these coarse images, each with --count different noise vectors.

        A square image with the side of a coarse level (7 or 14 pixels if the training images have
        28) is refined as it is. Any other is cropped to a square around its centre, resized to the
        size of the training images and reduced to the coarsest level. A model that takes a class
        refines an image as each of them unless --label names one. With more than one result the
        files are named NAME_0000.png, NAME_0001.png, ..., with a class NAME_0000_CLASS.png.

        Args:
            inputs: images, or folders of images, to refine. Default: generate images from noise.

        Example:
            {program} predict RUN SMALL.png --output DIR --label 3 --count 8
        """
        names = class_names(run) or [str(k) for k in range(model.classes)]
        class_ids = select_classes(names if model.classes else [], label)
        count = count or max(1, len(class_ids))
        labels, noise = labels_in_turn(class_ids, count), model.latent.array_of_seed(seed, count)
        refiner_of = cache(partial(Refiner, model))

        def read(source: Path, _: Path) -> np.ndarray:
            return refiner.read_coarse(image_file.read(source, model.channels), model.sides)

        for source, target, coarse in files.each(read):
            refine = refiner_of(coarse.shape[0])
            images = refine(np.stack([coarse] * count), noise, labels)
            shown = {"input": image_file.to_uint8(coarse)}
            shown["enlarged"] = refiner.enlarged(coarse[None], model.image_size)[0]
            for name, image in zip(file_names(labels, count, names), images, strict=True):
                path = target if count == 1 else target.with_name(f"{target.stem}_{name}")
                files.write(path, image)
                shown[path.name] = image
            page.row(files.name(source), shown)
        page.title += f": {len(files)} images refined"
        return f"{len(files)} images refined to {files.folder}, {count} results each"

    def evaluate(self, evaluation: Evaluation):
        """Also refines real images of the split, reduced to each of the coarse levels.

        Label kept is the share of the results in which the reference classifier recognizes the
        class of the original. Band is the mean absolute difference from the coarse image enlarged,
        over that of the original. Beside them there are the coarse images enlarged without bands,
        and images from noise with and without bands.
        """
        model, data, report = evaluation.model, evaluation.data, evaluation.report
        base, *_, side = model.sides
        x, labels = data.arrays(report["split"], report["count"])
        asked = labels if model.classes else None
        metrics, results = RefinementMetrics(data, x), {}
        noise = model.latent.array_of_seed(report["seed"], len(x))
        for level in reversed(model.sides[:-1]):
            coarse = refiner.reduced(image_file.to_unit(x), level)
            real = refiner.enlarged(coarse, side)
            images = Refiner(model, level)(coarse, noise, asked)
            results[f"{level} to {side} px"] = metrics.measure(Refined(images, real, labels), real)
            results[f"{level} px enlarged"] = metrics.measure(Refined(real, real, labels), real)
        networks = model.sampler, model.coarse_sampler
        drawn, enlarged = (sampler_of(model, network=each).all(noise, asked) for each in networks)
        chain = {f"noise to {side} px": drawn, f"noise to {base} px, enlarged": enlarged}
        for name, made in chain.items():
            results[name] = metrics.measure(Refined(made, enlarged, asked), real)
        report["refinement"] = results
        rows = refinement.table(results)
        print("refinement of coarse images:", text_table(rows), sep="\n")
        evaluation.page.table(rows, "Refinement of coarse images")
        if show := evaluation.show:
            grids = (square_grid(each[:show]) for each in (real, images, x))
            captions = f"{base} px enlarged", "refined", "original"
            evaluation.page.row("Refined images", dict(zip(captions, grids, strict=True)))

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_refine_SIDE for each coarse level: image, noise [, label] to image."""
        return {
            f"serving_refine_{side}": (
                refiner.endpoint(model, side),
                refiner.signature(model, side),
            )
            for side in model.sides[:-1]
        }
