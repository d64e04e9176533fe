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
from common.errors import UserError, at_least_one
from common.images import image_file
from common.images.tiling import Upscaler
from common.inference.draw import check_seed, select_classes
from common.inference.endpoints import labels_in_turn
from common.inference.image_to_image import Translator, resized
from common.inference.inpainting import WHITE, Inpainter
from common.inference.noise_translator import NoiseTranslator
from common.inference.painter import TextPainter
from common.inference.sampler import Sampler
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

import numpy as np

TranslatorOf = Callable[[str | None], Translator]  # of a direction, or of the default one


class ImageTranslator:
    """A trained translator of images: `model(image)`.

    Args:
        translator_of: gives the translator of a direction.

    Attributes:
        image_size: side of the training images in pixels; None if it is not known.
    """

    def __init__(self, translator_of: TranslatorOf):
        self._translator_of = translator_of

    @property
    def image_size(self) -> int | None:
        return self._translator_of(None).image_size

    def __call__(
        self,
        image: np.ndarray,
        direction: str | None = None,
        size: int | None = None,
        tile: int = 512,
    ) -> np.ndarray:
        """Translates an image, or each image of a batch.

        Args:
            image: uint8 (H, W, C), (H, W) or (B, H, W, C), with C = 1 or 3; it is converted to the
                channels of the model's input.
            direction: AtoB (the default) or BtoA, for a model that has both.
            size: shorter side in pixels that images are resized to, keeping their aspect ratio;
                default their own size. A translation is best at the scale of the training images,
                `size=model.image_size`.
            tile: side in pixels of the overlapping tiles that larger images are split into.

        Returns:
            uint8 of the same rank; (H, W) gives (H, W, 3) where the model generates RGB.

        Raises:
            UserError: an option is out of range, or there is no such direction.
            ValueError: the image is no such array.
        """
        at_least_one(size=size, tile=tile)
        translator = self._translator_of(direction)

        def translate(one: np.ndarray) -> np.ndarray:
            one = resized(image_file.to_channels(one, translator.channels), size)
            return np.concatenate([*translator.translated_rows(one, tile)])

        return _each(translate, image)


class ImageUpscaler:
    """A trained super-resolution network: `model(image)`."""

    def __init__(self, upscaler: Upscaler):
        self._upscaler = upscaler

    @property
    def scale(self) -> int:
        """Factor by which the sides of an image grow."""
        return self._upscaler.scale

    def __call__(self, image: np.ndarray, tile: int = 256) -> np.ndarray:
        """Enlarges an image, or each image of a batch.

        Args:
            image: uint8 (H, W, C), (H, W) or (B, H, W, C), with C = 1 or 3.
            tile: side in pixels of the tiles that larger images are split into.

        Returns:
            uint8 of the same rank and channels.

        Raises:
            UserError: the tile is not positive.
            ValueError: the image is no such array.
        """
        at_least_one(tile=tile)
        return _each(partial(self._upscaler.upscale, tile=tile), image)


class ImageInpainter:
    """A trained in-painting network: `model(image, mask)`.

    Attributes:
        image_size: side of the training images in pixels.
    """

    def __init__(self, inpainter: Inpainter):
        self._inpainter = inpainter
        self.image_size = inpainter.image_size

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, size: int | None = None, tile: int = 512
    ) -> np.ndarray:
        """Fills a hole in an image, or in each image of a batch; the visible pixels stay.

        Args:
            image: uint8 (H, W, C), (H, W) or (B, H, W, C), with C = 1 or 3; it is converted to the
                channels of the model.
            mask: the part to fill: bool (H, W), or uint8 (H, W), white there.
            size: shorter side in pixels at which the network works; default that of the image. It
                is best at the scale of the training images, `size=model.image_size`.
            tile: side in pixels of the overlapping tiles that larger images are split into.

        Returns:
            uint8 of the same rank.

        Raises:
            UserError: an option is out of range.
            ValueError: the image is no such array, or the mask does not fit it.
        """
        at_least_one(size=size, tile=tile)
        hole = np.asarray(mask)
        hole = hole if hole.dtype == bool else hole >= WHITE

        def complete(one: np.ndarray) -> np.ndarray:
            if hole.shape != one.shape[:2] or hole.all():
                raise ValueError(f"give a mask {one.shape[:2]} that leaves visible pixels")
            one = image_file.to_channels(one, self._inpainter.channels)
            return self._inpainter.complete(one, hole, size, tile)

        return _each(complete, image)


class ImageAdapter:
    """A trained translator of a source's images to a target, with noise: `model(image)`.

    Attributes:
        image_size: side of the training images in pixels.
    """

    def __init__(self, translator: NoiseTranslator):
        self._translator = translator
        self.image_size = translator.image_size

    def __call__(self, image: np.ndarray, seed: int = 0) -> np.ndarray:
        """Translates an image, or each image of a batch, with the same noise.

        Args:
            image: uint8 (H, W, C), (H, W) or (B, H, W, C), with C = 1 or 3; it is converted to the
                channels of the model, cropped to a square and resized to `image_size`.
            seed: seed for the noise, as for `predict --seed`.

        Returns:
            uint8 of the same rank and the training size; (H, W) gives (S, S, 3) where the model
            generates RGB.

        Raises:
            UserError: the seed is out of range.
            ValueError: the image is no such array.
        """
        check_seed(seed=seed)
        noise = self._translator.noise(seed, 1)

        def translate(one: np.ndarray) -> np.ndarray:
            one = image_file.to_channels(one, self._translator.channels)
            return self._translator.all(image_file.square(one, self.image_size)[None], noise)[0]

        return _each(translate, image)


class ImageSampler:
    """A trained generator of images from noise: `model.sample(count)`."""

    def __init__(self, sampler: Sampler):
        self._sampler = sampler

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that it takes; empty if it takes no class."""
        return list(self._sampler.class_names)

    def sample(self, count: int = 64, label: str | int | None = None, seed: int = 0) -> np.ndarray:
        """Generates the images that `predict --count COUNT --label LABEL --seed SEED` writes.

        Args:
            count: number of images.
            label: only class to generate, by name or number; default all classes in turn.
            seed: seed for the noise.

        Returns:
            uint8 (count, S, S, C).

        Raises:
            UserError: an option is out of range, or there is no such class.
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        name = None if label is None else str(label)
        class_ids = select_classes(self._sampler.class_names, name)
        return self._sampler.all(self._sampler.noise(seed, count), labels_in_turn(class_ids, count))


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


def _each(convert: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Converts an image, (H, W, C) or (H, W), or each image of a batch, (B, H, W, C).

    Raises:
        ValueError: the array is nothing of this kind.
    """
    images = np.asarray(images)
    rank = images.ndim
    batch = {2: images[None, ..., None], 3: images[None], 4: images}.get(rank)
    valid = batch is not None and batch.size and batch.shape[-1] in (1, 3)
    if not valid or images.dtype != np.uint8:
        raise ValueError(
            "give uint8 images (H, W, C), (H, W) or (B, H, W, C) with C = 1 or 3, not "
            f"{images.dtype} {images.shape}"
        )
    converted = np.stack([convert(image) for image in batch])
    if rank == 4:
        return converted
    return converted[0, ..., 0] if rank == 2 and converted.shape[-1] == 1 else converted[0]
