"""Trained models in Python: `from common import load`.

model = load("runs/first")  # a run, one version of an exported SavedModel, or trained weights
translated = model(image)  # uint8 (H, W, 3), or a batch (B, H, W, 3)
sevens = load("cgan/mnist").sample(16, label=7, seed=0)  # uint8 (16, 28, 28, 1)
completed = load("runs/ccgan")(image, mask)  # fills the white part of the mask, (H, W)
adapted = load("runs/pixelda")(image, seed=0)  # of the training size, (32, 32, 3)
drawn = load("runs/stackgan").sample("a red three on blue", 8)  # uint8 (8, 64, 64, 3)
"""

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from common import registry
from common.demo import page as demo_page
from common.errors import UserError
from common.inference.array_models import (
    ImageAdapter,
    ImageInpainter,
    ImageSampler,
    ImageTranslator,
    ImageUpscaler,
    TranslatorOf,
)
from common.inference.image_to_image import Translator
from common.inference.painter import TextPainter
from common.io import weights_file
from common.serving import inpainter as saved_inpainter
from common.serving import noise_translator as saved_noise_translator
from common.serving import sampler as saved_sampler
from common.serving import saved_model
from common.serving import text_to_image as saved_text_to_image
from common.serving import translator as saved_translator
from common.serving import upscaler as saved_upscaler
from common.tasks.base import Checkpoint, Task
from common.tasks.domain_adaptation import DomainAdaptation
from common.tasks.generation import Generation
from common.tasks.inpainting import InPainting
from common.tasks.paired_translation import PairedTranslation
from common.tasks.super_resolution import SuperResolution
from common.tasks.text_to_image import TextToImage
from common.tasks.unpaired_translation import DIRECTIONS, UnpairedTranslation
from common.training.run_folder import Run

Loaded = (
    ImageTranslator | ImageUpscaler | ImageInpainter | ImageAdapter | ImageSampler | TextPainter
)


def load(folder: Path | str, **checkpoint) -> Loaded:
    """Loads a trained model of any kind.

    Args:
        folder: folder of a run, or of one version of an exported SavedModel; or trained weights: a
            name such as cgan/mnist, the path of a weights file, or its URL.
        checkpoint: options of `predict` that select the weights of a run: best=True, or
            network="generator" or "average"; for pix2pix also its inference options.

    Raises:
        UserError: there is none of these, or it does not have these weights.
    """
    folder = os.path.expanduser(folder)
    if saved_model.contains(folder):
        for option in checkpoint:
            raise UserError(f"{option}: fixed in the SavedModel {folder}; load the run instead")
        return _load_saved_model(Path(folder))
    task, folder = _task_and_run(folder)
    options = task.option_groups.get(Checkpoint, Checkpoint)(**checkpoint)
    match task:
        case Generation():
            return ImageSampler(task.sampler(folder, options))
        case TextToImage():
            return TextPainter(task.sampler(folder, options))
        case SuperResolution():
            return ImageUpscaler(task.upscaler(folder, options))
        case InPainting():
            return ImageInpainter(task.inpainter(folder, options))
        case DomainAdaptation():
            return ImageAdapter(task.translator(folder, options))
        case PairedTranslation():
            return ImageTranslator(_one_direction(task.translator(folder, options)))
        case UnpairedTranslation():
            load_direction = partial(task.translator, folder, checkpoint=options)
            return ImageTranslator(_two_directions(load_direction))
    raise UserError(f"{folder}: runs of {task.name} cannot be loaded in Python; use predict")


def open_demo(run: Path | str, share: bool = False, height: int = 800, **checkpoint):
    """Shows the demo of a run in a notebook: the page of the verb `demo`.

    Args:
        run: folder of a run, or trained weights, as of `load`.
        share: give the page a public address, too, through Gradio's servers.
        height: height in pixels of its frame in the notebook.
        checkpoint: as of `load`.

    Returns:
        The page, a `gradio.Blocks`; its `close()` ends it.

    Raises:
        UserError: there is none of these, or Gradio is not installed.
    """
    task, run = _task_and_run(os.path.expanduser(run))
    options = task.option_groups.get(Checkpoint, Checkpoint)(**checkpoint)
    page = task.demo_page(run, options)
    demo_page.launch(page, None, share, browser=False, height=height)
    return page


def _task_and_run(folder: str) -> tuple[Task, str]:
    """The task of the model, and the run or the weights file as it takes it.

    Raises:
        UserError: there is neither, or the model is unknown.
    """
    name, run = _model_and_run(folder)
    if name not in registry.NAMES:
        raise UserError(f"{folder}: a run of {name}, which is not a model of this project")
    return registry.task_of(name), run


def _model_and_run(folder: str) -> tuple[str, str]:
    run = Run(Path(folder))
    if run.config_file.is_file():
        return run.config()["model"], folder
    model, _, name = folder.partition("/")
    file = weights_file.named(model).get(name) if name else None
    file = file or weights_file.located(folder)
    if file is None:
        names = weights_file.listed(model) if model in registry.NAMES else ""
        raise UserError(
            f"{folder}: neither a run (config.json) nor a SavedModel in this folder{names}"
        )
    return weights_file.read(file).about["model"], str(file)


def _load_saved_model(folder: Path) -> Loaded:
    if (folder / saved_sampler.ABOUT).is_file():
        return ImageSampler(saved_sampler.load_sampler(folder))
    if (folder / saved_text_to_image.ABOUT).is_file():
        return TextPainter(saved_text_to_image.load_text_sampler(folder))
    if (folder / saved_inpainter.ABOUT).is_file():
        return ImageInpainter(saved_inpainter.load_inpainter(folder))
    if (folder / saved_noise_translator.ABOUT).is_file():
        return ImageAdapter(saved_noise_translator.load_noise_translator(folder))
    if (folder / saved_model.EXTRA / saved_upscaler.FACTS).is_file():
        return ImageUpscaler(saved_upscaler.load_upscaler(folder))

    @cache
    def of_signature(direction: str | None) -> Translator:
        saved = saved_translator.load_translator(folder, direction or saved_translator.DEFAULT)
        return Translator(saved, 1, saved.channels_in, saved.image_size)

    of_signature(None)  # an error belongs here rather than to the first image
    return ImageTranslator(of_signature)


def _one_direction(translator: Translator) -> TranslatorOf:
    def translator_of(direction: str | None) -> Translator:
        if direction is not None:
            raise UserError(f"direction={direction!r}: the model has only one; leave it out")
        return translator

    return translator_of


def _two_directions(load_direction: Callable[[str], Translator]) -> TranslatorOf:
    """Loads the default direction now, the other one when it is used."""
    load_once = cache(load_direction)

    def translator_of(direction: str | None) -> Translator:
        direction = direction or DIRECTIONS[0]
        if direction not in DIRECTIONS:
            raise UserError(f"direction={direction!r}: give {' or '.join(DIRECTIONS)}")
        return load_once(direction)

    translator_of(None)
    return translator_of
