"""Trained networks as functions of arrays, as `load` gives them: uint8 images in and out."""

from collections.abc import Callable
from functools import partial

from common.errors import at_least_one
from common.images import image_file
from common.images.tiling import Upscaler
from common.inference.draw import check_seed, select_classes
from common.inference.endpoints import labels_in_turn
from common.inference.image_to_image import Translator, resized
from common.inference.inpainting import WHITE, Inpainter
from common.inference.noise_translator import NoiseTranslator
from common.inference.sampler import Sampler

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
