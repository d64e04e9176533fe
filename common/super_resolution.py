"""What a user does with a network that enlarges pictures: samples, predict, evaluate, export."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from common import errors, files
from common.adversarial import Adversarial
from common.bands import Upscaler
from common.data import bicubic, pictures
from common.data.high_resolution import HighResolutionImages
from common.data.high_resolution_sources import parts_of
from common.data.skipping import BadPictures
from common.errors import UserError
from common.export_upscaler import export_upscaler, load_upscaler
from common.metrics import enlargement
from common.pages import THUMBNAIL, Page
from common.run import Run, write_json
from common.task import Task, refuse_what_is_fixed
from common.upscaling import enlarge_files, of_model

import numpy as np
import tensorflow as tf

SAMPLE_SIDE = 128  # px, the most that a sample shows of a picture


class SuperResolution(Task):
    """The verbs of a model that enlarges pictures.

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

        A row for each of the first held-out pictures, or of its middle: made small (with pixels
        as large as they are now), by bicubic, by the model, the original. uint8 (H, W, 3).
        """
        scale = model.scale
        held_out = data.originals("val", count, enlargement.least_side(scale))
        originals = [picture for _, picture in held_out]
        if not originals:
            raise UserError(f"--dataset {data.name}: none of its first val pictures can be read")
        side = min(SAMPLE_SIDE, *(min(picture.shape[:2]) for picture in originals))
        fixed = [middle(picture, side // scale * scale) for picture in originals]
        upscaler = of_model(model)

        def row(hr: np.ndarray) -> list[np.ndarray]:
            lr = bicubic.shrink(hr, scale)
            blocks = lr.repeat(scale, axis=0).repeat(scale, axis=1)
            return [blocks, bicubic.enlarge(lr, scale), upscaler.whole(lr), hr]

        return lambda: pictures.grid([row(hr) for hr in fixed])

    def measure(
        self, model: Adversarial, data: HighResolutionImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """A function that measures the model on the first `count` pictures of val."""
        upscaler = of_model(model)

        def measured() -> dict[str, float]:
            originals = data.originals("val", count, enlargement.least_side(model.scale))
            results = enlargement.compare(originals, {"model": upscaler.whole}, model.scale)
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
        """Enlarges pictures of any size; each comes out under its own name as PNG.

        A grey picture stays grey. Transparency is enlarged by bicubic interpolation and kept.

        Args:
            run: a run's folder, or the folder of one version of an exported SavedModel.
            inputs: pictures, or folders of pictures.
            output: folder for the enlarged pictures.
            tile: pixels; larger pictures go through the network in overlapping tiles of this side,
                which changes nothing but the memory.
            best: use the checkpoint that --keep_best kept, not the newest.
            step: use the checkpoint of this step, such as the end of the first stage.

        Example:
            {program} predict RUN picture.png --output DIR
            {program} predict RUN/export/{model}/1 FOLDER MORE.jpg --output DIR
        """
        upscaler = self._upscaler(run, best, step)
        page = Page(self.name, {"run": run}, side=THUMBNAIL)
        enlarge_files(upscaler, inputs, output, tile, page)

    def evaluate(
        self,
        run: str,
        /,
        pictures: str | None = None,
        tile: int = 256,
        dataset: str | None = None,
        data_dir: str | None = None,
        skip_bad_images: bool = False,
        best: bool = False,
        step: int | None = None,
        show: int = 20,
    ):
        """Measures a run beside bicubic: PSNR in dB, SSIM and sharpness, a row for each picture.

        Each picture is made small by MATLAB's bicubic and enlarged again; what counts is luma, as
        many pixels cut off at each border as the factor. Sharpness is the variance of the
        Laplacian, as a share of the original's. Of a run in two stages the end of the first is
        measured too. Also written to the run's evaluation.json, and with pictures to its
        evaluation/index.html.

        Args:
            run: the run's folder.
            pictures: a folder of pictures, or several with commas between them; default the
                pictures that the run has held out.
            tile: pixels; as of predict.
            dataset: where the run's data lie now, if they have moved.
            data_dir: where named sets lie, if that has changed.
            skip_bad_images: leave out pictures that cannot be read.
            best: use the checkpoint that --keep_best kept, not the newest. It was chosen by the
                pictures that the run has held out, so measure it on others.
            step: use the checkpoint of this step.
            show: pictures of each set, or the middles of large ones, on the page.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --pictures FOLDER,ANOTHER
        """
        errors.not_negative(show=show)
        opened = Run.open(run, self.name)
        models = self._stages(opened, best, step)
        reached = max(models)
        scale = models[reached].scale
        methods = {
            f"step {number}": lambda lr, model=model: of_model(model).whole(lr, tile)
            for number, model in models.items()
        }
        if pictures is not None:
            sets = {
                folder: partial(originals_in, folder, skip_bad_images)
                for folder in parts_of(pictures)
            }
        else:
            moved = {"dataset": dataset, "data_dir": data_dir, "skip_bad_images": skip_bad_images}
            data = self.data_of(opened, **moved)
            held_out = partial(data.originals, "val", least=enlargement.least_side(scale))
            sets = {f"{data.name}, held out": held_out}
        report = {
            "step": reached,
            "dataset": data.name if pictures is None else pictures,
            "scale": scale,
            "sets": {},
        }
        page = self.page(opened, report)
        for name, originals in sets.items():
            report["sets"][name] = enlargement.compare(originals(), methods, scale)
            print(f"{name}, x{scale}\n{enlargement.format_table(report['sets'][name])}")
            page.table(enlargement.table(report["sets"][name]), name)
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


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle (side, side, C) of a picture that is as large or larger."""
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def show_enlarged(
    page: Page,
    originals: Iterable[tuple[str, np.ndarray]],
    methods: dict[str, enlargement.Enlarge],
    scale: int,
):
    """Adds a row for each picture, or its middle: made small, by bicubic, by the methods, as it
    is."""
    for name, picture in originals:
        side = min(2 * SAMPLE_SIDE, *picture.shape[:2]) // scale * scale
        hr = middle(picture, side)
        lr = bicubic.shrink(hr, scale)
        shown = {"input": lr, "bicubic": bicubic.enlarge(lr, scale)}
        shown |= {method: enlarge(lr) for method, enlarge in methods.items()}
        page.row(name, shown | {"target": hr})


def originals_in(folder: str, skip_bad: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures of a folder: uint8 (H, W, 1 or 3), as many channels as the file has."""
    bad = BadPictures(skip_bad)
    for path in files.picture_files([folder]):
        try:
            yield path.name, pictures.read_layers(path)[0]
        except pictures.BadPicture as error:
            bad.meet(error)
