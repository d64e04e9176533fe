"""The task of super-resolution networks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.sources.super_resolution import parts_of
from common.data.super_resolution import HighResolutionImages
from common.demo.panels import Panel, Upload
from common.errors import UserError, at_least_one
from common.evaluation import super_resolution
from common.images import bicubic, image_file, listing
from common.images.grid import grid
from common.images.tiling import Upscaler
from common.inference.image_to_image import convert_files, upscaler_of, write_enlarged
from common.inference.input_files import InputFiles, InputOptions, name_bad
from common.metrics.directions import better
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving.upscaler import export_upscaler, load_upscaler
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.evaluation import Evaluation, EvaluationOptions
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np

Read = Callable[[], np.ndarray]  # uint8 (H, W, 1 or 3)
MOST_PIXELS = 500_000  # of an image on the page of a demo
SAMPLE_SIDE = 128  # px, maximum side of an image in the sample grid


@dataclass(frozen=True)
class StepCheckpoint(Checkpoint):
    """Checkpoint to use.

    Args:
        step: use the checkpoint of this step, such as the last one of the first stage.
    """

    step: int | None = None

    def step_in(self, run: Run) -> int:
        return super().step_in(run) if self.step is None else self.step


class SuperResolution(Task):
    """The verbs of a model that enlarges images.

    Args:
        model_class: the model. Its instances have `sampler`, `scale`, `halo` and `image_size`.
        capabilities: what the model can do besides enlarging images.
    """

    data = HighResolutionImages
    metrics: ClassVar[dict[str, int]] = better("psnr", "ssim")
    option_groups: ClassVar[dict[type, type]] = {Checkpoint: StepCheckpoint}

    # During training.

    def sample_grid(
        self, model: Adversarial, data: HighResolutionImages, count: int = 4
    ) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, 3), with the current weights.

        There is a row for each of the first `count` validation images, or for its centre: the input
        with enlarged pixels, the result of bicubic interpolation, that of the model, the target.
        """
        scale = model.scale
        held_out = data.originals("val", count, super_resolution.min_side(scale))
        originals = [image for _, image in held_out]
        if not originals:
            raise UserError(f"--dataset {data.name}: no val image can be read; restore one")
        side = min(SAMPLE_SIDE, *(min(image.shape[:2]) for image in originals))
        fixed = [centre(image, side // scale * scale) for image in originals]
        upscaler = upscaler_of(model)

        def row(hr: np.ndarray) -> list[np.ndarray]:
            lr = bicubic.shrink(hr, scale)
            pixels = lr.repeat(scale, axis=0).repeat(scale, axis=1)
            return [pixels, bicubic.enlarge(lr, scale), upscaler.upscale(lr), hr]

        captions = "input", "bicubic", "output", "target"
        return lambda: grid([row(hr) for hr in fixed], captions=captions)

    def measure(
        self, model: Adversarial, data: HighResolutionImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that evaluates the model on the first `count` validation images."""
        upscaler = upscaler_of(model)

        def measured() -> dict[str, float]:
            originals = data.originals("val", count, super_resolution.min_side(model.scale))
            results = super_resolution.compare(originals, {"model": upscaler.upscale}, model.scale)
            return results["mean"]["model"]

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
        tile: int = 256,
    ):
        """Enlarges images of any size.

        Each is written to OUTPUT as PNG, under its own name. Grayscale images stay grayscale;
        transparency is kept and enlarged by bicubic interpolation.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the enlarged images.
            tile: side in pixels of the overlapping tiles that larger images are split into; it
                changes the memory needed, not the result.

        Example:
            {program} predict RUN image.png --output DIR
            {program} predict RUN/export/{model}/1 FOLDER MORE.jpg --output DIR
        """
        at_least_one(tile=tile)
        self.check_run(run, checkpoint)
        found = InputFiles(inputs, output, files)
        write = partial(write_enlarged, self.upscaler(run, checkpoint), tile)
        page = ResultPage(self.name, {"run": run}, side=THUMBNAIL)
        convert_files(write, found, page, "enlarged")

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        images: str | None = None,
        tile: int = 256,
    ):
        """Evaluates super-resolution and bicubic interpolation by PSNR, SSIM and sharpness.

        Each image is downscaled by MATLAB's bicubic interpolation and enlarged again. PSNR, in dB,
        and SSIM are computed on luma, without as many pixels at each border as the scale factor.
        Sharpness is the variance of the Laplacian relative to the original's. For a run of two
        stages the end of the first stage is evaluated too. Prints the results, and writes them to
        the run's evaluation.json and, with images, to its evaluation/index.html. The checkpoint of
        --best was selected on the run's validation images, so evaluate it on others.

        Args:
            run: folder of the run.
            images: folder of images, or several separated by commas; default the run's validation
                images.
            tile: side in pixels of the tiles, as for predict.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --images FOLDER,ANOTHER
        """
        at_least_one(tile=tile)
        folders = [] if images is None else parts_of(images)
        given = {folder: list(listing.image_files([folder])) for folder in folders}
        evaluation = self.start_evaluation(run, checkpoint, options)
        page, scale = evaluation.page, evaluation.model.scale
        methods = {
            f"step {step}": partial(upscaler_of(model).upscale, tile=tile)
            for step, model in self._stages(evaluation).items()
        }
        sets = {folder: Originals(of_files(paths), scale) for folder, paths in given.items()}
        if not given:
            sources = evaluation.data.splits["val"]
            sets = {f"{evaluation.data.name}, held out": Originals(of_sources(sources), scale)}
        report = evaluation.report
        report |= {"dataset": images or evaluation.data.name, "scale": scale, "sets": {}}
        for name, originals in sets.items():
            report["sets"][name] = super_resolution.compare(iter(originals), methods, scale)
            print(f"{name}, x{scale}\n{super_resolution.format_table(report['sets'][name])}")
            page.table(super_resolution.table(report["sets"][name]), name)
            show_enlarged(page, islice(originals, evaluation.show), methods, scale)
        bad = {path: error for each in sets.values() for path, error in each.bad.items()}
        if bad:
            page.note("\n".join(["left out:", *map(str, bad.values())]))
        evaluation.finish()
        name_bad(bad, sum(map(len, sets.values())), options.skip_bad_images)

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        scale = self.upscaler(run, checkpoint).scale

        def small(data: HighResolutionImages) -> Iterator[np.ndarray]:
            for _, image in data.originals("val", EXAMPLES, super_resolution.min_side(scale)):
                yield bicubic.resize(image, *(side // scale for side in image.shape[:2]))

        upload = Upload(MOST_PIXELS, self.examples(run, small))
        return [Panel("Enlarge", "Enlarge", "before and after", upload)]

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        facts = model.scale, model.halo, model.image_size // model.scale
        return export_upscaler(model.sampler, base, self.name, version, *facts)

    def upscaler(self, run: str, checkpoint: Checkpoint) -> Upscaler:
        """Returns the upscaler of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            return load_upscaler(run)
        return upscaler_of(self.load(open_run(run, self.name), checkpoint))

    def _stages(self, evaluation: Evaluation) -> dict[int, Adversarial]:
        """Returns models by step: of the checkpoint, and at the end of earlier stages if kept."""
        run, model, step = evaluation.run, evaluation.model, evaluation.report["step"]
        network = evaluation.checkpoint.network
        earlier = {
            m: self.load(run, StepCheckpoint(step=m, network=network))
            for m in model.plan.milestones
            if m < step and m in run.steps()
        }
        return earlier | {step: model}


def centre(image: np.ndarray, side: int) -> np.ndarray:
    """Crops an image, at least as large, to its central (side, side, C)."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def show_enlarged(
    page: ResultPage,
    originals: Iterable[tuple[str, np.ndarray]],
    methods: dict[str, super_resolution.Enlarge],
    scale: int,
):
    """Adds a row for each image, or its centre: input, bicubic, the methods' results, target."""
    for name, image in originals:
        side = min(2 * SAMPLE_SIDE, *image.shape[:2]) // scale * scale
        hr = centre(image, side)
        lr = bicubic.shrink(hr, scale)
        shown = {"input": lr, "bicubic": bicubic.enlarge(lr, scale)}
        shown |= {method: enlarge(lr) for method, enlarge in methods.items()}
        page.row(name, shown | {"target": hr})


class Originals:
    """Images by name, read one by one; those that cannot be used are left out.

    Args:
        files: for each image its path, its name and a function that reads it.
        scale: upscaling factor, on which the smallest side of an image depends.

    Attributes:
        bad: errors of the images that were left out, by path.
    """

    def __init__(self, files: list[tuple[Path, str, Read]], scale: int):
        self._files, self._least = files, super_resolution.min_side(scale)
        self.bad: dict[Path, image_file.BadImage] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for path, name, read in self._files:
            try:
                image = read()
                height, width = image.shape[:2]
                if min(height, width) < self._least:
                    size = f"{width}x{height} px"
                    raise image_file.BadImage(f"{path}: {size}, too small to be evaluated")
                yield name, image
            except image_file.BadImage as error:
                self.bad[path] = error
        if self.bad and len(self.bad) == len(self):
            raise next(iter(self.bad.values()))


def of_files(paths: list[Path]) -> list[tuple[Path, str, Read]]:
    """What `Originals` takes, of files: images with the channels of the file."""
    return [(path, path.name, lambda path=path: image_file.read_layers(path)[0]) for path in paths]


def of_sources(sources: list) -> list[tuple[Path, str, Read]]:
    """What `Originals` takes, of the images of a dataset."""
    names = listing.distinct_names([source.path for source in sources])
    return [(s.path, name, s.read) for s, name in zip(sources, names, strict=True)]
