"""What a user does with a network that enlarges images: samples, predict, evaluate, export."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from common import errors
from common.adversarial import Adversarial
from common.data.reading import BadImages
from common.data.sources.super_resolution import parts_of
from common.data.super_resolution import HighResolutionImages
from common.errors import UserError
from common.evaluation import super_resolution
from common.images import bicubic, image_file, listing
from common.images.grid import grid
from common.images.tiling import Upscaler
from common.inference.upscaling import enlarge_files, of_model
from common.io.records import write_json
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving.upscaler import export_upscaler, load_upscaler
from common.tasks.base import Task, refuse_what_is_fixed
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

SAMPLE_SIDE = 128  # px, the most that a sample shows of an image


class SuperResolution(Task):
    """The verbs of a model that enlarges images.

    Args:
        model_class: the model. Its instances have `sampler`, `scale`, `halo` and `image_size`.
    """

    data = HighResolutionImages
    metrics: ClassVar[dict[str, int]] = {"psnr": 1, "ssim": 1}  # more is better

    # While training.

    def sampler(
        self, model: Adversarial, data: HighResolutionImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        A row for each of the first held-out images, or of its middle: made small (with pixels
        as large as they are now), by bicubic, by the model, the original. uint8 (H, W, 3).
        """
        scale = model.scale
        held_out = data.originals("val", count, super_resolution.min_side(scale))
        originals = [image for _, image in held_out]
        if not originals:
            raise UserError(f"--dataset {data.name}: none of its first val images can be read")
        side = min(SAMPLE_SIDE, *(min(image.shape[:2]) for image in originals))
        fixed = [middle(image, side // scale * scale) for image in originals]
        upscaler = of_model(model)

        def row(hr: np.ndarray) -> list[np.ndarray]:
            lr = bicubic.shrink(hr, scale)
            blocks = lr.repeat(scale, axis=0).repeat(scale, axis=1)
            return [blocks, bicubic.enlarge(lr, scale), upscaler.upscale(lr), hr]

        return lambda: grid([row(hr) for hr in fixed])

    def measure(
        self, model: Adversarial, data: HighResolutionImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model on the first `count` images of val."""
        upscaler = of_model(model)

        def measured() -> dict[str, float]:
            originals = data.originals("val", count, super_resolution.min_side(model.scale))
            results = super_resolution.compare(originals, {"model": upscaler.whole}, model.scale)
            return results["mean"]["model"]

        return measured

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str],
        /,
        output: str,
        tile: int = 256,
        best: bool = False,
        step: int | None = None,
    ):
        """Enlarges images of any size; each comes out under its own name as PNG.

        A grey image stays grey. Transparency is enlarged by bicubic interpolation and kept.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the enlarged images.
            tile: pixels; larger images go through the network in overlapping tiles of this side,
                which changes nothing but the memory.
            best: use the checkpoint that --keep_best kept, not the newest.
            step: use the checkpoint of this step, such as the end of the first stage.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN/export/{model}/1 FOLDER MORE.jpg --output DIR
        """
        upscaler = self._upscaler(run, best, step)
        page = ResultPage(self.name, {"run": run}, side=THUMBNAIL)
        enlarge_files(upscaler, inputs, output, tile, page)

    def evaluate(
        self,
        run: str,
        /,
        images: str | None = None,
        tile: int = 256,
        dataset: str | None = None,
        data_dir: str | None = None,
        skip_bad_images: bool = False,
        best: bool = False,
        step: int | None = None,
        show: int = 20,
    ):
        """Measures a run beside bicubic: PSNR in dB, SSIM and sharpness, a row for each image.

        Each image is made small by MATLAB's bicubic and enlarged again; what counts is luma, as
        many pixels cut off at each border as the factor. Sharpness is the variance of the
        Laplacian, as a share of the original's. Of a run in two stages the end of the first is
        measured too. Also written to the run's evaluation.json, and with images to its
        evaluation/index.html.

        Args:
            run: the run's folder.
            images: a folder of images, or several with commas between them; default the
                images that the run has held out.
            tile: pixels; as of predict.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out images that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest. It was chosen by the
                images that the run has held out, so measure it on others.
            step: use the checkpoint of this step.
            show: images of each set, or the middles of large ones, on the page.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --images FOLDER,ANOTHER
        """
        errors.not_negative(show=show)
        opened = Run.open(run, self.name)
        models = self._stages(opened, best, step)
        reached = max(models)
        scale = models[reached].scale
        methods = {
            f"step {number}": lambda lr, model=model: of_model(model).upscale(lr, tile)
            for number, model in models.items()
        }
        if images is not None:
            sets = {
                folder: partial(originals_in, folder, skip_bad_images)
                for folder in parts_of(images)
            }
        else:
            moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
            data = self.data_of(opened, **moved)
            held_out = partial(data.originals, "val", least=super_resolution.min_side(scale))
            sets = {f"{data.name}, held out": held_out}
        report = {
            "step": reached,
            "dataset": data.name if images is None else images,
            "scale": scale,
            "sets": {},
        }
        page = self.page(opened, report)
        for name, originals in sets.items():
            report["sets"][name] = super_resolution.compare(originals(), methods, scale)
            print(f"{name}, x{scale}\n{super_resolution.format_table(report['sets'][name])}")
            page.table(super_resolution.table(report["sets"][name]), name)
            show_enlarged(page, islice(originals(), show), methods, scale)
        write_json(opened.evaluation_file, report)
        page.write(opened.evaluation_page)

    def export(
        self,
        run: str,
        /,
        output: str | None = None,
        version: int | None = None,
        best: bool = False,
        step: int | None = None,
    ):
        """Writes a SavedModel for TensorFlow Serving to OUTPUT/MODEL/VERSION/.

        Args:
            run: the run's folder.
            output: folder above the model's; default RUN/export.
            version: a positive integer; default the next free one.
            best: use the checkpoint that --keep_best kept, not the newest.
            step: use the checkpoint of this step, such as the end of the first stage.

        Example:
            {program} export RUN
            {program} export RUN --output models --version 3
        """
        self.export_from(run, output, version, best=best, step=step)

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        facts = model.scale, model.halo, model.image_size // model.scale
        return export_upscaler(model.sampler, base, self.name, version, *facts)

    def _upscaler(self, run: str, best: bool, step: int | None) -> Upscaler:
        """A run's or a SavedModel's."""
        if not tf.saved_model.contains_saved_model(run):
            return of_model(self.load(Run.open(run, self.name), best, step=step))
        given = {"best": best, "step": step is not None}
        refuse_what_is_fixed([option for option, asked in given.items() if asked], run)
        return load_upscaler(run)

    def _stages(self, run: Run, best: bool, step: int | None) -> dict[int, Adversarial]:
        """By step, the model that is asked for, after those of the milestones on the way to it."""
        last = self.load(run, best, step=step)
        reached = run.step(best) if step is None else step
        models = {m: self.load(run, step=m) for m in last.milestones if m < reached}
        return models | {reached: last}


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The middle (side, side, C) of an image that is as large or larger."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def show_enlarged(
    page: ResultPage,
    originals: Iterable[tuple[str, np.ndarray]],
    methods: dict[str, super_resolution.Enlarge],
    scale: int,
):
    """Adds a row for each image, or its middle: made small, by bicubic, by the methods, as it
    is."""
    for name, image in originals:
        side = min(2 * SAMPLE_SIDE, *image.shape[:2]) // scale * scale
        hr = middle(image, side)
        lr = bicubic.shrink(hr, scale)
        shown = {"input": lr, "bicubic": bicubic.enlarge(lr, scale)}
        shown |= {method: enlarge(lr) for method, enlarge in methods.items()}
        page.row(name, shown | {"target": hr})


def originals_in(folder: str, skip_bad: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Names and images of a folder: uint8 (H, W, 1 or 3), as many channels as the file has."""
    bad = BadImages(skip_bad)
    for path in listing.image_files([folder]):
        try:
            yield path.name, image_file.read_layers(path)[0]
        except image_file.BadImage as error:
            bad.report(error)
